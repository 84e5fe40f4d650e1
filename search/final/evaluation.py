"""The final evaluation, whose figures the report quotes.

With nothing else running, finalists, baselines and the reference are timed in turn. All of them are
scored on the test and shifted splits, and in the problem's host if it has one.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from problems import Array, Problem, Size, Split, UserError
from problems import Run as SimulationRun
from search.final.a_posteriori import evaluate_in_host
from search.final.batch_sizes import TimedFinalist, time_batch_sizes
from search.final.comparison import (
    Comparisons,
    sample_errors,
    with_comparisons,
)
from search.final.labels import EvaluatedSurrogate, write_label_results
from search.final.profiling import (
    ProfiledFinalist,
    count_work,
    draw_prediction,
    draw_worst_samples,
    with_pictures,
)
from search.final.spread import call_with_spread, cannot_spread, evaluate_spread
from search.objectives.baselines import mean_error
from search.objectives.error_estimates import estimate_errors
from search.objectives.recommendation import recommendation, select_finalists
from search.run.directory import RunDirectory
from search.run.environment import machine_kind
from search.run.finalists import (
    TRIAL_PREFIX,
    Ceiling,
    FinalEvaluation,
    Finalist,
    Recommendation,
    RetrainingResult,
)
from search.run.records import Record, Timing, timestamp
from search.run.spec import Spec
from search.timing.reference import (
    ReferenceTiming,
    deployment_call,
    samples_per_call,
    spread_call,
    summarise_timing,
    timing_slot,
    verified_manifest,
)
from search.timing.stopwatch import (
    MAX_ROUNDS,
    StoppingRule,
    TimedCall,
    keep_large_blocks,
    time_interleaved,
)
from search.trial.context import SearchContext
from search.trial.scoring import (
    SplitScore,
    bootstrap_intervals,
    score_split,
)
from spaces.surrogate import Surrogate

TIME_BUDGET_S, TINY_TIME_BUDGET_S = 20.0, 2.0
"""Time after which no more rounds than the smallest number are started [s], at least. Times of
problems of the tiny size are never quoted."""

SEARCH_SHARE, MAX_BUDGET_RATIO = 0.05, 15.0
"""The rounds go on until every ratio is known well enough, but no longer than this share of the
time that the trials took, nor than so many times `TIME_BUDGET_S`."""

MAX_FINAL_ROUNDS = 600
"""Enough rounds to know a median to 3 % where rounds scatter by 30 %, as beside other processes."""

BATCH_TIMING_SHARE = 0.25
"""This share of the time is spent once more, on other batch sizes of the finalists."""

REFERENCE = "reference"
CALIBRATION = "calibration"
CALIBRATION_ON_ALL = "calibration on all"
REFERENCE_SAMPLES = 4
"""Samples of the full reference in a round; the declared share of the calibration isn't used."""

WITH_SPREAD = ", with spread"
"""What is added to the name of an ensemble for the timed call with spread."""

CEILING_SAMPLES = 32
"""Largest number of test samples for the ceiling, which takes as long as the reference."""


def run_final_evaluation(
    context: SearchContext, run: RunDirectory, progress: Callable[[int, int], None]
) -> FinalEvaluation:
    """Return the final evaluation of a run.

    Args:
        context: Problem, data, reference timing and goals, as the trials had them.
        run: The run; trials whose artefact was altered are left out.
        progress: Called with (steps done, steps in all).
    """
    keep_large_blocks()
    problem, reference_timing = context.problem, context.reference_timing
    participants, budget_s = _participants(context, run), time_budget_s(run.spec(), run.records())
    steps = MAX_ROUNDS + len(participants.runs)
    progress(0, steps)

    def ratios(seconds: Mapping[str, Array]) -> list[Array]:
        reference = _reference_time(problem, reference_timing, seconds)
        return [reference / seconds[name] for name in participants.runs]

    with timing_slot(problem) as excluded:
        seconds = time_interleaved(
            participants.timed_calls,
            MAX_FINAL_ROUNDS,
            StoppingRule(ratios, budget_s),
            on_round=lambda done: progress(min(done, MAX_ROUNDS), steps),
        )
    reference = _reference_time(problem, reference_timing, seconds)
    host, host_results = evaluate_in_host(problem, participants.runs)
    retrainings = _retrainings(run)
    finalists: list[Finalist] = []
    for done, name in enumerate(participants.runs, start=MAX_ROUNDS + 1):
        timing = summarise_timing(seconds[name], reference, shared=not excluded)
        spread_s = seconds.get(f"{name}{WITH_SPREAD}")
        spread_timing = (
            None if spread_s is None else summarise_timing(spread_s, reference, shared=not excluded)
        )
        finalist = _finalist(context, participants, name, timing, spread_timing, retrainings)
        finalists.append(finalist.model_copy(update={"host_result": host_results.get(name)}))
        progress(done, steps)
    timings = {
        finalist.trial: finalist.timing for finalist in finalists if finalist.trial is not None
    }
    objective, records = problem.objective.name, list(participants.trials.values())
    estimates = estimate_errors(
        records, objective, run.finalist_errors().of_trials, run.retrainings().results
    )
    recommended = recommendation(records, objective, context.limits, timings, estimates)
    first = None if recommended is None else recommended.recommended
    test = None if first is None else participants.tests[f"{TRIAL_PREFIX}{first}"]
    finalists = with_comparisons(
        Comparisons(
            problem,
            {name: participants.tests[name] for name in participants.runs},
            {finalist.name: finalist.sample_errors for finalist in finalists},
        ),
        with_pictures(problem, finalists, participants.tests, first),
        _best_baseline(context, participants),
        None if first is None else f"{TRIAL_PREFIX}{first}",
    )
    write_label_results(problem, run, participants.evaluated, first)
    errors = next((each.sample_errors for each in finalists if each.trial == first), ())
    return FinalEvaluation(
        recommendation=recommended,
        recommended=first,
        finalists=_profiled(
            context, participants, finalists, recommended, BATCH_TIMING_SHARE * budget_s
        ),
        pictures=() if test is None else draw_prediction(problem, test),
        mean_errors={
            split: error
            for split in ("test", "shifted")
            if (error := mean_error(problem, context.data, split)) is not None
        },
        worst_pictures=() if test is None else draw_worst_samples(problem, test, errors),
        left_out=participants.excluded,
        host=host,
        ceiling=_ceiling(problem, context.data.test),
        kind=machine_kind(),
        ended=timestamp(),
    )


def _ceiling(problem: Problem, split: Split) -> Ceiling | None:
    if problem.ceiling is None:
        return None
    samples = split.take(np.arange(min(len(split), CEILING_SAMPLES)))
    result = score_split(problem, problem.ceiling, samples, "ceiling")
    intervals = bootstrap_intervals(problem, result)
    return Ceiling(
        test=intervals, samples=len(samples), failed=result.failed, not_finite=result.not_finite
    )


class _Participants(NamedTuple):
    """The participants of a final evaluation, by name.

    Args:
        runs: Baselines and finalists.
        timed_calls: Calls to time: those of `runs`, and of the reference.
        trials: Records of the finalists.
        surrogates: Surrogates of the finalists.
        tests: Scores of `runs` on the test split.
        excluded: Reasons why baselines that fail on every test sample, and trials whose artefact is
            damaged, don't take part.
    """

    runs: dict[str, SimulationRun]
    timed_calls: dict[str, TimedCall]
    trials: dict[str, Record]
    surrogates: dict[str, Surrogate]
    tests: dict[str, SplitScore]
    excluded: dict[str, str]

    @property
    def evaluated(self) -> dict[int, EvaluatedSurrogate]:
        """The finalists by the numbers of their trials."""
        return {
            record.number: EvaluatedSurrogate(record, self.surrogates[name], self.tests[name])
            for name, record in self.trials.items()
        }


def _participants(context: SearchContext, run: RunDirectory) -> _Participants:
    problem, split = context.problem, context.data.test
    tests = {
        name: score_split(problem, baseline, split, f"baseline {name!r}")
        for name, baseline in problem.baseline_runs.items()
    }
    # A baseline is timed on the samples on which it doesn't fail.
    runs = {
        name: problem.baseline_runs[name] for name, test in tests.items() if len(test.valid_samples)
    }
    excluded = {
        name: f"it failed on every sample of the test split ({test.reason})"
        for name, test in tests.items()
        if name not in runs
    }
    participants = _Participants(runs, {}, {}, {}, tests, excluded)
    with timing_slot(problem):
        for name, baseline in runs.items():
            valid_samples = tests[name].valid_samples
            samples = samples_per_call(baseline, problem, valid_samples)
            participants.timed_calls[name] = spread_call(baseline, valid_samples, samples)
    for record in select_finalists(run.surrogate_records(), problem.objective.name, context.limits):
        name = f"{TRIAL_PREFIX}{record.number}"
        try:
            verified_manifest(run, record)
            surrogate = Surrogate.load(run.artefact_path(record.number), problem)
        except UserError as error:
            excluded[name] = str(error)
            continue
        participants.trials[name], participants.surrogates[name] = record, surrogate
        runs[name] = surrogate.run
        participants.timed_calls[name] = deployment_call(runs[name], problem, split)
        if record.is_ensemble and cannot_spread(surrogate) is None:
            call = deployment_call(call_with_spread(surrogate), problem, split)
            participants.timed_calls[f"{name}{WITH_SPREAD}"] = call
        tests[name] = score_split(problem, runs[name], split)
    participants.timed_calls.update(_reference_calls(problem, context.reference_timing, split))
    return participants


def _retrainings(run: RunDirectory) -> dict[int, tuple[RetrainingResult, ...]]:
    by_trial: dict[int, tuple[RetrainingResult, ...]] = {}
    for result in (result for result in run.retrainings().results if not result.fold):
        by_trial[result.trial] = (*by_trial.get(result.trial, ()), result)
    return by_trial


def _finalist(  # noqa: PLR0913, PLR0917 - two timings of one participant
    context: SearchContext,
    participants: _Participants,
    name: str,
    timing: Timing,
    spread_timing: Timing | None,
    retrainings: Mapping[int, tuple[RetrainingResult, ...]],
) -> Finalist:
    test = participants.tests[name]
    shifted = score_split(context.problem, participants.runs[name], context.data.shifted)
    record, surrogate = participants.trials.get(name), participants.surrogates.get(name)
    return Finalist(
        name=name,
        trial=None if record is None else record.number,
        timing=timing,
        test=bootstrap_intervals(context.problem, test),
        shifted=bootstrap_intervals(context.problem, shifted),
        failed={"test": test.failed, "shifted": shifted.failed},
        not_finite={"test": test.not_finite, "shifted": shifted.not_finite},
        spread=None
        if surrogate is None
        else evaluate_spread(
            context.problem, surrogate, {"test": test, "shifted": shifted}, spread_timing
        ),
        retrainings=() if record is None else retrainings.get(record.number, ()),
        sample_errors=sample_errors(
            context.problem, None if record is None else record.candidate.encoding, test
        ),
    )


def time_budget_s(spec: Spec, records: Iterable[Record]) -> float:
    """Return the time for the rounds [s], which grows with that of the search.

    Args:
        spec: The spec, with the size of the problem and the number of workers.
        records: The trials.
    """
    if spec.size is Size.TINY:
        return TINY_TIME_BUDGET_S
    trials_s = sum(record.duration_s for record in records) / spec.workers
    return min(max(TIME_BUDGET_S, SEARCH_SHARE * trials_s), MAX_BUDGET_RATIO * TIME_BUDGET_S)


def _profiled(
    context: SearchContext,
    participants: _Participants,
    finalists: Sequence[Finalist],
    recommended: Recommendation | None,
    budget_s: float,
) -> tuple[Finalist, ...]:
    """Return the finalists with their batch timings; recommended ones have a compute cost."""
    names = [f"{TRIAL_PREFIX}{trial}" for trial in recommended.trials] if recommended else []
    by_name = {finalist.name: finalist for finalist in finalists}
    profiled = {
        name: ProfiledFinalist(
            participants.trials[name], participants.surrogates[name], by_name[name]
        )
        for name in names
    }
    timed = {
        name: TimedFinalist(surrogate.run, by_name[name].timing, name in profiled)
        for name, surrogate in participants.surrogates.items()
    }
    times = time_batch_sizes(
        context.problem, context.reference_timing, timed, context.data.test, budget_s
    )
    finalists = [f.model_copy(update={"batches": times.get(f.name, ())}) for f in finalists]
    return tuple(
        finalist.model_copy(
            update={
                "compute_cost": count_work(context, profiled[finalist.name]),
            }
        )
        if finalist.name in profiled
        else finalist
        for finalist in finalists
    )


def _best_baseline(context: SearchContext, participants: _Participants) -> str | None:
    """Return the baseline with the smallest validation error, of those that take part."""
    errors = context.baseline_errors
    known = {name: error for name, error in errors.items() if name in participants.runs}
    return min(known, key=known.__getitem__, default=None)


def _reference_calls(
    problem: Problem, reference_timing: ReferenceTiming, split: Split
) -> dict[str, TimedCall]:
    if problem.calibration is None or problem.simulation is None:
        return reference_timing.timed_calls(split)
    calibration = problem.calibration.simulation.run
    return {
        REFERENCE: spread_call(problem.simulation.run, split, REFERENCE_SAMPLES),
        CALIBRATION: spread_call(calibration, split, REFERENCE_SAMPLES),
        CALIBRATION_ON_ALL: spread_call(calibration, split, len(split)),
    }


def _reference_time(
    problem: Problem, reference_timing: ReferenceTiming, seconds: Mapping[str, Array]
) -> Array:
    """Return the time of the reference per sample (rounds,) [s], for the whole split.

    A problem with a calibration has a slow reference, whose time may depend on the sample. The
    reference is then timed on a few samples, and scaled by the ratio of the calibration's times on
    all samples and on these few.
    """
    if problem.calibration is None or problem.simulation is None:
        return reference_timing.seconds(seconds)
    return seconds[REFERENCE] * seconds[CALIBRATION_ON_ALL] / seconds[CALIBRATION]
