"""Decide which points of a sweep are run, and compare the surrogate with the baselines at it."""

import math
import time
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from problems import Array, Batch, Dataset, Problem, Run, Split, UserError
from problems.data.simulate import concatenate_batches, run_isolating_failures
from problems.interfaces.types import n_samples, take_samples
from search.run.records import ConfidenceInterval
from search.screening.request import ScreeningJob, ScreeningSpec
from search.screening.sweep import MAX_POINTS_PER_CALL, shuffled
from search.screening.threshold import Threshold, cost_share, proportion_interval, threshold
from spaces.candidate import FrozenModel

AUDIT_SHARE, MIN_DEFAULT_AUDIT = 0.05, 50
"""If not said otherwise, such a share of the skipped points is audited, and no fewer than that."""

CALLS_PER_AUDIT = 32
"""So many, or as many as there are points, give the bootstrap something to draw from. What is kept
is run in calls of the same size, or the costs of both would not compare."""

CHUNK_POINTS = 256
"""Points that the surrogate is given between two looks at how far it is."""

SURROGATE = "surrogate"


class Decision(StrEnum):
    """What becomes of a point of the sweep."""

    RUN = "run"
    SKIPPED = "skipped"
    AUDITED = "audited"


class ClassifierComparison(FrozenModel):
    """The rule applied to the surrogate or a baseline: chosen on validation, tried on test.

    Args:
        name: Whose probabilities.
        threshold: On the validation split; none where it failed.
        recall: On the test split.
        skipped: Share of the test split's compute that would be skipped, or of its samples where
            the problem doesn't say what each costs.
        time_s: What it takes itself for a sample [s].
        reason: Why it failed on all samples.
    """

    name: str
    threshold: Threshold | None = None
    recall: ConfidenceInterval | None = None
    skipped: ConfidenceInterval | None = None
    time_s: float = 0.0
    reason: str = ""


class DecisionRule(FrozenModel):
    """What was decided before anything was run.

    Args:
        label: Output field that holds the class.
        threshold: Of the surrogate.
        compared: The surrogate, then the baselines.
        surrogate_s: What the surrogate took for all points [s].
        call: Points of one call of the reference.
        tested: Samples of the test split.
        costed: Whether the problem says what each of them costs.
    """

    label: str
    threshold: Threshold
    compared: tuple[ClassifierComparison, ...]
    surrogate_s: float
    call: int
    test_samples: int
    has_costs: bool = False


class Predictions(NamedTuple):
    """What a surrogate or baseline answers.

    Args:
        outputs: NaN where it failed.
        seconds: What it took for all.
        reasons: Why it failed (b,), "" if it didn't.
    """

    outputs: Batch
    seconds: float
    reasons: list[str]


def decided(
    job: ScreeningJob, data: Dataset, progress: Callable[[int, int], None]
) -> tuple[DecisionRule, dict[str, Array]]:
    """Return what is decided, and for each point its probability and decision.

    Args:
        job: The screening.
        data: Whose validation split the threshold is chosen on.
        progress: Told (points done, points in all).

    Raises:
        UserError: No output field is a label, or the validation split lacks the wanted class.
    """
    problem, asked = job.problem, job.screening
    label = label_field(problem, data.validation.outputs, asked.label)
    positives = int((data.validation.outputs[label] == asked.keep).sum())
    if not positives:
        raise UserError(
            f"--keep {asked.keep}: none of the {len(data.validation)} samples of the validation "
            f"split has {label!r} {asked.keep}, so no threshold can be chosen; raise samples= of "
            f"{problem.name!r}"
        )
    own = compared(job, data, label, SURROGATE, job.surrogate.run)
    if own.threshold is None:
        raise UserError(f"the surrogate fails on the validation split: {own.reason}")
    baselines = problem.with_fitted_baselines(data.train).baseline_runs
    others = [compared(job, data, label, *named) for named in baselines.items()]
    answers = predict(problem, SURROGATE, job.surrogate.run, job.inputs, progress)
    probability = answers.outputs[label]
    decisions = _decisions(class_scores(probability, asked.keep) >= own.threshold.score, asked)
    audited = int((decisions == Decision.AUDITED).sum())
    facts = DecisionRule(
        label=label,
        threshold=own.threshold,
        compared=(own, *others),
        surrogate_s=answers.seconds,
        call=min(max(1, math.ceil(audited / CALLS_PER_AUDIT)), MAX_POINTS_PER_CALL),
        test_samples=len(data.test),
        has_costs=problem.cost is not None,
    )
    return facts, {"probability": probability, "decision": decisions}


def label_field(problem: Problem, outputs: Batch, named: str) -> str:
    """Return the output field whose values are classes, 0 and 1.

    Raises:
        UserError: There is none, or there are several and none is named.
    """
    scalars = [field.name for field in problem.outputs if not field.shape]
    labels = [name for name in scalars if np.isin(outputs[name], (0.0, 1.0)).all()]
    if named and named not in labels:
        raise UserError(f"--label: the values of field {named!r} aren't 0 and 1")
    if not labels:
        raise UserError(
            f"problem {problem.name!r} has no output field of shape () whose values are 0 and 1: "
            "there is no class to keep"
        )
    if not named and len(labels) > 1:
        raise UserError(f"several output fields are labels; name one: --label {'|'.join(labels)}")
    return named or labels[0]


def class_scores(probability: Array, keep: int) -> Array:
    """Return how much each point (b,) looks like the class to keep; without an answer, wholly."""
    score = probability if keep else 1.0 - probability
    return np.where(np.isfinite(score), score, np.inf)


def compared(
    job: ScreeningJob, data: Dataset, label: str, name: str, run: Run
) -> ClassifierComparison:
    """Choose a threshold on the validation split and try it on the test split."""
    problem, asked = job.problem, job.screening

    def judged(split: Split) -> tuple[Array, Array, Predictions]:
        answers = predict(problem, name, run, split.inputs)
        return (
            class_scores(answers.outputs[label], asked.keep),
            split.outputs[label] == asked.keep,
            answers,
        )

    score, wanted, answers = judged(data.validation)
    if all(answers.reasons):
        return ClassifierComparison(name=name, reason=answers.reasons[0])
    chosen = threshold(score[wanted], asked.keep_recall)
    score, wanted, answers = judged(data.test)
    kept = score >= chosen.score
    return ClassifierComparison(
        name=name,
        threshold=chosen,
        recall=proportion_interval(int((kept & wanted).sum()), int(wanted.sum())),
        skipped=_skipped(problem, data.test, kept),
        time_s=answers.seconds / len(kept),
    )


def _skipped(problem: Problem, split: Split, kept: Array) -> ConfidenceInterval:
    costs = problem.costs(split.outputs)
    if costs is None:
        return proportion_interval(int((~kept).sum()), len(kept))
    return cost_share(~kept, costs)


def predict(
    problem: Problem,
    name: str,
    run: Run,
    inputs: Batch,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Call a surrogate or baseline piece by piece, and time that."""
    rng, n = np.random.default_rng(0), n_samples(inputs)
    parts: list[Batch] = []
    reasons: list[str] = []
    seconds = 0.0
    for first in range(0, n, CHUNK_POINTS):
        piece = take_samples(inputs, slice(first, first + CHUNK_POINTS))
        started = time.perf_counter()
        with np.errstate(all="ignore"):  # what isn't finite is no answer, and the point is run
            outputs, why = run_isolating_failures(run, problem.outputs, piece, rng, name)
        seconds += time.perf_counter() - started
        parts.append(outputs)
        reasons += why
        if progress:
            progress(min(first + CHUNK_POINTS, n), n)
    return Predictions(concatenate_batches(parts), seconds, reasons)


def _decisions(kept: Array, asked: ScreeningSpec) -> Array:
    """Return what becomes of each point (n,), given which are kept (n,)."""
    skipped = shuffled(np.flatnonzero(~kept), asked.seed)
    audit = asked.audit or max(MIN_DEFAULT_AUDIT, math.ceil(AUDIT_SHARE * len(skipped)))
    decisions = np.where(kept, str(Decision.RUN), str(Decision.SKIPPED)).astype("U8")
    decisions[skipped[:audit]] = str(Decision.AUDITED)
    return decisions
