"""The score of generated events, and pictures of their distributions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from problems.cases.events.schema import MUON_PAIRS, EventSchema
from problems.cases.events.two_sample import (
    PairedRanks,
    classify,
    coverage_and_density,
    distance_in_floors,
    nearest_distances,
)
from problems.interfaces.pictures import Curve, Picture
from problems.interfaces.problem import Metric
from problems.interfaces.scores import ScoreOfResample
from problems.interfaces.types import Array, Batch, Split, n_samples

AZIMUTH_CELLS = 6
"""Cells of the map of both azimuths along each axis."""

MAX_TRAINING = 100_000
"""Training events among which copies are looked for, which every worker holds in memory."""

PICTURE_BINS = 40

OTHER_METRICS = (
    Metric("azimuth_map", "1", "total variation of the frequencies of both azimuths"),
    Metric("coverage", "1", "share of reference events with a near event", higher_is_better=True),
    Metric(
        "density", "1", "events in a neighbourhood, over the reference's", higher_is_better=True
    ),
    Metric("unphysical", "1", "share of events off their mass shells or outside of cuts"),
    Metric("copied", "1", "probability to be nearer to training events than the reference is"),
)


@dataclass(frozen=True)
class EventScore:
    """How well the frequencies of drawn events agree with the reference.

    Args:
        schema: The process.
        training: Invariant observables (t, k) of training events, which `fit` sets; without them
            copies of training events aren't looked for.
    """

    IDENTITY: ClassVar[str] = "events/score"

    schema: EventSchema = MUON_PAIRS
    training: Array | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The figures, of which the first is minimised."""
        return (
            Metric(
                "separation", "1", "difference from 0.5 of the AUC of trees that tell events apart"
            ),
            Metric(
                "auc", "1", "area under the ROC curve of trees that tell events from the reference"
            ),
            Metric(
                "wasserstein", "1", "mean distance of the observables, in floors of the reference"
            ),
            Metric("worst_wasserstein", "1", "largest distance of an observable, in floors"),
            *(
                Metric(f"wasserstein_{name}", "1", f"distance of {name}, in floors")
                for name in self.schema.names
            ),
            *OTHER_METRICS,
        )

    def fit(self, train: Split) -> "EventScore":
        """Return the score with the training events, or with the first `MAX_TRAINING` of them."""
        events = {name: values[:MAX_TRAINING] for name, values in train.outputs.items()}
        return replace(self, training=self.schema.invariants(events))

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:
        """Return the metrics, the error that is minimised first.

        Args:
            predicted: Drawn events.
            reference: As many events of the reference.
            inputs: Not used: both have the same energies.
        """
        drawn, true = (self.schema.observables(batch) for batch in (predicted, reference))
        distances = {name: distance_in_floors(drawn[name], true[name]) for name in true}
        coverage, density = coverage_and_density(
            *(self.schema.invariants(batch) for batch in (predicted, reference))
        )
        score_of_resample = self.resampled(predicted, reference, inputs)
        return {
            **score_of_resample(np.arange(n_samples(reference))),
            "wasserstein": float(np.mean(list(distances.values()))),
            "worst_wasserstein": max(distances.values()),
            **{f"wasserstein_{name}": value for name, value in distances.items()},
            "azimuth_map": _azimuth_difference(drawn, true, self.schema.azimuths),
            "coverage": coverage,
            "density": density,
        }

    def resampled(self, predicted: Batch, reference: Batch, inputs: Batch) -> ScoreOfResample:  # noqa: ARG002 - the signature of scores
        """Return the metrics of a resample that have a meaning for it.

        Trees are fitted once, and the AUC is that of their probabilities. Distances between the
        distributions of resamples are larger than those of the samples, and are left out.
        """
        drawn, true = (
            np.stack(list(self.schema.observables(batch).values()), axis=1)
            for batch in (predicted, reference)
        )
        n, classification = len(true), classify(drawn, true)
        unphysical = self.schema.is_unphysical(predicted)
        distances = self._distance_ranks(predicted, reference)

        def score(index: Array) -> Mapping[str, float]:
            times = np.bincount(index, minlength=n)
            auc = classification.auc(times)
            metrics = {
                "separation": abs(auc - 0.5),
                "auc": auc,
                "unphysical": float(np.mean(unphysical[index])),
            }
            if distances is None:
                return metrics
            return {**metrics, "copied": distances.winning_share(times)}

        return score

    def _distance_ranks(self, predicted: Batch, reference: Batch) -> PairedRanks | None:
        """Return how the distances of events to training events compare, None without these."""
        if self.training is None:
            return None
        true, drawn = (
            nearest_distances(self.schema.invariants(batch), self.training)
            for batch in (reference, predicted)
        )
        return PairedRanks(true, drawn)


def _azimuth_difference(
    drawn: Mapping[str, Array], true: Mapping[str, Array], names: tuple[str, str]
) -> float:
    """Return half the sum of differences of the frequencies of two azimuths."""
    limits = ((-np.pi, np.pi), (-np.pi, np.pi))
    maps = [
        np.histogram2d(each[names[0]], each[names[1]], AZIMUTH_CELLS, limits)[0]
        / len(each[names[0]])
        for each in (drawn, true)
    ]
    return 0.5 * float(np.abs(maps[0] - maps[1]).sum())


@dataclass(frozen=True)
class DistributionPictures:
    """Distributions of some observables, drawn events over the reference.

    Args:
        schema: The process.
    """

    IDENTITY: ClassVar[str] = "events/pictures"

    schema: EventSchema = MUON_PAIRS

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:  # noqa: ARG002 - the signature of pictures
        """Return a picture for each observable.

        Args:
            predicted: Drawn events.
            reference: Events of the reference.
            inputs: Not used.
        """
        drawn, true = (self.schema.observables(batch) for batch in (predicted, reference))
        pictures: list[Picture] = []
        for name in self.schema.pictured:
            low, high = map(float, np.quantile(true[name], (0.005, 0.995)))
            edges = np.linspace(low, high, PICTURE_BINS + 1)
            middles = tuple(map(float, 0.5 * (edges[1:] + edges[:-1])))
            curves = tuple(
                Curve(label, middles, _frequencies(values[name], edges), reference=is_reference)
                for label, values, is_reference in (
                    ("reference", true, True),
                    ("drawn", drawn, False),
                )
            )
            title = f"Distribution of {name}"
            pictures.append(Picture(title, name, "share of events", curves))
        return pictures


def _frequencies(values: Array, edges: Array) -> tuple[float, ...]:
    """Return the share of all values (n,) in each bin between edges (k + 1,)."""
    return tuple(map(float, np.histogram(values, edges)[0] / len(values)))
