"""The score of generated events, and pictures of their distributions."""

from collections.abc import Mapping, Sequence

import numpy as np

from problems.cases.events.observables import MUON_MASS_GEV, OBSERVABLES, observables
from problems.cases.events.two_sample import (
    classifier_auc,
    coverage_and_density,
    distance_in_floors,
)
from problems.interfaces.pictures import Curve, Picture
from problems.interfaces.problem import Metric
from problems.interfaces.types import Array, Batch

SHELL_TOLERANCE = 1e-6
"""Largest difference of E^2 and p^2 + m^2, over E^2."""

AZIMUTH_CELLS = 6
"""Cells of the map of both azimuths along each axis."""

PICTURE_BINS = 40
PICTURED = ("mass", "pt_minus", "pair_pt", "pair_rapidity", "cos_star")

METRICS = (
    Metric("wasserstein", "1", "mean distance of the observables, in floors of the reference"),
    Metric("worst_wasserstein", "1", "largest distance of an observable, in floors"),
    *(Metric(f"wasserstein_{name}", "1", f"distance of {name}, in floors") for name in OBSERVABLES),
    Metric("azimuth_map", "1", "total variation of the frequencies of both azimuths"),
    Metric("unphysical", "1", "share of events off their mass shells"),
)

ONCE = (
    Metric("auc", "1", "area under the ROC curve of trees that tell events from the reference"),
    Metric("coverage", "1", "share of reference events with a near event", higher_is_better=True),
    Metric("density", "1", "events in a neighbourhood, over the reference's"),
)
"""Metrics that don't exist for resamples, which hold events several times."""


def score(predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:  # noqa: ARG001 - a score's signature
    """Return the metrics, the error that is minimised first.

    Args:
        predicted: Drawn events.
        reference: As many events of the reference.
        inputs: Not used: both have the same energies.
    """
    drawn, true = observables(predicted["leptons"]), observables(reference["leptons"])
    distances = {name: distance_in_floors(drawn[name], true[name]) for name in OBSERVABLES}
    metrics = {
        "wasserstein": float(np.mean(list(distances.values()))),
        "worst_wasserstein": max(distances.values()),
        **{f"wasserstein_{name}": value for name, value in distances.items()},
        "azimuth_map": _azimuth_difference(drawn, true),
        "unphysical": float(np.mean(_off_shell(predicted["leptons"]))),
    }
    if len(np.unique(true["mass"])) < len(true["mass"]):
        return metrics
    rows, reference_rows = (np.stack(list(each.values()), axis=1) for each in (drawn, true))
    coverage, density = coverage_and_density(rows, reference_rows)
    auc = classifier_auc(rows, reference_rows)
    return {**metrics, "auc": auc, "coverage": coverage, "density": density}


def _azimuth_difference(drawn: Mapping[str, Array], true: Mapping[str, Array]) -> float:
    """Return half the sum of differences of the frequencies of both azimuths."""
    limits = ((-np.pi, np.pi), (-np.pi, np.pi))
    maps = [
        np.histogram2d(each["phi_minus"], each["phi_plus"], AZIMUTH_CELLS, limits)[0]
        / len(each["phi_minus"])
        for each in (drawn, true)
    ]
    return 0.5 * float(np.abs(maps[0] - maps[1]).sum())


def _off_shell(leptons: Array) -> Array:
    """Return which events (b,) have a muon off its mass shell."""
    energy2 = leptons[..., 3] ** 2
    shell = np.sum(leptons[..., :3] ** 2, axis=-1) + MUON_MASS_GEV**2
    off = np.abs(energy2 - shell) > SHELL_TOLERANCE * energy2
    return np.any(off | (leptons[..., 3] <= 0.0), axis=1)


def distribution_pictures(
    predicted: Batch,
    reference: Batch,
    inputs: Batch,  # noqa: ARG001 - the signature of pictures
) -> Sequence[Picture]:
    """Return the distributions of some observables, drawn events over the reference.

    Args:
        predicted: Drawn events.
        reference: Events of the reference.
        inputs: Not used.
    """
    drawn, true = observables(predicted["leptons"]), observables(reference["leptons"])
    pictures: list[Picture] = []
    for name in PICTURED:
        low, high = map(float, np.quantile(true[name], (0.005, 0.995)))
        edges = np.linspace(low, high, PICTURE_BINS + 1)
        middles = tuple(map(float, 0.5 * (edges[1:] + edges[:-1])))
        curves = tuple(
            Curve(label, middles, _frequencies(values[name], edges), reference=is_reference)
            for label, values, is_reference in (("reference", true, True), ("drawn", drawn, False))
        )
        pictures.append(Picture(f"Distribution of {name}", name, "share of events", curves))
    return pictures


def _frequencies(values: Array, edges: Array) -> tuple[float, ...]:
    """Return the share of all values (n,) in each bin between edges (k + 1,)."""
    return tuple(map(float, np.histogram(values, edges)[0] / len(values)))
