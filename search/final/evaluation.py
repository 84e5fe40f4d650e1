"""The final heat: what the report quotes.

With nothing else running, the front's members, the baselines and the reference are timed in turn,
and every one is scored on the test and shifted splits, and in the problem's host where it has one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from problems import Array, Problem, Size, Split, UserError
from problems import Run as SimulationRun
from search.final.a_posteriori import evaluate_in_host
from search.final.profiling import (
    ProfiledFinalist,
    count_work,
    draw_prediction,
    draw_worst_samples,
    sample_errors,
    time_batch_sizes,
    with_pictures,
)
from search.objectives.recommendation import select_finalists, recommendation
from search.run.directory import Run
from search.run.finalists import (
    Ceiling,
    FinalEvaluation,
    Finalist,
    Recommendation,
    RetrainingResult,
)
from search.run.records import Record, Timing, timestamp
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
from search.trial.lifecycle import SearchContext
from search.trial.scoring import SplitScore, bootstrap_intervals, score_split
from spaces.surrogate import Surrogate

TIME_BUDGET_S, TINY_TIME_BUDGET_S = 20.0, 2.0
"""No more rounds are begun after so long, the least apart: a report should not wait for noise; of
the tiny size nobody quotes times."""

BATCH_TIMING_SHARE = 0.25
"""Of that time, spent once more on other batches of what is recommended."""

REFERENCE = "reference"
CALIBRATION = "calibration"
CALIBRATION_ON_ALL = "calibration on all"
REFERENCE_SAMPLES = 4
"""Samples of the full reference in one round; the calibration run's share is not trusted here."""

CEILING_SAMPLES = 32
"""So many samples of the test split at most: the ceiling costs what the reference costs."""


def run_final_evaluation(
    context: SearchContext, run: Run, progress: Callable[[int, int], None]
) -> FinalEvaluation:
    """Time the front and the baselines again, in turn, and score them on the held-out splits.

    Args:
        setting: Problem, data, yardstick and goals, as the trials had them.
        run: Whose front; an artefact that isn't the one measured is left out.
        progress: Told (steps done, steps in all).
    """
    keep_large_blocks()
    problem, reference_timing = context.problem, context.reference_timing
    field, budget_s = _field(context, run), _budget_s(run)
    steps = MAX_ROUNDS + len(field.runs)
    progress(0, steps)

    def ratios(timed: Mapping[str, Array]) -> list[Array]:
        reference = _reference_time(problem, reference_timing, timed)
        return [reference / timed[name] for name in field.runs]

    with timing_slot(problem):
        seconds = time_interleaved(
            field.timed_calls,
            MAX_ROUNDS,
            StoppingRule(ratios, budget_s),
            on_round=lambda done: progress(done, steps),
        )
    reference = _reference_time(problem, reference_timing, seconds)
    host, host_result = evaluate_in_host(problem, field.runs)
    again = _retrained(run)
    finalists: list[Finalist] = []
    for done, name in enumerate(field.runs, start=MAX_ROUNDS + 1):
        timing = summarise_timing(seconds[name], reference)
        finalist = _entrant(context, field, name, timing, again)
        finalists.append(finalist.model_copy(update={"hosted": host_result.get(name)}))
        progress(done, steps)
    timings = {each.trial: each.timing for each in finalists if each.trial is not None}
    found = recommendation(field.trials.values(), problem.objective.name, context.limits, timings)
    chosen = None if found is None else found.knee
    test = None if chosen is None else field.tests[f"trial {chosen}"]
    errors = () if test is None else sample_errors(problem, field.encoding(chosen), test)
    finalists = with_pictures(problem, finalists, field.tests, chosen)
    return FinalEvaluation(
        recommendation=found,
        knee=chosen,
        finalists=_examined(context, field, finalists, found, BATCH_TIMING_SHARE * budget_s),
        pictures=() if test is None else draw_prediction(problem, test),
        sample_errors=errors,
        worst=() if test is None else draw_worst_samples(problem, test, errors),
        left_out=field.left_out,
        host=host,
        ceiling=_ceiling(problem, context.data.test),
        ended=timestamp(),
    )


def _ceiling(problem: Problem, split: Split) -> Ceiling | None:
    if problem.ceiling is None:
        return None
    few = split.take(np.arange(min(len(split), CEILING_SAMPLES)))
    found = score_split(problem, problem.ceiling, few, "ceiling")
    return Ceiling(test=bootstrap_intervals(problem, found), samples=len(few), failed=found.failed)


class Field(NamedTuple):
    """Who takes part.

    Args:
        runs: Baselines and front members, by name.
        contenders: What is timed: those, and the reference.
        trials: Records of the front members.
        surrogates: Those members, loaded.
        tests: How those of `runs` did on the test split.
        left_out: Baselines that failed on every sample of it, and front members whose artefact is
            damaged, each with the reason.
    """

    runs: dict[str, SimulationRun]
    timed_calls: dict[str, TimedCall]
    trials: dict[str, Record]
    surrogates: dict[str, Surrogate]
    tests: dict[str, SplitScore]
    left_out: dict[str, str]

    def encoding(self, trial: int | None) -> str:
        """Return the encoding of a front member."""
        return self.trials[f"trial {trial}"].candidate.encoding


def _field(context: SearchContext, run: Run) -> Field:
    problem, split = context.problem, context.data.test
    tests = {
        name: score_split(problem, baseline, split, f"baseline {name!r}")
        for name, baseline in problem.baseline_runs.items()
    }
    # A baseline is timed on what it can do; one that fails on every sample can't be.
    runs = {
        name: problem.baseline_runs[name] for name, test in tests.items() if len(test.valid_samples)
    }
    left_out = {
        name: f"it failed on every sample of the test split ({test.reason})"
        for name, test in tests.items()
        if name not in runs
    }
    field = Field(runs, {}, {}, {}, tests, left_out)
    with timing_slot(problem):
        for name, baseline in runs.items():
            can = tests[name].valid_samples
            samples = samples_per_call(baseline, problem, can)
            field.timed_calls[name] = spread_call(baseline, can, samples)
    for record in select_finalists(run.records(), problem.objective.name, context.limits):
        name = f"trial {record.number}"
        try:
            verified_manifest(run, record)
            surrogate = Surrogate.load(run.artefact(record.number), problem)
        except UserError as error:
            field.left_out[name] = str(error)
            continue
        field.trials[name], field.surrogates[name] = record, surrogate
        runs[name] = surrogate.run
        field.timed_calls[name] = deployment_call(runs[name], problem, split)
        tests[name] = score_split(problem, runs[name], split)
    field.timed_calls.update(_reference_contenders(problem, context.reference_timing, split))
    return field


def _retrained(run: Run) -> dict[int, tuple[RetrainingResult, ...]]:
    again: dict[int, tuple[RetrainingResult, ...]] = {}
    for each in run.retrained().each:
        again[each.trial] = (*again.get(each.trial, ()), each)
    return again


def _entrant(
    context: SearchContext,
    field: Field,
    name: str,
    timing: Timing,
    again: Mapping[int, tuple[RetrainingResult, ...]],
) -> Finalist:
    test = field.tests[name]
    shifted = score_split(context.problem, field.runs[name], context.data.shifted)
    record = field.trials.get(name)
    return Finalist(
        name=name,
        trial=None if record is None else record.number,
        timing=timing,
        test=bootstrap_intervals(context.problem, test),
        shifted=bootstrap_intervals(context.problem, shifted),
        failed={"test": test.failed, "shifted": shifted.failed},
        retrained=() if record is None else again.get(record.number, ()),
    )


def _budget_s(run: Run) -> float:
    return TINY_TIME_BUDGET_S if run.spec().size is Size.TINY else TIME_BUDGET_S


def _examined(
    context: SearchContext,
    field: Field,
    finalists: Sequence[Finalist],
    chosen: Recommendation | None,
    budget_s: float,
) -> tuple[Finalist, ...]:
    """Return the entrants, the recommended ones with their batches and work."""
    names = [f"trial {trial}" for trial in chosen.trials] if chosen else []
    by_name = {finalist.name: finalist for finalist in finalists}
    examined = {
        name: ProfiledFinalist(field.trials[name], field.surrogates[name], by_name[name])
        for name in names
    }
    times = time_batch_sizes(context.problem, examined, context.data.test, budget_s)
    return tuple(
        finalist.model_copy(
            update={
                "batches": times[finalist.name],
                "work": count_work(context, examined[finalist.name]),
            }
        )
        if finalist.name in examined
        else finalist
        for finalist in finalists
    )


def _reference_contenders(
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
    """Return the reference's seconds per sample (rounds,), over all systems of the split.

    Where there is a calibration the whole reference takes long, and a sample's cost may depend on
    the system. So it is run on a few systems, and what they cost beside the rest is known from the
    calibration run on both.
    """
    if problem.calibration is None or problem.simulation is None:
        return reference_timing.seconds(seconds)
    return seconds[REFERENCE] * seconds[CALIBRATION_ON_ALL] / seconds[CALIBRATION]
