"""Work on an evacuated tree and its catalogues alone: no request, no credentials, no journal."""
