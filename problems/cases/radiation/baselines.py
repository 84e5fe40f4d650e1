"""A classical model of gas optics: linear regression with the inputs and targets of `layer`."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.radiation.encodings import LayerEncoding
from problems.cases.radiation.gas_optics import RadiationModel
from problems.interfaces.types import Array, EncodedNetwork, Run, Split


@dataclass(frozen=True)
class LinearRegression:
    """Transformed optics of a layer as a linear function of its state, followed by the solver.

    Args:
        radiation: Gas optics and solver of one part of the spectrum.
    """

    IDENTITY: ClassVar[str] = "radiation/linear-regression"

    radiation: RadiationModel

    def fit(self, train: Split) -> Run:
        """Return the regression by least squares on the training split."""
        encoding = LayerEncoding(self.radiation).fit(train)
        pairs = encoding.pairs(train)
        weights = np.linalg.lstsq(pairs.inputs, pairs.targets)[0]
        return EncodedNetwork(encoding, _Linear(weights)).run


@dataclass(frozen=True, eq=False)
class _Linear:
    """A linear network of standardised inputs and outputs."""

    weights: Array

    def __call__(self, inputs: Array) -> Array:
        """Return outputs (n, o) of inputs (n, c)."""
        return inputs @ self.weights
