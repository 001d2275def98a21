"""How archives are made, fetched and held against their indexes; the verbs are in handlers."""
