"""The training events themselves as a generator: repeated exactly, or with random errors."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.events.observables import rescaled
from problems.cases.events.schema import MUON_PAIRS, EventSchema
from problems.interfaces.types import Array, Batch, Run, Split

SIMILAR_SHARE = 0.1
"""Share of the training events, those nearest in energy, of which one is drawn."""


@dataclass(frozen=True)
class TrainingEvents:
    """Draws one of the training events of similar energy, with replacement.

    Args:
        error: Relative standard deviation of the errors that momenta receive; with 0 events are
            copied.
        schema: The process.
    """

    IDENTITY: ClassVar[str] = "events/training-events"

    error: float = 0.0
    schema: EventSchema = MUON_PAIRS

    def fit(self, train: Split) -> Run:
        """Return the generator of events of the training split."""
        energy = np.asarray(train.inputs["energy"], float)
        order = np.argsort(energy)
        events = {name: np.asarray(values)[order] for name, values in train.outputs.items()}
        return DrawnEvents(energy[order], events, self.error, self.schema.momenta)


@dataclass(frozen=True)
class DrawnEvents:
    """Events in memory, in the order of their energies.

    Args:
        energy: Energy of each event in increasing order (n,) [TeV].
        events: The events (n, ...).
        error: Relative standard deviation of the errors of momenta.
        momenta: Names of the fields with momenta (n, objects, 4).
    """

    energy: Array
    events: Batch
    error: float
    momenta: tuple[str, ...]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return drawn events (b, ...)."""
        n = len(self.energy)
        similar = int(np.ceil(SIMILAR_SHARE * n))
        place = np.searchsorted(self.energy, np.asarray(inputs["energy"], float))
        first = np.clip(place - similar // 2, 0, n - similar)
        index = first + rng.integers(similar, size=len(first))
        events = {name: values[index] for name, values in self.events.items()}
        for name in self.momenta:
            factors = np.exp(self.error * rng.standard_normal(events[name].shape[:-1]))
            events[name] = rescaled(events[name], factors)
        return events
