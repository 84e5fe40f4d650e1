"""The main job: data, trials, final heat. Every part of it can be gone on with."""

import errno
import shlex
import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import cast

import numpy as np
from rich.console import Console

from problems import SPLITS, Dataset, InterruptedRunError, Problem, UserError
from problems.data.dataset import data_bytes, generate, search_digest
from problems.data.shards import default_cache
from problems.provenance import digest
from problems.source_code import source_hash
from problems.sources import ProblemSource
from search.final.evaluation import run_final_evaluation
from search.final.seeds import retrain_in_parallel
from search.objectives.baselines import baseline_errors, score_baselines
from search.objectives.goals import limits_from_goals
from search.objectives.recommendation import recommended_trials
from search.progress import ProgressDisplay
from search.run.directory import Run
from search.run.environment import collect_environment
from search.run.finalists import RetrainingResults
from search.run.records import DatasetSummary, FieldSummary, count_networks
from search.run.spec import ExtraObjective, Spec
from search.sampling.initial_design import initial_design_size
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue
from search.timing.memory import require_memory_support
from search.timing.reference import time_reference
from search.trial.lifecycle import SearchContext
from search.workers.ray_cluster import cluster, in_parallel
from search.workers.successive_halving import SuccessiveHalving
from search.workers.tune_adapter import StudySearcher, run_trials
from spaces.exclusions import exclusions
from spaces.registered import ARCHITECTURES
from spaces.restrictions import Restrictions
from spaces.space import Space, supported_encodings
from spaces.user_restrictions import UserRestriction, resolve_restrictions

RANGE_SAMPLES = 500
"""Ranges are those of so many training samples at most: data may be larger than memory."""

UNWRITABLE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


INHERITED_FIELDS = ("deployments", "retrainings", "sampler", "besides")
"""What a run is gone on with as it was where nothing else is asked for."""


def make_spec(
    problem: Problem, source: ProblemSource, held: Spec | None = None, **asked: object
) -> Spec:
    """Return what is asked for as a value; some of what isn't stays as `held` of a run.

    `asked` holds size, seed, trials, deployments, retrainings, workers, sampler, narrowing, first,
    besides; the opening where the space doesn't say how large it is. What is None isn't asked for.
    """
    space = Space(problem, cast("Restrictions", asked.get("narrowing", Restrictions())))
    return Spec.model_validate(
        {
            "opening": initial_design_size(space),
            "offered": sorted(
                {f"{c.precision} by {c.runtime}" for c in space.combination_space.combinations}
            ),
            "problem": problem.name,
            "problem_version": problem.version,
            "source": source.reference,
            "folder": source.folder,
            "origin": digest([search_digest(problem), user_families()]),
            **({name: getattr(held, name) for name in INHERITED_FIELDS} if held else {}),
            **{name: value for name, value in asked.items() if value is not None},
        }
    )


def user_families() -> dict[str, str]:
    """Return the families that users registered, each with a hash of its code."""
    return {
        name: source_hash(ARCHITECTURES[name])
        for name in ARCHITECTURES
        if not ARCHITECTURES[name].__module__.startswith("spaces.")
    }


def restrictions_for(
    problem: Problem, user_restrictions: Sequence[UserRestriction], folder: Path
) -> Restrictions:
    """Return what is left of a problem's space; without a wish, what the run in the folder left.

    Raises:
        UserError: Something is unknown or not to be had here, or nothing is left to deploy.
    """
    held = None if user_restrictions else existing_spec(folder)
    if held:
        user_restrictions = [UserRestriction(f"run {folder}", held.restrictions)] * (
            held.problem == problem.name
        )
    return resolve_restrictions(problem, user_restrictions)


def existing_spec(folder: Path) -> Spec | None:
    """Return what the run in a folder was asked for, if there is one."""
    with suppress(OSError):  # a folder that can't be looked into is refused as a run
        if (folder / "spec.json").is_file():
            return Spec.read(folder / "spec.json")
    return None


def search(
    problem: Problem, source: ProblemSource, spec: Spec, folder: Path, console: Console
) -> Run:
    """Run a search, or go on with it, to its final heat.

    Args:
        problem: What is to be replaced; its declarations are complete.
        source: Where it comes from: workers load it from there.
        spec: What is asked for.
        folder: Run directory, new or of this very spec.
        console: Where progress is shown.

    Raises:
        UserError: No family serves the problem, the run directory or the cache can't be used.
        InterruptedRunError: Not all trials were run.
    """
    supported_encodings(problem)
    if ExtraObjective.MEMORY in spec.extra_objectives:
        require_memory_support()
    run = Run.start(folder, spec)
    spec = run.spec()  # with as many trials as it was asked for before
    progress = ProgressDisplay(problem, spec.trials, console)
    with _ending_well(run), run.exclusive_lock(), progress:
        progress.print_line(f"run directory: {run.folder}")
        if spec.restrictions != Restrictions():
            progress.print_line(f"narrowed     {spec.restrictions}")
        if spec.first:
            progress.print_line(
                f"first        {len(spec.first)} candidates, before those that are dealt"
            )
        environment = collect_environment()
        run.add_session(environment)

        def counted(done: int, total: int) -> None:
            progress.update(done, total)
            _end_if_asked(run)

        cores = spec.workers * problem.deployment.threads
        with (
            cluster(cores, run.folder, source.user_source, data_bytes(problem)),
            signals_as_interrupt(),
        ):
            progress.start_phase("data")
            make = partial(in_parallel, on_poll=lambda: _end_if_asked(run))
            data = generate(problem, default_cache(), make, counted)
            problem = problem.with_fitted_baselines(data.train)
            errors = baseline_errors(problem, data)
            limits = limits_from_goals(problem, errors)
            before_s = run.reference_s(environment.processor)
            reference_timing = time_reference(problem, data.test, before_s)
            context = SearchContext(
                problem, data, reference_timing, limits, run, spec.source, spec.extra_objectives
            )
            run.write("data.json", _facts(context, environment.processor))
            progress.print_line(describe_data(data))
            progress.start_phase("trials")
            _trials(context, spec, run, progress, errors)
            progress.start_phase("other seeds")
            _retrain(context, spec, run, counted)
        progress.start_phase("final heat")
        with signals_as_interrupt():
            run.write("heat.json", run_final_evaluation(context, run, counted))
    return run


@contextmanager
def signals_as_interrupt() -> Generator[None]:
    """Let a batch system's SIGTERM and SIGUSR1 end the search as Ctrl-C does.

    Ray has a handler of its own, which tells where it was and exits: ours comes after it. A script
    that puts a search in the background has Ctrl-C ignored there, but Tune's handler ends it well.
    """

    def interrupt(_: int, __: FrameType | None) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    before = {sign: signal.signal(sign, interrupt) for sign in (signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


def _how_to_go_on(run: Run) -> str:
    return f"go on with: simstead resume {shlex.quote(str(run.folder))}"


def _end_if_asked(run: Run) -> None:
    if run.stop_requested:
        raise InterruptedRunError(f"stopped; {_how_to_go_on(run)}")


def _trials(
    context: SearchContext,
    spec: Spec,
    run: Run,
    progress: ProgressDisplay,
    errors: Mapping[str, float],
) -> None:
    earlier = {record.number: record for record in run.records()}
    progress.count_earlier_trials(earlier.values())
    if run.heat() and count_networks(earlier.values()) >= spec.trials:
        return
    to_beat = score_baselines(context.problem, context.data, context.reference_timing, errors)
    study = SearchStudy(run.journal, context.problem, spec, context.limits, to_beat)
    agenda = TrialQueue(study, run, spec, study.interrupted_trials(earlier))
    if not agenda.finished:
        run.discard_results()
        searcher = StudySearcher(agenda, run, progress, spec.workers)
        halving = SuccessiveHalving(earlier.values())
        run_trials(context, searcher, halving, context.problem.deployment.threads)
    study.close()
    run.discard_unrecorded_artefacts()
    if not agenda.finished:
        done = count_networks(run.records())
        raise InterruptedRunError(
            f"interrupted after {done} of {spec.trials} trials; {_how_to_go_on(run)}"
        )
    run.discard_checkpoints()


def _retrain(
    context: SearchContext, spec: Spec, run: Run, counted: Callable[[int, int], None]
) -> None:
    """Train the recommended networks again with other seeds, those that weren't yet."""
    if run.heat():
        return
    done = list(run.retrained().each)
    known = {(each.trial, each.seed) for each in done}
    objective = context.problem.objective.name
    wanted = [
        (record, seed)
        for record in recommended_trials(run.records(), objective, context.limits)
        for seed in range(1, spec.retrainings + 1)
        if (record.number, record.candidate.seed + seed) not in known
    ]
    for each in retrain_in_parallel(context, wanted, lambda: _end_if_asked(run)):
        done.append(each)
        run.write("retrained.json", RetrainingResults(each=tuple(done)))
        counted(len(done) - len(known), len(wanted))


def describe_data(data: Dataset) -> str:
    """Return how many samples each split has, and what was left out of it and why."""
    parts: list[str] = []
    for name, split in data.splits().items():
        failed, twice = data.failed.get(name, 0), data.duplicates.get(name, 0)
        left_out = [f"{failed} failed"] * bool(failed) + [f"{twice} twice"] * bool(twice)
        parts.append(f"{name} {len(split)}" + (f" ({', '.join(left_out)})" if left_out else ""))
    why = "; ".join(f"{n} samples: {reason}" for reason, n in data.reasons.items())
    unassigned = (
        f"{data.unassigned} samples in no split, within the training range of a shifted group"
    )
    more = [why] * bool(why) + [unassigned] * bool(data.unassigned)
    return "\n             ".join(["data         " + ", ".join(parts), *more])


@contextmanager
def _ending_well(run: Run) -> Generator[None]:
    """Say in one line what ended a search early: everything recorded so far is kept."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"interrupted; {_how_to_go_on(run)}") from error
    except OSError as error:
        if error.errno not in UNWRITABLE_ERRNOS:
            raise
        raise UserError(
            f"writing failed in {error.filename or run.folder} ({error.strerror}); finished trials "
            f"are kept: make room and {_how_to_go_on(run)}"
        ) from error


def _facts(context: SearchContext, processor: str) -> DatasetSummary:
    problem, data = context.problem, context.data
    return DatasetSummary(
        summary=problem.summary,
        samples={name: len(getattr(data, name)) for name in SPLITS},
        failed=dict(data.failed),
        metrics=problem.metrics,
        duplicates=dict(data.duplicates),
        reasons=dict(data.reasons),
        unassigned=data.unassigned,
        exclusions=tuple(exclusions(problem)),
        limits=context.limits,
        recorded=problem.data is not None,
        reference_time_known=context.reference_timing.run is None,
        reference_s=context.reference_timing.sample_s or None if problem.simulation else None,
        processor=processor,
        fields=_fields(context),
    )


def _fields(context: SearchContext) -> tuple[FieldSummary, ...]:
    """Return every field with the range that it takes in the first training samples."""
    train = context.data.train
    sides = (
        (True, context.problem.inputs, train.inputs),
        (False, context.problem.outputs, train.outputs),
    )
    return tuple(
        FieldSummary(
            name=field.name,
            given=given,
            unit=field.unit,
            shape=field.shape,
            low=float(np.min(batch[field.name][:RANGE_SAMPLES])),
            high=float(np.max(batch[field.name][:RANGE_SAMPLES])),
            valid=field.valid,
        )
        for given, fields, batch in sides
        for field in fields
    )
