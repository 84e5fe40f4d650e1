"""Trials on Ray workers, run by Tune."""
