"""Fits and scores the baselines that every problem gets, each within a limit of time and memory.

Each is fitted by a call of its own to the isolated process. One that takes too long, or that can't
be fitted, is left out with the reason, and the search goes on.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from problems import Dataset, Problem, Run, Size, Split, UserError
from problems.baselines.fitting import (
    TINY_ROWS,
    EncodedRows,
    FittedStandardBaseline,
    affordable_samples,
    encode_rows,
    fit_mean,
    fit_model,
    fit_standard_baseline,
)
from problems.baselines.standard import MEAN, StandardBaseline, fit_zero, standard_baselines
from problems.baselines.training_rows import Method
from problems.entrance.calls import Call, CallFailedError
from problems.interfaces.types import Remembers, RollsForward
from search.run.records import StandardBaselineSummary
from search.trial.scoring import score_split

FIT_LIMIT_S, TINY_FIT_LIMIT_S = 60.0, 20.0
"""Longest time of encoding the training split, and of fitting and scoring one baseline [s]."""


class StandardResults(NamedTuple):
    """The standard baselines of a problem.

    Args:
        runs: Those that were fitted and fail on no validation sample, by name.
        errors: Their validation errors.
        summaries: What is told of each, also of those that were left out.
        steps: Names of the models of the step of a roll-out.
        costly: Names of those that need a run of lower fidelity for each sample.
    """

    runs: dict[str, Run]
    errors: dict[str, float]
    summaries: tuple[StandardBaselineSummary, ...]
    steps: frozenset[str]
    costly: frozenset[str] = frozenset()

    @property
    def teacher(self) -> Run | None:
        """The most accurate one, which predicts further training samples for networks.

        None if none is more accurate than the mean of the training outputs. It predicts thousands
        of samples for a network, so that none takes part that needs a run for each.
        """
        candidates = set(self.errors) - self.costly
        best = min(sorted(candidates), key=self.errors.__getitem__, default=MEAN)
        error = self.errors.get(MEAN, math.inf)
        return self.runs[best] if best in self.runs and self.errors[best] < error else None

    @property
    def step_teacher(self) -> Run | None:
        """The most accurate model of a step, from which roll-outs learn; None if there is none.

        Another one may predict paths more accurately, and yet the differences from frame to frame
        worse.
        """
        steps = [name for name in self.steps if name in self.errors]
        return self.runs[min(steps, key=self.errors.__getitem__)] if steps else None


class ScoredBaseline(NamedTuple):
    """A fitted baseline with its validation error."""

    fitted: FittedStandardBaseline
    error: float


def max_rows(size: Size) -> int | None:
    """Return the largest number of rows of a fit at a size of the problem, None for no limit."""
    return TINY_ROWS if size is Size.TINY else None


def fit_standard_baselines(
    problem: Problem,
    data: Dataset,
    size: Size,
    call: Call,
    on_progress: Callable[[int, int], None],
) -> StandardResults:
    """Return the standard baselines of a problem, fitted to the training split.

    Args:
        problem: The problem.
        data: The data.
        size: Size of the problem; at the tiny size fits have fewer rows and less time.
        call: Calls users' code in a process of its own, with a limit of time.
        on_progress: Called with (baselines done, baselines in all).
    """
    baselines = standard_baselines(problem)
    fits = _Fits(problem, affordable_samples(data.train), data.validation, size, call)
    rolling = {n for n, each in problem.encodings.items() if isinstance(each, RollsForward)}
    steps = frozenset(
        name
        for name, each in baselines.items()
        if each.encoding in rolling and each.method is not fit_zero
    )
    costly = frozenset(
        name
        for name, each in baselines.items()
        if each.encoding and isinstance(problem.encodings[each.encoding], Remembers)
    )
    results = StandardResults({}, {}, (), steps, costly)
    on_progress(0, len(baselines))
    for done, (name, baseline) in enumerate(baselines.items(), start=1):
        started, notes, left_out = time.monotonic(), (), ""
        try:
            scored = fits.fit_and_score(baseline)
        except UserError as error:
            left_out = str(error)
        except CallFailedError as error:
            left_out = error.reason  # the remedy is one for simulations
        else:
            results.runs[name], results.errors[name] = scored.fitted.run, scored.error
            notes = scored.fitted.notes
        summary = StandardBaselineSummary(
            name=name, notes=notes, fit_s=time.monotonic() - started, left_out=left_out
        )
        results = results._replace(summaries=(*results.summaries, summary))
        on_progress(done, len(baselines))
    return results


def with_standard_baselines(problem: Problem, results: StandardResults) -> Problem:
    """Return a problem that has its standard baselines beside those of its user."""
    return replace(problem, baselines={**problem.baselines, **results.runs})


def with_baseline(problem: Problem, train: Split, name: str, size: Size) -> Problem:
    """Return the problem with its score and one baseline, if known, fitted to the training split.

    Args:
        problem: The problem, with the baselines of its user.
        train: The training split.
        name: Name of a baseline of the user or of a standard one.
        size: Size of the problem.

    Raises:
        UserError: The baseline or the score can't be fitted.
    """
    if name in problem.baselines:
        baselines = {name: problem.baselines[name]}
    elif name in standard_baselines(problem):
        baselines = {name: fit_standard_baseline(problem, train, name, max_rows(size)).run}
    else:
        baselines = {}
    return replace(problem, baselines=baselines).fitted(train)


def describe_baselines(results: StandardResults) -> str:
    """Return lines with the error of each baseline, and with the reason for each left out."""
    errors = sorted(results.errors.items(), key=lambda item: item[1])
    fitted = ", ".join(f"{name} {error:.3g}" for name, error in errors)
    left_out = [
        f"{each.name} left out: {each.left_out}" for each in results.summaries if each.left_out
    ]
    lines = [*([fitted] if fitted else []), *left_out]
    return "baselines    " + "\n             ".join(lines) if lines else ""


@dataclass
class _Fits:
    """Fits the baselines of a problem, several of which share the rows of an encoding."""

    problem: Problem
    samples: Split
    validation: Split
    size: Size
    call: Call
    encoded: dict[str, EncodedRows | str] = field(default_factory=dict[str, EncodedRows | str])

    def fit_and_score(self, baseline: StandardBaseline) -> ScoredBaseline:
        """Return the fitted baseline with its error.

        Raises:
            UserError: It can't be fitted, or fails on a validation sample.
            CallFailedError: Its fit or score failed, or took too long.
        """
        method, name = baseline
        if method is None:
            return self.call(
                _score_mean, self.problem, self.samples, self.validation, limit_s=self._limit_s
            )
        if name not in self.encoded:
            try:
                self.encoded[name] = self.call(
                    encode_rows,
                    self.problem,
                    self.samples,
                    name,
                    max_rows(self.size),
                    limit_s=self._limit_s,
                )
            except UserError as error:
                self.encoded[name] = str(error)
            except CallFailedError as error:
                self.encoded[name] = error.reason
        encoded = self.encoded[name]
        if isinstance(encoded, str):
            raise UserError(encoded)
        return self.call(
            _score_model, self.problem, self.validation, method, encoded, limit_s=self._limit_s
        )

    @property
    def _limit_s(self) -> float:
        return TINY_FIT_LIMIT_S if self.size is Size.TINY else FIT_LIMIT_S


def _score_mean(problem: Problem, samples: Split, validation: Split) -> ScoredBaseline:
    return _scored(problem, fit_mean(problem, samples), validation)


def _score_model(
    problem: Problem, validation: Split, method: Method, encoded: EncodedRows
) -> ScoredBaseline:
    return _scored(problem, fit_model(method, encoded), validation)


def _scored(problem: Problem, fitted: FittedStandardBaseline, validation: Split) -> ScoredBaseline:
    """Return a baseline with its validation error.

    Raises:
        UserError: It fails on a sample, or its error isn't a finite number.
    """
    result = score_split(problem, fitted.run, validation, "a standard baseline")
    if result.failed:
        raise UserError(
            f"it fails on {result.failed} of {len(validation)} validation samples"
            f"{f' ({result.reason})' if result.reason else ''}"
        )
    error = result.metrics.get(problem.objective.name, math.nan)
    if not math.isfinite(error):
        raise UserError(result.not_finite or "its error isn't a finite number")
    return ScoredBaseline(fitted, error)
