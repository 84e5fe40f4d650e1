"""The training events themselves as a generator: repeated exactly, or with random errors."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.events.observables import TRANSVERSE, collider_coordinates, four_momenta
from problems.interfaces.types import Array, Batch, Run, Split

SIMILAR_SHARE = 0.1
"""Share of the training events, those nearest in energy, of which one is drawn."""


@dataclass(frozen=True)
class TrainingEvents:
    """Draws one of the training events of similar energy, with replacement.

    Args:
        error: Relative standard deviation of the errors that transverse momenta receive; with 0
            events are copied.
    """

    IDENTITY: ClassVar[str] = "events/training-events"

    error: float = 0.0

    def fit(self, train: Split) -> Run:
        """Return the generator of events of the training split."""
        energy = np.asarray(train.inputs["energy"], float)
        order = np.argsort(energy)
        coordinates = collider_coordinates(np.asarray(train.outputs["leptons"], float))
        return DrawnEvents(energy[order], coordinates[order], self.error)


@dataclass(frozen=True)
class DrawnEvents:
    """Events in memory, in the order of their energies.

    Args:
        energy: Energy of each event in increasing order (n,) [TeV].
        coordinates: Transverse momentum, pseudorapidity and azimuth of both muons (n, 2, 3).
        error: Relative standard deviation of the errors of transverse momenta.
    """

    energy: Array
    coordinates: Array
    error: float

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the momenta of both muons (b, 2, 4) [GeV] of drawn events."""
        n = len(self.energy)
        similar = int(np.ceil(SIMILAR_SHARE * n))
        place = np.searchsorted(self.energy, np.asarray(inputs["energy"], float))
        first = np.clip(place - similar // 2, 0, n - similar)
        coordinates = self.coordinates[first + rng.integers(similar, size=len(first))]
        factor = np.exp(self.error * rng.standard_normal(coordinates.shape[:-1]))
        coordinates[..., TRANSVERSE] *= factor
        return {"leptons": four_momenta(coordinates)}
