"""How plans run: the graph walker, one handler per verb, gates, journal, resume, rollback."""
