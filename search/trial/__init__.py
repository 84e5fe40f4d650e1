"""A candidate's life: prepared, trained, scored."""
