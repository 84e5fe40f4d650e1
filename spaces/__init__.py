"""What may replace a simulation: networks, number formats, pruning and runtimes."""
