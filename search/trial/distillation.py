"""Further training samples, whose inputs cost nothing and whose outputs a teacher predicts.

A network learns from the predictions of an accurate but slow model what the few samples of the
reference don't show (Bucila, Caruana & Niculescu-Mizil, KDD 2006, 535; Hinton, Vinyals & Dean,
arXiv:1503.02531).
"""

import numpy as np
from scipy.spatial import KDTree

from problems import Array, Batch, Problem, Run, Split
from problems.baselines.training_rows import InputScaling
from problems.data.dataset import concatenate_splits
from problems.data.missing import field_medians, filled_batch
from problems.data.simulate import (
    concatenate_batches,
    finite_samples,
    run_isolating_failures,
)
from problems.entrance.calls import user_code_errors
from problems.interfaces.types import take_samples
from search.watchdog import reset_watchdog

NEIGHBOURS = 5
"""A recorded sample is moved towards one of so many nearest ones."""

PREDICTED_AT_ONCE = 512
"""Samples in a call of the teacher, so that its memory doesn't grow with their number."""


class NoTeacherError(Exception):
    """A candidate wants samples of a teacher, and there is none."""


def with_labelled(
    problem: Problem, train: Split, teacher: Run | None, samples: int, seed: int
) -> Split:
    """Return the training split with further samples; those whose prediction fails are left out.

    Args:
        problem: The problem.
        train: The training split.
        teacher: Predicts the outputs.
        samples: Number of further samples.
        seed: Seed of their inputs.

    Raises:
        NoTeacherError: There is no teacher.
        UserError: `draw` raises, or the teacher lacks a field of the outputs.
    """
    if teacher is None:
        raise NoTeacherError("no standard baseline could be fitted that predicts further outputs")
    rng = np.random.default_rng([seed, samples])
    inputs = _new_inputs(problem, train, samples, rng)
    parts: list[Batch] = []
    for first in range(0, samples, PREDICTED_AT_ONCE):
        reset_watchdog()
        part = take_samples(inputs, slice(first, first + PREDICTED_AT_ONCE))
        with np.errstate(all="ignore"):
            predicted, _ = run_isolating_failures(
                teacher, problem.outputs, part, rng, "the teacher"
            )
        parts.append(predicted)
    together = concatenate_batches(parts)
    outputs = {f.name: np.clip(together[f.name], *f.valid) for f in problem.outputs}
    valid = np.flatnonzero(finite_samples(outputs, samples))
    labelled = Split(take_samples(inputs, valid), take_samples(outputs, valid))
    return concatenate_splits([train, labelled])


def _new_inputs(problem: Problem, train: Split, n: int, rng: np.random.Generator) -> Batch:
    """Return n inputs: drawn as those of training are or, for recorded data, between these."""
    if problem.simulation is None:
        return interpolated_inputs(train.inputs, n, rng)
    with user_code_errors("draw"):
        drawn = problem.simulation.draw(n, rng)
    return {field.name: np.array(drawn[field.name]) for field in problem.inputs}


def interpolated_inputs(inputs: Batch, n: int, rng: np.random.Generator) -> Batch:
    """Return n inputs, each a random point between a sample and one of its nearest neighbours.

    They lie in the convex hull of the samples. A field of whole numbers, such as a class or a
    count, keeps the values of the first of both samples (Chawla et al., Journal of Artificial
    Intelligence Research 16 (2002) 321), and so does a value that is missing in one of them.

    Args:
        inputs: Inputs of b samples.
        n: Number of samples.
        rng: Generator of the choice.
    """
    present = filled_batch(inputs, field_medians(inputs))
    rows = np.concatenate([array.reshape(len(array), -1) for array in present.values()], axis=1)
    flat = InputScaling.of(rows)(rows)
    first = rng.integers(len(flat), size=n)
    _, nearest = KDTree(flat).query(flat[first], k=min(NEIGHBOURS + 1, len(flat)))
    nearest = np.reshape(nearest, (n, -1))[:, 1:]  # the first one is the sample itself
    other = nearest[np.arange(n), rng.integers(nearest.shape[1], size=n)]
    share = rng.uniform(size=n)
    return {name: _between(array, first, other, share) for name, array in inputs.items()}


def _between(array: Array, first: Array, other: Array, share: Array) -> Array:
    """Return the points (n, ...) at shares (n,) of the ways between two samples each."""
    if array.dtype.kind != "f" or np.array_equal(array, np.round(array), equal_nan=True):
        return array[first]
    weight = share.reshape(-1, *(1 for _ in array.shape[1:]))
    moved = array[first] + weight * (array[other] - array[first])
    return np.where(np.isnan(moved), array[first], moved)
