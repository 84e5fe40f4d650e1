"""Metrics and pictures of predicted stability: ranking, calibration and saved compute.

Foresight is scored on the systems that outlive the longest short run on offer: a surrogate that has
run a system until its Hill contact has not foreseen it. All surrogates and baselines are scored on
the same systems, whatever they run themselves.

Where all systems of a batch are stable, or all are unstable, no ranking exists; the docstrings of
functions state what they return in that case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.stability.time_distribution import LEVELS, MEDIAN, log_time
from problems.interfaces.binary_curves import (
    area_above_roc,
    calibration_curve,
    calibration_error,
    roc_curve,
)
from problems.interfaces.pictures import Curve, Picture
from problems.interfaces.problem import Metric
from problems.interfaces.types import Array, Batch

TRUE_POSITIVE_RATE = 0.9
TARGET_RECALL = 0.99
"""Share of the systems of interest that a sweep keeps."""

CURVE_POINTS = 128
"""Largest number of points of a curve; a report contains a dozen such curves."""

METRICS = (
    Metric(
        "ranking_error",
        "1",
        "1 - AUC of foresight: share of (stable, unstable) pairs in the wrong order, among systems "
        "that outlive the longest short run",
    ),
    Metric(
        "false_positive_rate",
        "1",
        "share of the unstable ones among these systems that pass the threshold which 90 % of the "
        "stable ones pass",
    ),
    Metric(
        "ranking_error_of_all",
        "1",
        "the same error among all systems, those included that meet within the longest short run",
    ),
    Metric(
        "met_found",
        "1",
        "share of the systems that meet within the longest short run to which the surrogate gives "
        "a probability of stability below 0.5",
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
    Metric(
        "contact_error",
        "dex",
        "rms error of log10 of the median time of contact, of the unstable systems that outlive "
        "the longest short run",
    ),
    Metric(
        "contact_score",
        "dex",
        "quantile score of log10 of the time of contact of these systems: mean over the quantiles "
        "of twice the pinball loss, which approximates the continuous ranked probability score",
    ),
    Metric(
        "coverage_error_50",
        "1",
        "difference between 50 % and the share of unstable systems with a contact between the 25 "
        "and the 75 % quantile, those left out whose contact the surrogate has seen",
    ),
    Metric("coverage_error_90", "1", "the same for 90 %, the 5 and the 95 % quantile"),
)


@dataclass(frozen=True)
class SurvivalScore:
    """Scores predicted stability, by what was foreseen.

    Args:
        longest_run_orbits: Length of the longest short run of an encoding or baseline, in innermost
            orbits.
    """

    IDENTITY: ClassVar[str] = "stability/score"

    longest_run_orbits: float

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:  # noqa: ARG002 - a score's signature
        """Return the metrics, the error that is minimised first."""
        probability, stable = predicted["stable"], reference["stable"] > 0.5
        skipped = probability < recall_threshold(probability, stable)
        unstable = 1.0 - probability
        regular = unstable < recall_threshold(unstable, ~stable)
        time = reference["survival"]
        ahead = self.outlives(time)
        return {
            "ranking_error": ranking_error(probability[ahead], stable[ahead]),
            "false_positive_rate": false_positive_rate(probability[ahead], stable[ahead]),
            "ranking_error_of_all": ranking_error(probability, stable),
            "met_found": float(np.mean(probability[~ahead] < 0.5)) if not ahead.all() else 1.0,
            "calibration_error": calibration_error(probability, stable),
            "brier": float(np.mean((probability - stable) ** 2)),
            "compute_skipped": float(np.sum(time * skipped) / np.sum(time)),
            "compute_skipped_for_unstable": float(np.sum(time * regular) / np.sum(time)),
            "points_skipped": float(np.mean(skipped)),
            **contact_metrics(predicted["contact"], time, stable, ahead),
        }

    def outlives(self, survival: Array) -> Array:
        """Return whether each system outlives the longest short run (n,).

        Args:
            survival: Survival times (n,) in innermost orbits.
        """
        return np.asarray(survival > self.longest_run_orbits)


def ranking_error(probability: Array, stable: Array) -> float:
    """Return 1 - AUC, with ties as half; without both classes the mean absolute error."""
    if stable.all() or not stable.any():
        return float(np.mean(np.abs(probability - stable))) if len(stable) else 0.0
    return area_above_roc(probability, stable)


def false_positive_rate(probability: Array, stable: Array) -> float:
    """Return the smallest rate with 90 % true positives, interpolated; 0 without both classes."""
    if stable.all() or not stable.any():
        return 0.0
    false, true = roc_curve(probability, stable)
    reached = int(np.argmax(true >= TRUE_POSITIVE_RATE))
    ends = slice(reached - 1, reached + 1)
    return float(np.interp(TRUE_POSITIVE_RATE, true[ends], false[ends]))


def recall_threshold(probability: Array, positive: Array) -> float:
    """Return the largest threshold that keeps 99 % of the positive samples; 0 if there are none.

    The threshold is chosen on the samples that are scored, as is the threshold at 90 % true
    positives; `simstead screen` chooses it on the validation split.

    Args:
        probability: Predicted probabilities of the positive class (n,).
        positive: Whether samples are positive (n,).
    """
    if not positive.any():
        return 0.0
    kept = np.sort(probability[positive])
    return float(kept[int(np.floor((1.0 - TARGET_RECALL) * len(kept) + 1e-9))])


def contact_metrics(quantiles: Array, time: Array, stable: Array, ahead: Array) -> dict[str, float]:
    """Return the metrics of the time of contact; 0 where no system has one.

    The quantile score is that of Gneiting & Raftery, J. Am. Stat. Assoc. 102 (2007) 359.

    Args:
        quantiles: Quantiles of the time of contact (n, q) in innermost orbits.
        time: Survival times (n,) of the reference.
        stable: Whether systems survive the horizon (n,).
        ahead: Whether systems outlive the longest short run (n,).
    """
    late = ahead & ~stable
    excess = log_time(time[late])[:, None] - log_time(quantiles[late])
    levels = np.asarray(LEVELS)
    pinball = np.maximum(levels * excess, (levels - 1.0) * excess)
    shares = contact_shares(quantiles, time, stable)
    below = levels if shares is None else shares
    inner, outer = below[3] - below[1], below[4] - below[0]
    return {
        "contact_error": float(np.sqrt(np.mean(excess[:, MEDIAN] ** 2))) if late.any() else 0.0,
        "contact_score": float(2.0 * np.mean(pinball)) if late.any() else 0.0,
        "coverage_error_50": float(abs(inner - 0.5)),
        "coverage_error_90": float(abs(outer - 0.9)),
    }


def contact_shares(quantiles: Array, time: Array, stable: Array) -> Array | None:
    """Return the share of contacts before each quantile (q,), None without any to be foreseen.

    Contacts that the surrogate has seen, whose quantiles are all equal, are left out.

    Args:
        quantiles: Quantiles of the time of contact (n, q) in innermost orbits.
        time: Survival times (n,) of the reference.
        stable: Whether systems survive the horizon (n,).
    """
    unseen = ~stable & (quantiles[:, 0] < quantiles[:, -1])
    return np.mean(time[unseen, None] <= quantiles[unseen], axis=0) if unseen.any() else None


def savings_curve(probability: Array, positive: Array, time: Array) -> tuple[Array, Array]:
    """Return the shares of skipped compute and of kept positives (n + 1,), for rising thresholds.

    Args:
        probability: Predicted probabilities of the positive class (n,).
        positive: Whether samples are positive (n,).
        time: Cost of each sample (n,).
    """
    order = np.argsort(probability, kind="stable")
    skipped = np.append(0.0, np.cumsum(time[order])) / time.sum()
    kept = 1.0 - np.append(0.0, np.cumsum(positive[order])) / max(positive.sum(), 1)
    return skipped, kept


def survival_pictures(
    predicted: Batch,
    reference: Batch,
    inputs: Batch,  # noqa: ARG001 - the signature of pictures
) -> Sequence[Picture]:
    """Return the ROC curve, the calibrations, and the savings of sweeps for either class.

    Args:
        predicted: Outputs of the surrogate.
        reference: Outputs of the reference.
        inputs: Not used.
    """
    probability, stable = predicted["stable"], reference["stable"] > 0.5
    drawn: list[Picture] = []
    line = Curve("chance", (0.0, 1.0), (0.0, 1.0), reference=True)
    if stable.any() and not stable.all():
        curve = _curve("predicted", *roc_curve(probability, stable))
        labels = ("unstable systems taken for stable", "stable systems found")
        drawn.append(Picture("Stable systems found", *labels, (line, curve), equal_axes=True))
    mean_probability, frequency = (
        tuple(map(float, values)) for values in calibration_curve(probability, stable)
    )
    exact = Curve("calibrated", (0.0, 1.0), (0.0, 1.0), reference=True)
    curves = (exact, Curve("predicted", mean_probability, frequency))
    drawn.append(Picture("Calibration", "probability of survival", "share that survives", curves))
    time = reference["survival"]
    shares = contact_shares(predicted["contact"], time, stable)
    if shares is not None:
        curve = Curve("predicted", LEVELS, tuple(map(float, shares)))
        labels = ("quantile of the time of contact", "share of contacts before it")
        drawn.append(Picture("Times of contact", *labels, (exact, curve), equal_axes=True))
    for label, positive, chance, ideal in (
        ("stable", stable, probability, time),
        ("unstable", ~stable, 1.0 - probability, -time),
    ):
        best = _curve("all known", *savings_curve(ideal, positive, time), reference=True)
        curve = _curve("predicted", *savings_curve(chance, positive, time))
        labels = ("share of the integration time skipped", f"share of the {label} systems kept")
        drawn.append(Picture(f"A sweep for the {label} systems", *labels, (best, curve)))
    return drawn


def _curve(name: str, x: Array, y: Array, *, reference: bool = False) -> Curve:
    points = np.linspace(0, len(x) - 1, min(len(x), CURVE_POINTS)).round().astype(int)
    return Curve(
        name, tuple(map(float, x[points])), tuple(map(float, y[points])), reference=reference
    )
