"""What S3 and names mean, decided without I/O: names, layouts, evidence, digests, classes."""
