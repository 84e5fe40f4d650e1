"""Types of problems, simulations, batches and encodings."""
