"""What `simstead new` writes."""
