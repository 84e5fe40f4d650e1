"""The types that problems, simulations, data and encodings are made of."""
