"""What comes after a run that copied: checks of the copies, signatures, what may go then."""
