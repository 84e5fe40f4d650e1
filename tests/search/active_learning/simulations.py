"""A simulation for the tests of active learning: quick, smooth, and failing in a corner."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from problems import (
    Batch,
    Dataset,
    Field,
    FlatEncoding,
    NormalisedError,
    Problem,
    Samples,
)
from problems.data.dataset import generate

INPUTS = (Field("x"), Field("y"))
OUTPUTS = (Field("z"),)


@dataclass(frozen=True)
class Waves:
    """z = sin(3 x) cos(2 y) on a square, in a corner of which it fails.

    Args:
        fails_above: Smallest x + y of the samples that fail.
    """

    fails_above: float = 1.8

    inputs = INPUTS
    outputs = OUTPUTS

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return points of the square."""
        return {name: rng.uniform(-1.0, 1.0, n) for name in ("x", "y")}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return z (b,)."""
        x, y = inputs["x"], inputs["y"]
        return {"z": np.where(x + y > self.fails_above, np.nan, np.sin(3.0 * x) * np.cos(2.0 * y))}


def make_problem(**fields: Any) -> Problem:
    """Return a problem of few samples.

    Args:
        **fields: Of the problem.
    """
    ordinary: dict[str, Any] = {
        "name": "waves",
        "simulation": Waves(),
        "encodings": {"flat": FlatEncoding(INPUTS, OUTPUTS)},
        "score": NormalisedError(OUTPUTS),
        "samples": Samples(48, 24, 16, 0),
    }
    return Problem(**ordinary | fields)


def make_data(problem: Problem, folder: Path) -> Dataset:
    """Return the data of a problem."""
    return generate(problem, folder)


def call(function: Any, *arguments: Any, on_message: Any = None, limit_s: float = 0.0) -> Any:  # noqa: ARG001 - of a call
    """Return the result of a function called here, with messages."""
    return partial(function, *arguments)(*([on_message] if on_message else []))
