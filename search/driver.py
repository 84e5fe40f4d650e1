"""A search, from data and trials to the final evaluation; it can be resumed in every phase."""

import errno
import shlex
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import cast

import numpy as np
from rich.console import Console

from problems import SPLITS, Dataset, InterruptedRunError, Problem, UserError
from problems.data.cache import default_cache
from problems.data.dataset import check_values, data_bytes, generate, search_digest
from problems.entrance.calls import Call, stage_errors
from problems.entrance.isolated import IsolatedProcess
from problems.entrance.scratch import shared_scratch_root
from problems.provenance import digest
from problems.source_code import source_hash
from problems.sources import ProblemSource
from search.active_learning.budget import require_choosing_emulator
from search.active_learning.rounds import BudgetSpender
from search.final.evaluation import run_final_evaluation
from search.final.finalists import Finalists
from search.objectives.baselines import (
    BaselineScores,
    mean_error,
    prepare_references,
    score_baselines,
)
from search.objectives.goals import limits_from_goals
from search.objectives.standard_baselines import (
    StandardResults,
    describe_baselines,
    fit_standard_baselines,
    with_standard_baselines,
)
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.environment import collect_environment
from search.run.records import (
    DatasetSummary,
    DeploymentSummary,
    FieldSummary,
    PhaseProgress,
    count_networks,
)
from search.run.simulations import SimulationsSummary
from search.run.spec import ExtraObjective, Spec
from search.sampling.initial_design import initial_design_size
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue
from search.timing.memory import require_memory_support
from search.timing.reference import reference_sample_s
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
"""Training samples from which ranges are computed, since data may be larger than memory."""

UNWRITABLE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

INHERITED_FIELDS = (
    "deployments",
    "retrainings",
    "sampler",
    "extra_objectives",
    "simulations",
    "reference_hours",
)
"""Fields of a spec that a resumed run keeps where no others are given."""


def make_spec(
    problem: Problem, source: ProblemSource, existing: Spec | None = None, **fields: object
) -> Spec:
    """Return the spec of a search.

    Args:
        problem: The problem.
        source: Where the problem comes from.
        existing: The spec of the run to be resumed, which gives `INHERITED_FIELDS`.
        **fields: Other fields of the spec, such as size, seed and trials; None counts as not given.
    """
    space = Space(problem, cast("Restrictions", fields.get("restrictions", Restrictions())))
    return Spec.model_validate(
        {
            "initial_design_size": initial_design_size(space),
            "available_deployments": sorted(
                {f"{c.precision} by {c.runtime}" for c in space.combination_space.combinations}
            ),
            "problem": problem.name,
            "problem_version": problem.version,
            "source": source.reference,
            "folder": source.folder,
            "origin_hash": digest([search_digest(problem), user_families()]),
            **({name: getattr(existing, name) for name in INHERITED_FIELDS} if existing else {}),
            **{name: value for name, value in fields.items() if value is not None},
        }
    )


def user_families() -> dict[str, str]:
    """Return the hashes of the code of the families that users registered, by name."""
    return {
        name: source_hash(ARCHITECTURES[name])
        for name in ARCHITECTURES
        if not ARCHITECTURES[name].__module__.startswith("spaces.")
    }


def restrictions_for(
    problem: Problem, user_restrictions: Sequence[UserRestriction], folder: Path
) -> Restrictions:
    """Return the restrictions of a problem's space.

    Without restrictions of the user, those of the run in the folder are returned, if there is one.

    Args:
        problem: The problem.
        user_restrictions: The restrictions of the user.
        folder: run directory, which may not exist yet.

    Raises:
        UserError: Something is unknown or isn't available here, or nothing is left to deploy.
    """
    existing = None if user_restrictions else existing_spec(folder)
    if existing and existing.problem == problem.name:
        user_restrictions = [UserRestriction(f"run {folder}", existing.restrictions)]
    return resolve_restrictions(problem, user_restrictions)


def existing_spec(folder: Path) -> Spec | None:
    """Return the spec of the run in a folder, or None if there is no run."""
    with suppress(OSError):  # `RunDirectory` refuses a folder that can't be read
        if (folder / "spec.json").is_file():
            return Spec.read(folder / "spec.json")
    return None


def run_search(
    problem: Problem, source: ProblemSource, spec: Spec, folder: Path, console: Console
) -> RunDirectory:
    """Run or resume a search up to its final evaluation; return its run directory.

    Args:
        problem: The problem, with complete declarations.
        source: Where the problem comes from; workers load it from there.
        spec: The spec.
        folder: run directory, new or with the same spec.
        console: Console that shows the progress.

    Raises:
        UserError: No family suits the problem, it has no simulation for the budget of further
            ones, or the run directory or the cache can't be used.
        InterruptedRunError: The search was interrupted.
    """
    supported_encodings(problem)
    if ExtraObjective.MEMORY in spec.extra_objectives:
        require_memory_support()
    require_choosing_emulator(problem, spec)
    run = RunDirectory.start(folder, spec)
    spec = run.spec()  # the number of trials of a resumed run doesn't decrease
    progress = ProgressDisplay(problem, spec.trials, console)
    with (
        _readable_errors(run),
        run.exclusive_lock(),
        progress,
        shared_scratch_root(),
        IsolatedProcess() as process,
    ):
        progress.print_line(f"run directory: {run.folder}")
        if spec.restrictions != Restrictions():
            progress.print_line(f"restricted   {spec.restrictions}")
        if spec.warm_start:
            progress.print_line(
                f"warm start   {len(spec.warm_start)} candidates, before the initial design"
            )
        environment = collect_environment()
        run.add_session(environment)

        def on_progress(done: int, total: int) -> None:
            progress.update(done, total)
            run.write_progress(PhaseProgress(phase=progress.phase, done=done, total=total))
            _check_stop(run)

        cores = spec.workers * problem.deployment.threads
        with (
            cluster(cores, run.folder, source.user_source, data_bytes(problem, spec.simulations)),
            signals_as_interrupt(),
        ):
            progress.start_phase("data")
            make = partial(in_parallel, on_poll=lambda: _check_stop(run))
            data = generate(problem, default_cache(), make, on_progress)
            check_values(problem, data)
            spender = BudgetSpender(problem, spec, run, process.call, make, on_progress)
            data, bought = _buy_simulations(spender, data, progress)
            earlier_s = run.reference_s(environment.processor)
            with stage_errors("fitting and timing the baselines and the reference"):
                problem, errors, reference_timing = process.call(
                    prepare_references, problem, data, earlier_s
                )
            progress.start_phase("baselines")
            standard = fit_standard_baselines(problem, data, spec.size, process.call, on_progress)
            problem = with_standard_baselines(problem, standard)
            error_of_mean = None if errors else process.call(mean_error, problem, data)
            context = SearchContext(
                problem,
                data,
                reference_timing,
                limits_from_goals(problem, errors or standard.errors),
                run,
                spec.source,
                spec.extra_objectives,
                errors | standard.errors,
                standard.teacher,
            )
            run.write(
                "data.json",
                _summarise_data(context, environment.processor, standard, error_of_mean, bought),
            )
            progress.print_line(f"{describe_data(data)}\n{describe_baselines(standard)}".rstrip())
            progress.start_phase("trials")
            worst = max(errors.values(), default=error_of_mean)
            scores = partial(_score_baselines, process.call, worst)
            run_remaining_trials(context, spec, run, progress, scores)
            if not run.final_evaluation():
                finalists = Finalists(context, spec, run, progress, on_progress)
                finalists.prepare(process, partial(_check_stop, run))
        progress.start_phase("evaluation")
        with signals_as_interrupt(), stage_errors("the final evaluation"):
            evaluation = process.call(run_final_evaluation, context, run, on_message=on_progress)
            run.write("heat.json", evaluation)
    return run


@contextmanager
def signals_as_interrupt() -> Generator[None]:
    """End a search by SIGTERM and SIGUSR1, which batch systems send, as by Ctrl-C.

    These handlers replace Ray's, which exits the process. A search started in the background by a
    script ignores SIGINT; then KeyboardInterrupt is raised instead, unless Tune has set a handler.
    """

    def interrupt(_: int, __: FrameType | None) -> None:
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    signals = (signal.SIGTERM, signal.SIGUSR1)
    previous = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _how_to_resume(run: RunDirectory) -> str:
    return f"resume with: simstead resume {shlex.quote(str(run.folder))}"


def _check_stop(run: RunDirectory) -> None:
    if run.stop_requested:
        raise InterruptedRunError(f"stopped; {_how_to_resume(run)}")


def run_remaining_trials(
    context: SearchContext,
    spec: Spec,
    run: RunDirectory,
    progress: ProgressDisplay,
    baseline_scores: Callable[[SearchContext], BaselineScores],
) -> None:
    """Run the trials of a search that its run directory doesn't contain yet.

    Args:
        context: What the trials share.
        spec: The spec, with the number of trials and the sampler.
        run: run directory with the records and the study's journal.
        progress: Display of the progress.
        baseline_scores: Returns the objective values of the baselines.

    Raises:
        InterruptedRunError: The search was interrupted before all trials were run.
        OSError: The run directory can't be written.
    """
    earlier = {record.number: record for record in run.records()}
    progress.count_earlier_trials(earlier.values())
    if run.final_evaluation() and count_networks(earlier.values()) >= spec.trials:
        return
    baselines = baseline_scores(context)
    study = SearchStudy(run.journal, context.problem, spec, context.limits, baselines)
    queue = TrialQueue(study, run, spec, study.interrupted_trials(earlier))
    if not queue.finished:
        run.discard_results()
        searcher = StudySearcher(queue, run, progress, spec.workers)
        halving = SuccessiveHalving(earlier.values())
        shared = context.without_baselines()
        run_trials(shared, searcher, halving, context.problem.deployment.threads)
    study.close()
    run.discard_unrecorded_artefacts()
    if not queue.finished:
        done = count_networks(run.records())
        raise InterruptedRunError(
            f"interrupted after {done} of {spec.trials} trials; {_how_to_resume(run)}"
        )
    run.discard_checkpoints()


def _buy_simulations(
    spender: BudgetSpender, data: Dataset, progress: ProgressDisplay
) -> tuple[Dataset, SimulationsSummary | None]:
    """Return the data with the simulations of the run's budget, and what was bought, if any."""
    if not spender.spec.buys_simulations:
        return data, None
    progress.start_phase("replay")
    measured_s = partial(spender.call, reference_sample_s, spender.problem, data.test)
    with stage_errors("the choice of further simulations"):
        plan = spender.plan(data, measured_s)
        progress.start_phase("simulations")
        data, bought = spender.spend(data, plan)
    progress.print_line(f"simulations  {bought.description}")
    return data, bought


def _score_baselines(
    call: Call, largest_error: float | None, context: SearchContext
) -> BaselineScores:
    """Return the objective values of the baselines, by a call of users' code."""
    with stage_errors("timing the baselines"):
        return call(
            score_baselines,
            context.problem,
            context.data,
            context.reference_timing,
            context.baseline_errors,
            largest_error,
        )


def describe_data(data: Dataset) -> str:
    """Return lines with the samples of each split, and with omitted samples and the reasons."""
    parts: list[str] = []
    for name, split in data.splits().items():
        failed, duplicates = data.failed.get(name, 0), data.duplicates.get(name, 0)
        omitted = [f"{failed} failed"] * bool(failed) + [f"{duplicates} twice"] * bool(duplicates)
        parts.append(f"{name} {len(split)}" + (f" ({', '.join(omitted)})" if omitted else ""))
    reasons = "; ".join(f"{n} samples: {reason}" for reason, n in data.reasons.items())
    unassigned = (
        f"{data.unassigned} samples in no split, within the training range of a shifted group"
    )
    further = [reasons] * bool(reasons) + [unassigned] * bool(data.unassigned)
    return "\n             ".join(["data         " + ", ".join(parts), *further])


@contextmanager
def _readable_errors(run: RunDirectory) -> Generator[None]:
    """Turn interrupts and full disks into errors of one line that say how to resume."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"interrupted; {_how_to_resume(run)}") from error
    except OSError as error:
        if error.errno not in UNWRITABLE_ERRNOS:
            raise
        raise UserError(
            f"writing failed in {error.filename or run.folder} ({error.strerror}); finished trials "
            f"are kept: make room and {_how_to_resume(run)}"
        ) from error


def _summarise_data(
    context: SearchContext,
    processor: str,
    standard: StandardResults,
    error_of_mean: float | None,
    bought: SimulationsSummary | None,
) -> DatasetSummary:
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
        reference_has_time=context.reference_timing.has_time,
        timed_baseline=context.reference_timing.baseline,
        deployment=DeploymentSummary(**asdict(problem.deployment)),
        processor=processor,
        fields=_summarise_fields(context),
        baseline_errors=dict(context.baseline_errors),
        standard_baselines=standard.summaries,
        mean_error=error_of_mean,
        simulations=bought,
    )


def _summarise_fields(context: SearchContext) -> tuple[FieldSummary, ...]:
    """Return every field with its range in the first training samples."""
    train = context.data.train
    sides = (
        (True, context.problem.inputs, train.inputs),
        (False, context.problem.outputs, train.outputs),
    )
    return tuple(
        FieldSummary(
            name=field.name,
            is_input=is_input,
            unit=field.unit,
            shape=field.shape,
            low=float(np.min(batch[field.name][:RANGE_SAMPLES])),
            high=float(np.max(batch[field.name][:RANGE_SAMPLES])),
            valid=field.valid,
        )
        for is_input, fields, batch in sides
        for field in fields
    )
