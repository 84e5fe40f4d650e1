"""The file that `simstead new` writes."""
