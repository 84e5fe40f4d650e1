"""Ready-made encodings and their parts."""
