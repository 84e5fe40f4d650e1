"""Goals, baselines, objective values and recommendations."""
