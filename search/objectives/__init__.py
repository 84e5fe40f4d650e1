"""What is made small: goals, baselines to be bettered, and what is recommended."""
