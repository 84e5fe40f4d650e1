"""The case studies that ship with simstead: a package each, its card beside the code."""
