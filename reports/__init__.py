"""How a run is read: facts first, drawing second; never needs Ray or PyTorch."""
