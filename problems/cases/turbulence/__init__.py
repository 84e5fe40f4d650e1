"""Turbulence and its large-eddy simulation."""
