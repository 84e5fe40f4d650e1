"""The final evaluation: what is recommended, trained again, timed and scored once more."""
