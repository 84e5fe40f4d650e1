"""Comparisons of two samples of events: marginal distributions, classifiers and copies."""

import numpy as np
from scipy.spatial import KDTree
from scipy.stats import rankdata, wasserstein_distance

from problems.baselines.library import scikit_learn
from problems.interfaces.types import Array

TREES = 100
FOLDS = 2
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


def classifier_auc(sample: Array, reference: Array, seed: int = 0) -> float:
    """Return the area under the ROC curve of boosted trees that tell a sample from the reference.

    Each half of the events is classified by trees that were fitted to the other half. It is 0.5
    where both are alike; `auc_deviation` is its standard deviation then. Source: Lopez-Paz & Oquab,
    Revisiting classifier two-sample tests, ICLR 2017.

    Args:
        sample: Observables (n, k).
        reference: Observables of the reference (m, k).
        seed: Seed of the division into halves.

    Raises:
        UserError: scikit-learn is not installed.
    """
    rows = np.concatenate([sample, reference])
    is_reference = np.repeat([False, True], [len(sample), len(reference)])
    order = np.random.default_rng(seed).permutation(len(rows))
    trees = scikit_learn("ensemble").HistGradientBoostingClassifier
    areas: list[float] = []
    for fold in range(FOLDS):
        left_out = order[fold::FOLDS]
        fitted = np.setdiff1d(order, left_out)
        model = trees(max_iter=TREES, early_stopping=False, random_state=seed)
        model.fit(rows[fitted], is_reference[fitted])
        probability = model.predict_proba(rows[left_out])[:, 1]
        areas.append(_area(probability, is_reference[left_out]))
    return float(np.mean(areas))


def auc_deviation(n: int) -> float:
    """Return the standard deviation of `classifier_auc` for two samples of n alike events.

    That is the deviation of the rank statistic of Mann & Whitney (1947) without a difference.

    Args:
        n: Number of events of each sample.
    """
    return float(np.sqrt((2.0 * n + 1.0) / (12.0 * n * n)))


def copied_share(sample: Array, training: Array, reference: Array) -> float:
    """Return the share of events that are closer to a training event than the reference's are.

    It is the probability that a drawn event is closer to its nearest training event than an event
    of the reference, ties counted half: 0.5 for a generator that doesn't copy, 1 for copies.
    Source: Meehan, Chaudhuri & Dasgupta, A non-parametric test to detect data-copying in generative
    models, AISTATS 2020.

    Args:
        sample: Observables of drawn events (n, k).
        training: Observables of the training events (t, k).
        reference: Observables of events that weren't used in training (m, k).
    """
    scale = training.std(axis=0)
    tree = KDTree(training / scale)
    drawn, held_out = (tree.query(rows / scale)[0] for rows in (sample, reference))
    return _area(
        np.concatenate([held_out, drawn]), np.repeat([True, False], [len(held_out), len(drawn)])
    )


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


def _area(values: Array, positive: Array) -> float:
    """Return the probability that a positive one has the larger value, ties counted half.

    Args:
        values: A number of each event (n,).
        positive: Which events are positive (n,).
    """
    ranks, count = rankdata(values), int(positive.sum())
    wins = float(ranks[positive].sum()) - count * (count + 1) / 2.0
    return wins / (count * (len(values) - count))
