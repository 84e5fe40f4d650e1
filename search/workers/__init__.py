"""Trials on Ray's workers, by Tune."""
