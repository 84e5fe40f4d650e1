"""The life of a trial: preparation, training, scoring."""
