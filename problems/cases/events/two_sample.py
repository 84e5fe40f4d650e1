"""Comparisons of two samples of events: marginal distributions, classifiers and copies."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree
from scipy.stats import wasserstein_distance

from problems.baselines.library import scikit_learn
from problems.interfaces.types import Array

TREES, FEWEST_TREES, LARGEST_LEAF = 100, 20, 20
"""Trees of a classifier with many events and with few, and fewest events of a leaf with many."""

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


class PairedRanks:
    """The order of two samples of n numbers, by which shares of resamples are computed quickly.

    Args:
        values: The numbers (n,).
        others: Those with which they are compared (n,).
    """

    def __init__(self, values: Array, others: Array) -> None:
        ranks = np.unique(np.concatenate([values, others]), return_inverse=True)[1]
        self._values, self._others = ranks[: len(values)], ranks[len(values) :]
        self._size = int(ranks.max(initial=-1)) + 1

    def winning_share(self, times: Array) -> float:
        """Return the probability that a value is larger than one of the others, ties counted half.

        It is the statistic of Mann & Whitney (1947) over its maximum.

        Args:
            times: How often a resample holds the i-th value and the i-th of the others (n,).
        """
        values = np.bincount(self._values, times, self._size)
        others = np.bincount(self._others, times, self._size)
        return float(values @ (np.cumsum(others) - 0.5 * others) / times.sum() ** 2)


@dataclass(frozen=True)
class Classification:
    """How boosted trees classified the events of two samples of n events.

    Args:
        halves: Indices (m,) of the events of each half.
        ranks: Ranks of the probabilities to belong to the reference that trees, fitted to the other
            half, give to events of the reference and to drawn ones.
    """

    halves: tuple[Array, ...]
    ranks: tuple[PairedRanks, ...]

    def auc(self, times: Array) -> float:
        """Return the area under the ROC curve, the mean of the halves that a resample has.

        It is 0.5 where the samples are alike; `auc_deviation` bounds its standard deviation then.

        Args:
            times: How often a resample holds the i-th events (n,).
        """
        areas = [
            ranks.winning_share(times[rows])
            for rows, ranks in zip(self.halves, self.ranks, strict=True)
            if times[rows].any()
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
    halves = np.array_split(np.random.default_rng(seed).permutation(n), 2)
    ranks: list[PairedRanks] = []
    for left_out, fitted in zip(halves, reversed(halves), strict=True):
        tested = reference[left_out], sample[left_out]
        if not len(fitted):  # a single event
            ranks.append(PairedRanks(*np.zeros((2, len(left_out)))))
            continue
        rows = np.concatenate([sample[fitted], reference[fitted]])
        model = scikit_learn("ensemble").HistGradientBoostingClassifier(
            max_iter=min(TREES, max(FEWEST_TREES, n // 20)),
            min_samples_leaf=min(LARGEST_LEAF, max(2, len(rows) // 16)),
            early_stopping=False,
            random_state=seed,
        )
        model.fit(rows, np.repeat([False, True], len(fitted)))
        ranks.append(PairedRanks(*(model.predict_proba(each)[:, 1] for each in tested)))
    return Classification(tuple(halves), tuple(ranks))


def auc_deviation(n: int) -> float:
    """Return the largest standard deviation of the area for two samples of n alike events.

    The rank statistic of Mann & Whitney (1947) has this deviation for half of the events. That of
    the mean of both halves may be as large, because trees of each half are tested on the other:
    what is common to both by chance raises both areas.

    Args:
        n: Number of events of each sample.
    """
    half = n / 2.0
    return float(np.sqrt((2.0 * half + 1.0) / (12.0 * half * half)))


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
