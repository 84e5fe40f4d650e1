"""A run directory and the values stored in it."""
