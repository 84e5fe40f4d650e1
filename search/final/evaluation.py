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
from search.final.seeds import recommended_trials
from search.objectives.goals import error_and_speedup, objective_values
from search.pareto import evenly_spaced, knee, non_dominated_ranks
from search.run.directory import Run
from search.run.finalists import (
    Ceiling,
    FinalEvaluation,
    Finalist,
    RetrainingResult,
    recommend_finalists,
)
from search.run.records import Limits, Record, State, Timing, timestamp
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

MAX_FRONT_MEMBERS = 12
"""So many front members at most are timed again, spread evenly along the front."""


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
    problem, reference_timing = context.problem, context.yardstick
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
    chosen = knee_trial(problem, finalists, list(field.trials.values()), context.limits)
    test = None if chosen is None else field.tests[f"trial {chosen}"]
    errors = () if test is None else sample_errors(problem, field.encoding(chosen), test)
    finalists = with_pictures(problem, finalists, field.tests, chosen)
    return FinalEvaluation(
        knee=chosen,
        finalists=_examined(context, field, finalists, chosen, BATCH_TIMING_SHARE * budget_s),
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
    for record in front_members(problem, run.records(), context.limits):
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
    field.timed_calls.update(_reference_contenders(problem, context.yardstick, split))
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
    chosen: int | None,
    budget_s: float,
) -> tuple[Finalist, ...]:
    """Return the entrants, the recommended ones with their batches and work."""
    objective = context.problem.objective.name
    errors = {name: record.metrics[objective] for name, record in field.trials.items()}
    others = recommend_finalists(finalists, errors, objective, context.limits)
    names = [others.fastest, others.most_accurate] if others else []
    names += [f"trial {chosen}"] if chosen is not None else []
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


def front_members(problem: Problem, records: Sequence[Record], limits: Limits) -> list[Record]:
    """Return the trials that no other one beats in both error and time, at most `LARGEST_FRONT`.

    Where there are more, what is recommended comes first, then what meets the goals, then the rest
    along the front.
    """
    complete = [record for record in records if record.state is State.COMPLETE]
    if not complete:
        return []
    points = [objective_values(problem, record) for record in complete]
    rank = non_dominated_ranks(points)
    front = [record for record, level in zip(complete, rank, strict=True) if level == 0]
    front.sort(key=lambda record: objective_values(problem, record))
    meeting = [r for r in front if limits.any and limits.met(*error_and_speedup(problem, r))]
    chosen = recommended_trials(problem, complete, limits)
    for those in (meeting, front):
        rest = [record for record in those if record not in chosen]
        chosen += evenly_spaced(rest, MAX_FRONT_MEMBERS - len(chosen))
    return sorted(chosen, key=lambda record: objective_values(problem, record))


def knee_trial(
    problem: Problem, finalists: Sequence[Finalist], members: Sequence[Record], limits: Limits
) -> int | None:
    """Return the trial at the knee of (validation error, relative time measured again, ...).

    Those that meet the goals come first, if any does. The test split has no say: what it is quoted
    for must not have been chosen by it.
    """
    if not members:
        return None
    again = {finalist.trial: finalist.timing.relative_time for finalist in finalists}
    name = problem.objective.name
    members = [
        record for record in members if limits.met(record.metrics[name], 1.0 / again[record.number])
    ] or members
    points = [
        (error, np.log10(again[record.number]), *extra_objectives)
        for record in members
        for error, _, *extra_objectives in [objective_values(problem, record)]
    ]
    return members[knee(points)].number


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
