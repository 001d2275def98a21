"""What comes after the copies: checks, signatures, the deletion of the sources, and back."""
