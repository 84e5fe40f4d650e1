"""The final evaluation: finalists timed and scored once more, recommended networks retrained."""
