"""Comparisons of two samples of events: marginal distributions, classifiers and copies."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.stats import rankdata, wasserstein_distance

from problems.baselines.library import scikit_learn
from problems.interfaces.types import Array

TREES, FEWEST_TREES, LARGEST_LEAF = 100, 20, 20
"""Trees of a classifier with many events and with few, and fewest events of a leaf with many."""

HALVES = 2
NEIGHBOURS = 5


def wasserstein_floor(sample: Array) -> float:
    """Return the expected Wasserstein-1 distance between two samples of this size and distribution.

    For large samples the difference of two empirical distributions is normal at every point, with
    variance 2 F (1 - F) / n. Source: Bobkov & Ledoux, Memoirs of the AMS 261 (2019) no. 1259.

    Args:
        sample: One observable of n events (n,).
    """
    ordered = np.sort(sample)
    below = np.arange(1, len(ordered)) / len(ordered)
    spread = np.sqrt(below * (1.0 - below))
    return float(np.sqrt(4.0 / (np.pi * len(ordered))) * np.sum(np.diff(ordered) * spread))


def distance_in_floors(sample: Array, reference: Array) -> float:
    """Return the Wasserstein-1 distance of two samples (n,) over the floor of the reference.

    It is 0 for the reference itself, and about 1 for another sample of the same distribution.

    Args:
        sample: One observable of n events.
        reference: The same observable of as many events of the reference.
    """
    distance = float(wasserstein_distance(sample, reference))
    floor = wasserstein_floor(reference)
    return distance / floor if floor > 0.0 else float(distance > 0.0)


@dataclass(frozen=True)
class Classification:
    """How boosted trees classified the events of two samples of n events.

    Args:
        drawn: Probability (n,) that a drawn event belongs to the reference, by trees that were
            fitted to the other half of the events.
        reference: The same of each event of the reference.
        half: The half (n,) that the i-th events of both samples are in, 0 or 1.
    """

    drawn: Array
    reference: Array
    half: Array

    def auc(self, index: Array | None = None) -> float:
        """Return the area under the ROC curve, the mean of both halves.

        It is 0.5 where the samples are alike; `auc_deviation` is its standard deviation then.

        Args:
            index: Indices (m,) of the events of a resample; by default all events.
        """
        chosen = np.arange(len(self.half)) if index is None else index
        areas = [
            winning_share(self.reference[rows], self.drawn[rows])
            for half in range(HALVES)
            if len(rows := chosen[self.half[chosen] == half])
        ]
        return float(np.mean(areas))


def classify(sample: Array, reference: Array, seed: int = 0) -> Classification:
    """Return how boosted trees tell a sample from the reference.

    Each half of the events is classified by trees that were fitted to the other half. The i-th
    events of both samples are in the same half, so that equal samples have an area of exactly 0.5.
    Source: Lopez-Paz & Oquab, Revisiting classifier two-sample tests, ICLR 2017.

    Args:
        sample: Observables (n, k).
        reference: Observables of the reference (n, k).
        seed: Seed of the division into halves.

    Raises:
        UserError: scikit-learn is not installed.
    """
    n = len(sample)
    half = np.random.default_rng(seed).permutation(n) % HALVES
    trees = scikit_learn("ensemble").HistGradientBoostingClassifier
    drawn, true = np.full(n, 0.5), np.full(n, 0.5)
    for left_out in range(HALVES if n >= 2 * HALVES else 0):
        fitted, others = half != left_out, half == left_out
        rows = np.concatenate([sample[fitted], reference[fitted]])
        model = trees(
            max_iter=min(TREES, max(FEWEST_TREES, n // 20)),
            min_samples_leaf=min(LARGEST_LEAF, max(2, len(rows) // 16)),
            early_stopping=False,
            random_state=seed,
        )
        model.fit(rows, np.repeat([False, True], len(rows) // 2))
        drawn[others] = model.predict_proba(sample[others])[:, 1]
        true[others] = model.predict_proba(reference[others])[:, 1]
    return Classification(drawn, true, half)


def auc_deviation(n: int) -> float:
    """Return the standard deviation of the area for two samples of n alike events.

    That is the deviation of the rank statistic of Mann & Whitney (1947) without a difference.

    Args:
        n: Number of events of each sample.
    """
    return float(np.sqrt((2.0 * n + 1.0) / (12.0 * n * n)))


def nearest_distances(sample: Array, training: Array) -> Array:
    """Return the distance (n,) of each event to the nearest training event.

    Observables are divided by their standard deviations in training.

    Args:
        sample: Observables of events (n, k).
        training: Observables of the training events (t, k).
    """
    scale = training.std(axis=0)
    return KDTree(training / scale).query(sample / scale)[0]


def coverage_and_density(sample: Array, reference: Array) -> tuple[float, float]:
    """Return the coverage and the density of a sample by the neighbourhoods of the reference.

    A neighbourhood reaches to the fifth neighbour of an event. Coverage is the share of them that
    contain a drawn event (0.97 for samples of the same distribution and size); density is the mean
    number of them that a drawn event lies in, over five (1 there). Source: Naeem et al., Reliable
    fidelity and diversity metrics for generative models, ICML 2020.

    Args:
        sample: Observables of drawn events (n, k).
        reference: Observables of the reference (m, k).
    """
    scale = reference.std(axis=0)
    points, drawn = reference / scale, KDTree(sample / scale)
    radii = KDTree(points).query(points, k=NEIGHBOURS + 1)[0][:, -1]
    inside = np.asarray(drawn.query_ball_point(points, radii, return_length=True))
    return float(np.mean(inside > 0)), float(np.sum(inside) / (NEIGHBOURS * len(sample)))


def winning_share(values: Array, others: Array) -> float:
    """Return the probability that a value (n,) is larger than one of the others (m,).

    Ties count half. It is the statistic of Mann & Whitney (1947) over its maximum.

    Args:
        values: The values.
        others: Those with which they are compared.
    """
    ranks = rankdata(np.concatenate([values, others]))[: len(values)]
    return float(np.mean(ranks) - 0.5 * (len(values) + 1)) / len(others)
