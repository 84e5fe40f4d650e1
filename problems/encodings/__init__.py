"""Ready-made encodings, and what encodings are built from."""
