"""Whether choosing inputs pays, tried on training samples whose outputs are known already.

An emulator starts with a random quarter of the samples and gets another quarter: by the rule, and
at random. It costs no simulation. The pool is only four times as large as the start,
so that the rule has less to choose from than it will have.
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from problems import Array, Problem, Split
from problems.baselines.training_rows import fixed_subset
from problems.interfaces.types import take_samples
from search.active_learning.batch import choose_batch
from search.active_learning.emulator import (
    ChoosingEmulator,
    fit_emulator,
    most_accurate_emulator,
)
from search.run.simulations import Replay, ReplayPoint

MAX_SAMPLES = 512
"""Training samples of a replay at most."""

MAX_VALIDATION = 512

STARTS = 5
"""Random quarters with which a replay starts."""

SHARES = (0.25, 0.25 * math.sqrt(2.0), 0.5)
"""Shares of the samples at which both ways are compared. Nearer to all of them both have mostly the
same ones."""

MIN_SAMPLES = 32
"""With fewer training samples nothing is replayed."""

POSTERIOR, COMMITTEE = "posterior covariance", "committee"


def validation_part(validation: Split) -> Split:
    """Return the validation samples on which errors of emulators are measured, always the same.

    Args:
        validation: The validation split.
    """
    return validation.take(fixed_subset(len(validation), MAX_VALIDATION))


class _Step(NamedTuple):
    """The errors of both ways with a number of samples, of one start."""

    samples: int
    chosen: float
    random: float


def replay_choice(
    problem: Problem,
    train: Split,
    validation: Split,
    max_rows: int,
    on_progress: Callable[[int, int], None],
) -> Replay:
    """Return the errors of the most accurate emulator with chosen and with random samples.

    Args:
        problem: The problem.
        train: The training split; at most `MAX_SAMPLES` samples of it are used.
        validation: The validation split, on which errors are measured.
        max_rows: Largest number of rows of a fit.
        on_progress: Called with (starts done, starts in all).
    """
    train = train.take(fixed_subset(len(train), min(MAX_SAMPLES, max_rows)))
    validation = validation_part(validation)
    on_progress(0, STARTS + 1)
    name = most_accurate_emulator(problem, train, validation, max_rows)
    on_progress(1, STARTS + 1)
    if name is None:
        return Replay()
    whole = fit_emulator(problem, train, name, max_rows)
    if whole is None:
        return Replay()
    method = POSTERIOR if whole.has_posterior else COMMITTEE
    if len(train) < MIN_SAMPLES:
        return Replay(emulator=name, method=method)

    def fit(samples: Split) -> ChoosingEmulator | None:
        return fit_emulator(problem, samples, name, max_rows)

    starts: list[list[_Step]] = []
    for start in range(STARTS):
        order = np.random.default_rng(start).permutation(len(train))
        starts.append(list(_replayed(fit, train, validation, order)))
        on_progress(start + 2, STARTS + 1)
    error = whole.error(validation)
    points = [
        ReplayPoint(
            samples=steps[0].samples,
            chosen=tuple(step.chosen for step in steps),
            random=tuple(step.random for step in steps),
        )
        for steps in zip(*starts, strict=True)
    ]
    last = ReplayPoint(samples=len(train), chosen=(error,) * STARTS, random=(error,) * STARTS)
    return Replay(emulator=name, method=method, points=(*points, last))


def _replayed(
    fit: Callable[[Split], ChoosingEmulator | None], train: Split, validation: Split, order: Array
) -> Iterator[_Step]:
    """Yield the errors of both ways at `SHARES` of the samples, from the first of an order on."""
    sizes = [round(len(train) * share) for share in SHARES]
    rng = np.random.default_rng(0)
    taken, rest = order[: sizes[0]], order[sizes[0] :]
    for size, following in zip(sizes, [*sizes[1:], 0], strict=True):
        emulator = fit(train.take(taken))
        error = emulator.error(validation) if emulator else math.inf
        at_random = error
        if size != sizes[0]:
            other = fit(train.take(order[:size]))
            at_random = other.error(validation) if other else math.inf
        yield _Step(size, error, at_random)
        further = max(following - size, 0)
        picked = np.arange(further)
        if emulator is not None and further:
            covariance = emulator.covariance(take_samples(train.inputs, rest), rng)
            if covariance is not None:
                picked = choose_batch(*covariance, further)
        taken, rest = np.concatenate([taken, rest[picked]]), np.delete(rest, picked)
