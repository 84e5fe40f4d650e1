"""Reports of runs: data are computed first and drawn second, without Ray or PyTorch."""
