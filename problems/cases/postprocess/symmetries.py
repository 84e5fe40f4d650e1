"""Symmetries of turbulence on a periodic square: quarter turns and reflections."""

import numpy as np

from problems.interfaces.problem import Symmetry
from problems.interfaces.types import Array, Batch


def _turned(values: Array) -> Array:
    """Return fields (b, n, n) turned by 90 degrees about the point with index (0, 0)."""
    return np.roll(np.rot90(values, axes=(1, 2)), 1, axis=1)


def _reflected(values: Array) -> Array:
    """Return fields (b, n, n) of vorticity, which changes its sign, reflected along x."""
    return -np.roll(values[:, :, ::-1], 1, axis=2)


def _quarter_turn_of_start(batch: Batch) -> Batch:
    return {**batch, "start": _turned(batch["start"])}


def _quarter_turn_of_end(batch: Batch) -> Batch:
    return {"vorticity": _turned(batch["vorticity"])}


def _reflection_of_start(batch: Batch) -> Batch:
    return {**batch, "start": _reflected(batch["start"])}


def _reflection_of_end(batch: Batch) -> Batch:
    return {"vorticity": _reflected(batch["vorticity"])}


SYMMETRIES = (
    Symmetry("rotation by 90 degrees (C4)", _quarter_turn_of_start, _quarter_turn_of_end),
    Symmetry("reflection along x", _reflection_of_start, _reflection_of_end),
)
