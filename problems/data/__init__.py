"""Data of a problem: simulated or read from files, split and cached."""
