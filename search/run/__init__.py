"""A run directory and the values that lie in it."""
