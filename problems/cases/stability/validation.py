"""How a predicted fate is judged: by its order, its calibration and the compute that it saves.

Where all systems of a batch share one fate nothing can be put in order: what the order is judged
by is then replaced, as each function says.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from problems.interfaces.pictures import Curve, Picture
from problems.interfaces.problem import Metric
from problems.interfaces.types import Array, Batch

FALSE_POSITIVE_RATE = 0.1
TARGET_RECALL = 0.99
"""Share of the systems that are looked for, which a sweep is to keep."""

BINS = 10

CURVE_POINTS = 128
"""Points of a curve that has one for each system; a report holds a dozen members' curves."""

METRICS = (
    Metric("ranking_error", "1", "1 - AUC: share of (stable, unstable) pairs in the wrong order"),
    Metric(
        "true_positive_rate",
        "1",
        "share of the stable systems that are found where 10 % of the unstable ones pass for such",
        higher_is_better=True,
    ),
    Metric("calibration_error", "1", "expected |probability - frequency| over ten bins"),
    Metric("brier", "1", "mean squared difference of probability and fate"),
    Metric(
        "compute_skipped",
        "1",
        "share of the sweep's integration time saved where 99 % of the stable systems are kept",
        higher_is_better=True,
    ),
    Metric(
        "compute_skipped_for_unstable",
        "1",
        "share of the sweep's integration time saved where 99 % of the unstable systems are kept",
        higher_is_better=True,
    ),
    Metric(
        "points_skipped",
        "1",
        "share of the sweep's points skipped where 99 % of the stable systems are kept",
        higher_is_better=True,
    ),
    Metric("survival_error", "dex", "rms error of log10 of the survival time"),
)


def score(predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:  # noqa: ARG001 - a score's signature
    """Return the metrics."""
    probability, stable = predicted["stable"], reference["stable"] > 0.5
    skipped = probability < recall_threshold(probability, stable)
    unstable = 1.0 - probability
    regular = unstable < recall_threshold(unstable, ~stable)
    time = reference["survival"]
    return {
        "ranking_error": ranking_error(probability, stable),
        "true_positive_rate": true_positive_rate(probability, stable),
        "calibration_error": calibration_error(probability, stable),
        "brier": float(np.mean((probability - stable) ** 2)),
        "compute_skipped": float(np.sum(time * skipped) / np.sum(time)),
        "compute_skipped_for_unstable": float(np.sum(time * regular) / np.sum(time)),
        "points_skipped": float(np.mean(skipped)),
        "survival_error": _survival_error(predicted["survival"], time),
    }


def ranking_error(probability: Array, stable: Array) -> float:
    """Return 1 - AUC, ties counting half; of one fate alone the mean distance from it."""
    if stable.all() or not stable.any():
        return float(np.mean(np.abs(probability - stable)))
    false, true = roc_curve(probability, stable)
    return float(1.0 - np.trapezoid(true, false))


def true_positive_rate(probability: Array, stable: Array) -> float:
    """Return the rate at 10 % false positives, thresholds joined by lines; 1 of one fate alone."""
    if stable.all() or not stable.any():
        return 1.0
    false, true = roc_curve(probability, stable)
    return float(np.interp(FALSE_POSITIVE_RATE, false, true))


def roc_curve(probability: Array, stable: Array) -> tuple[Array, Array]:
    """Return rates of false and true positives (n + 1,) as the threshold falls, ties together."""
    order = np.argsort(-probability, kind="stable")
    last = np.append(np.diff(probability[order]) != 0.0, True)
    true = np.cumsum(stable[order])[last] / stable.sum()
    false = np.cumsum(~stable[order])[last] / (~stable).sum()
    return np.append(0.0, false), np.append(0.0, true)


def recall_threshold(probability: Array, positive: Array) -> float:
    """Return the largest probability that keeps 99 % of what is sought; 0 keeps all, of none.

    It is chosen on the samples that it is judged on, as the rate at 10 % false positives is;
    `simstead screen` chooses on the validation split.
    """
    if not positive.any():
        return 0.0
    kept = np.sort(probability[positive])
    return float(kept[int(np.floor((1.0 - TARGET_RECALL) * len(kept) + 1e-9))])


def calibration_error(probability: Array, stable: Array) -> float:
    """Return the expected calibration error (Naeini et al. 2015) over equal bins."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    gap = np.bincount(place, weights=probability - stable, minlength=BINS)
    return float(np.sum(np.abs(gap)) / len(probability))


def _survival_error(predicted: Array, reference: Array) -> float:
    least = 1e-2
    ratio = np.log10(np.maximum(predicted, least) / np.maximum(reference, least))
    return float(np.sqrt(np.mean(ratio**2)))


def savings_curve(probability: Array, positive: Array, time: Array) -> tuple[Array, Array]:
    """Return the share of compute skipped, and of what is sought kept, as the threshold rises."""
    order = np.argsort(probability, kind="stable")
    skipped = np.append(0.0, np.cumsum(time[order])) / time.sum()
    kept = 1.0 - np.append(0.0, np.cumsum(positive[order])) / max(positive.sum(), 1)
    return skipped, kept


def pictures(predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:  # noqa: ARG001 - the protocol's
    """Return the ROC curve, the calibration, and what a sweep for either fate is spared."""
    probability, stable = predicted["stable"], reference["stable"] > 0.5
    drawn: list[Picture] = []
    line = Curve("chance", (0.0, 1.0), (0.0, 1.0), reference=True)
    if stable.any() and not stable.all():
        curve = _curve("predicted", *roc_curve(probability, stable))
        labels = ("unstable systems taken for stable", "stable systems found")
        drawn.append(Picture("Stable systems found", *labels, (line, curve), equal_axes=True))
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    there = [bin_ for bin_ in range(BINS) if (place == bin_).any()]
    said = tuple(float(probability[place == bin_].mean()) for bin_ in there)
    found = tuple(float(stable[place == bin_].mean()) for bin_ in there)
    exact = Curve("calibrated", (0.0, 1.0), (0.0, 1.0), reference=True)
    curves = (exact, Curve("predicted", said, found))
    drawn.append(Picture("Calibration", "probability of survival", "share that survives", curves))
    time = reference["survival"]
    for fate, positive, chance, known in (
        ("stable", stable, probability, time),
        ("unstable", ~stable, 1.0 - probability, -time),
    ):
        best = _curve("all known", *savings_curve(known, positive, time), reference=True)
        own = _curve("predicted", *savings_curve(chance, positive, time))
        labels = ("share of the integration time skipped", f"share of the {fate} systems kept")
        drawn.append(Picture(f"A sweep for the {fate} by this surrogate", *labels, (best, own)))
    return drawn


def _curve(name: str, x: Array, y: Array, *, reference: bool = False) -> Curve:
    few = np.linspace(0, len(x) - 1, min(len(x), CURVE_POINTS)).round().astype(int)
    return Curve(name, tuple(map(float, x[few])), tuple(map(float, y[few])), reference=reference)
