"""Decides which points of a sweep are run, and compares the surrogate with the baselines."""

import math
import time
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import ClassVar, NamedTuple

import numpy as np

from problems import Array, Batch, Dataset, Problem, Run, Split, UserError
from problems.data.simulate import concatenate_batches, run_isolating_failures
from problems.interfaces.types import n_samples, take_samples
from search.run.records import ConfidenceInterval
from search.screening.kept_class import KeptClass, label_field
from search.screening.request import ScreeningJob, ScreeningSpec
from search.screening.sweep import MAX_POINTS_PER_CALL, shuffled
from search.screening.threshold import Threshold, cost_share, proportion_interval, threshold
from spaces.candidate import FrozenModel

AUDIT_SHARE, MIN_DEFAULT_AUDIT = 0.05, 50
"""By default this share of the skipped points is audited, and at least this number."""

CALLS_PER_AUDIT = 32
"""Number of calls of the audit, if it has so many points: the bootstrap resamples them. The kept
points are run in calls of the same size, so that the costs of both are comparable."""

CHUNK_POINTS = 256
"""Points per call of the surrogate, after each of which progress is reported."""

SURROGATE = "surrogate"


class RecallRule(NamedTuple):
    """What is to be kept.

    Args:
        kept_class: The class.
        keep_recall: Smallest share of it.
    """

    kept_class: KeptClass
    keep_recall: float


class Decision(StrEnum):
    """The decision about a point of the sweep."""

    RUN = "run"
    SKIPPED = "skipped"
    AUDITED = "audited"


class ClassifierComparison(FrozenModel):
    """The surrogate or a baseline as a classifier, with its threshold, on the test split.

    Args:
        name: Name of the classifier.
        threshold: The threshold chosen on the validation split; None where the classifier failed.
        recall: Recall on the test split.
        skipped: Share of the test split's compute that would be skipped, or of its samples where
            the problem has no costs.
        time_s: Time of the classifier itself per sample [s].
        reason: The reason of its failure on all samples.
    """

    name: str
    threshold: Threshold | None = None
    recall: ConfidenceInterval | None = None
    skipped: ConfidenceInterval | None = None
    time_s: float = 0.0
    reason: str = ""


class DecisionRule(FrozenModel):
    """The rule by which points are kept or skipped, decided before any of them is run.

    Args:
        label: Output field that holds the class.
        threshold: Threshold of the surrogate.
        compared: The surrogate, then the baselines.
        surrogate_s: Time of the surrogate for all points [s].
        call: Points in one call of the reference.
        test_samples: Samples in the test split.
        has_costs: Whether the problem states the cost of a sample.
        kept_class: Word or number of the class that is kept.
    """

    RENAMED: ClassVar[Mapping[str, str]] = {"tested": "test_samples", "costed": "has_costs"}

    label: str
    threshold: Threshold
    compared: tuple[ClassifierComparison, ...]
    surrogate_s: float
    call: int
    test_samples: int
    has_costs: bool = False
    kept_class: str = "1"


class Predictions(NamedTuple):
    """The predictions of a surrogate or baseline.

    Args:
        outputs: Predicted fields (b, ...); NaN for samples that failed.
        seconds: Duration of all calls [s].
        reasons: Reason of the failure of each sample (b,); "" where there is none.
    """

    outputs: Batch
    seconds: float
    reasons: list[str]


def decide(
    job: ScreeningJob, data: Dataset, progress: Callable[[int, int], None]
) -> tuple[DecisionRule, dict[str, Array]]:
    """Return the decision rule, and "probability" and "decision" of each point (n,).

    Args:
        job: The screening.
        data: The dataset; the threshold is chosen on its validation split.
        progress: Called with (points done, points in all).

    Raises:
        UserError: No output field is a label, the validation split lacks the class to keep, or the
            surrogate fails on it.
    """
    problem, spec = job.problem, job.screening
    kept_class = KeptClass.of(label_field(problem, data.validation.outputs, spec.label), spec.keep)
    rule = RecallRule(kept_class, spec.keep_recall)
    surrogate = compare_classifier(problem, rule, data, SURROGATE, job.surrogate.run)
    if surrogate.threshold is None:
        raise UserError(f"the surrogate fails on the validation split: {surrogate.reason}")
    baselines = problem.fitted(data.train).baseline_runs
    others = [compare_classifier(problem, rule, data, *baseline) for baseline in baselines.items()]
    predictions = predict(problem, SURROGATE, job.surrogate.run, job.inputs, progress)
    values = predictions.outputs[kept_class.label]
    kept = kept_class.scores(values) >= surrogate.threshold.score
    decisions = _decisions(kept, spec)
    audited = int((decisions == Decision.AUDITED).sum())
    decided = DecisionRule(
        label=kept_class.label,
        threshold=surrogate.threshold,
        compared=(surrogate, *others),
        surrogate_s=predictions.seconds,
        call=min(max(1, math.ceil(audited / CALLS_PER_AUDIT)), MAX_POINTS_PER_CALL),
        test_samples=len(data.test),
        has_costs=problem.cost is not None,
        kept_class=kept_class.name,
    )
    return decided, {"probability": values, "decision": decisions}


def compare_classifier(
    problem: Problem, rule: RecallRule, data: Dataset, name: str, run: Run
) -> ClassifierComparison:
    """Choose a threshold on the validation split and apply it to the test split.

    Args:
        problem: The problem.
        rule: The class to keep, and the share of it.
        data: The dataset.
        name: Name of the classifier.
        run: The classifier, called as the simulation is.

    Raises:
        UserError: The validation split lacks the class to keep.
    """
    kept_class = rule.kept_class
    label = kept_class.label
    if not kept_class.holds(data.validation.outputs[label]).any():
        raise UserError(
            f"--keep {kept_class.name}: none of the {len(data.validation)} samples of the "
            f"validation split has {label!r} {kept_class.name}, so no threshold can be chosen; "
            f"raise samples= of {problem.name!r}"
        )

    def score(split: Split) -> tuple[Array, Array, Predictions]:
        predictions = predict(problem, name, run, split.inputs)
        scores = kept_class.scores(predictions.outputs[label])
        return scores, kept_class.holds(split.outputs[label]), predictions

    scores, positive, predictions = score(data.validation)
    if all(predictions.reasons):
        return ClassifierComparison(name=name, reason=predictions.reasons[0])
    chosen = threshold(scores[positive], rule.keep_recall)
    scores, positive, predictions = score(data.test)
    kept = scores >= chosen.score
    return ClassifierComparison(
        name=name,
        threshold=chosen,
        recall=proportion_interval(int((kept & positive).sum()), int(positive.sum())),
        skipped=_skipped_share(problem, data.test, kept),
        time_s=predictions.seconds / len(kept),
    )


def _skipped_share(problem: Problem, split: Split, kept: Array) -> ConfidenceInterval:
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
    """Return the predictions of a surrogate or baseline, called in chunks, with their duration.

    Args:
        problem: The problem.
        name: Name of the surrogate or baseline, for its failures.
        run: The surrogate or baseline.
        inputs: Samples to predict.
        progress: Called with (samples done, samples in all).
    """
    rng, n = np.random.default_rng(0), n_samples(inputs)
    parts: list[Batch] = []
    reasons: list[str] = []
    seconds = 0.0
    for first in range(0, n, CHUNK_POINTS):
        chunk = take_samples(inputs, slice(first, first + CHUNK_POINTS))
        started = time.perf_counter()
        with np.errstate(all="ignore"):  # a point whose prediction isn't finite is run
            outputs, failures = run_isolating_failures(run, problem.outputs, chunk, rng, name)
        seconds += time.perf_counter() - started
        parts.append(outputs)
        reasons += failures
        if progress:
            progress(min(first + CHUNK_POINTS, n), n)
    return Predictions(concatenate_batches(parts), seconds, reasons)


def _decisions(kept: Array, spec: ScreeningSpec) -> Array:
    """Return the decision about each point (n,), given whether it is kept (n,)."""
    skipped = shuffled(np.flatnonzero(~kept), spec.seed)
    audit = spec.audit or max(MIN_DEFAULT_AUDIT, math.ceil(AUDIT_SHARE * len(skipped)))
    decisions = np.where(kept, str(Decision.RUN), str(Decision.SKIPPED)).astype("U8")
    decisions[skipped[:audit]] = str(Decision.AUDITED)
    return decisions
