"""A classical model of gas optics: linear regression, on the states and transforms of `layer`."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from problems.core import Array, Batch, Split, Surrogate
from problems.radiation.encodings import Layer
from problems.radiation.simulation import LongwaveColumns

SEED = 0


@dataclass(frozen=True)
class LinearRegression:
    """Transformed optics of a layer as a linear function of its state, solved as any other.

    It is fitted when it is first called, to columns drawn as those of the training split are.

    Args:
        simulation: What draws them, near training sites.
        columns: How many.
    """

    simulation: LongwaveColumns
    columns: int = 256

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the fluxes."""
        return _fitted(self).run(inputs, rng)


@dataclass(frozen=True, eq=False)
class _Linear:
    """A linear network of standardised inputs and answers."""

    weights: Array

    def __call__(self, inputs: Array) -> Array:
        """Return answers (n, o)."""
        return inputs @ self.weights


@lru_cache
def _fitted(regression: LinearRegression) -> Surrogate:
    simulation = regression.simulation
    drawn = simulation.draw(regression.columns, np.random.default_rng(SEED))
    train = Split(drawn, {})
    encoding = Layer(simulation.distribution).fit(train)
    pairs = encoding.pairs(train)
    weights = np.linalg.lstsq(pairs.inputs, pairs.targets)[0]
    return Surrogate(encoding, _Linear(weights))
