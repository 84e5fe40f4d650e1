"""Curves of predicted probabilities against what is true: ROC and calibration."""

import numpy as np

from problems.interfaces.types import Array

CALIBRATION_BINS = 10
"""Intervals of the probability in which frequencies are counted."""


def roc_curve(probability: Array, positive: Array) -> tuple[Array, Array]:
    """Return the rates of false and of true positives (n + 1,) for decreasing thresholds.

    Args:
        probability: Predicted probabilities (b,) of being positive.
        positive: Whether samples are positive (b,); some are and some aren't.
    """
    order = np.argsort(-probability, kind="stable")
    last = np.append(np.diff(probability[order]) != 0.0, True)
    true = np.cumsum(positive[order])[last] / positive.sum()
    false = np.cumsum(~positive[order])[last] / (~positive).sum()
    return np.append(0.0, false), np.append(0.0, true)


def area_above_roc(probability: Array, positive: Array) -> float:
    """Return 1 - AUC, with ties as half.

    Args:
        probability: Predicted probabilities (b,) of being positive.
        positive: Whether samples are positive (b,); some are and some aren't.
    """
    false, true = roc_curve(probability, positive)
    return float(1.0 - np.trapezoid(true, false))


def calibration_bins(probability: Array) -> Array:
    """Return the number of the interval of each probability (b,)."""
    return np.minimum((probability * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)


def calibration_curve(probability: Array, positive: Array) -> tuple[Array, Array]:
    """Return mean probability and share of positive samples (k,) of the intervals with samples.

    Args:
        probability: Predicted probabilities (b,) of being positive.
        positive: Whether samples are positive (b,), or 0 and 1.
    """
    bins = calibration_bins(probability)
    members = [bins == index for index in np.unique(bins)]
    mean = [probability[member].mean() for member in members]
    share = [positive[member].mean() for member in members]
    return np.array(mean), np.array(share)


def calibration_error(probability: Array, positive: Array) -> float:
    """Return the expected calibration error over equal bins.

    Source: Naeini, Cooper & Hauskrecht, AAAI 2015.

    Args:
        probability: Predicted probabilities (b,) of being positive.
        positive: Whether samples are positive (b,), or 0 and 1.
    """
    gap = np.bincount(calibration_bins(probability), weights=probability - positive)
    return float(np.sum(np.abs(gap)) / len(probability))
