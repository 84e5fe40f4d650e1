"""A search, from data and trials to the final evaluation; it can be resumed in every phase."""

import errno
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from problems import InterruptedRunError, Problem, UserError
from problems.entrance.calls import stage_errors
from problems.entrance.scratch import shared_scratch_root
from problems.sources import ProblemSource
from search.active_learning.budget import require_choosing_emulator
from search.final.evaluation import run_final_evaluation
from search.final.finalists import Finalists
from search.first_phases import FirstPhases
from search.interrupts import ending_in_time, signals_as_interrupt
from search.joining import Joining, check_stop, how_to_resume, provide_workers
from search.objectives.baselines import BaselineScores
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.environment import collect_environment
from search.run.records import (
    PhaseProgress,
    count_networks,
)
from search.run.spec import ExtraObjective, Spec
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue
from search.timing.memory import require_memory_support
from search.trial.context import SearchContext
from search.workers.successive_halving import SuccessiveHalving
from search.workers.trial_runner import run_trials
from search.workers.tune_adapter import StudySearcher
from spaces.restrictions import Restrictions
from spaces.space import supported_encodings

UNWRITABLE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


@dataclass(frozen=True)
class SearchSession:
    """What a session of a search is given besides its spec.

    Args:
        console: Console that shows the progress.
        write_report: Writes the report of a finished run.
        joining: The cluster that was joined; Ray is started on this machine if None.
        ends_at: When the search has to have ended, by `time.monotonic` [s]; None for any time.
    """

    console: Console
    write_report: Callable[[RunDirectory], object]
    joining: Joining | None = None
    ends_at: float | None = None


def run_search(
    problem: Problem, source: ProblemSource, spec: Spec, folder: Path, session: SearchSession
) -> RunDirectory:
    """Run or resume a search up to its report; return its run directory.

    Args:
        problem: The problem, with complete declarations.
        source: Where the problem comes from; workers load it from there.
        spec: The spec.
        folder: run directory, new or with the same spec.
        session: What this session is given.

    Raises:
        UserError: No family suits the problem, it has no simulation for the budget of further
            ones, or the run directory or the cache can't be used.
        InterruptedRunError: The search was interrupted.
        ClusterError: No node of the cluster can do the work.
    """
    supported_encodings(problem)
    if ExtraObjective.MEMORY in spec.extra_objectives:
        require_memory_support()
    require_choosing_emulator(problem, spec)
    run = RunDirectory.start(folder, spec)
    with errors_with_remedy(run), _ending_in_time(run, session.ends_at):
        search_and_evaluate(problem, source, run, session)
        session.write_report(run)
    return run


def search_and_evaluate(
    problem: Problem, source: ProblemSource, run: RunDirectory, session: SearchSession
) -> None:
    """Do what a run lacks of a search, up to its final evaluation, as its only driver.

    Args:
        problem: The problem, with complete declarations.
        source: Where the problem comes from; workers load it from there.
        run: The run directory.
        session: What this session is given.

    Raises:
        UserError: The run or the cluster can't be used, or the problem has a mistake.
        InterruptedRunError: The search was interrupted.
        ClusterError: No node of the cluster can do the work.
    """
    spec = run.spec()
    progress = ProgressDisplay(problem, spec.trials, session.console)
    with run.exclusive_lock(), progress, shared_scratch_root():
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
            check_stop(run)

        with provide_workers(problem, source, run, progress, session.joining) as workers:
            process = workers.process
            phases = FirstPhases(
                problem, spec, run, process.call, progress, on_progress, workers.transport
            )
            context, scores = phases.context(
                session.joining.machine.processor if session.joining else environment.processor
            )
            progress.start_phase("trials")
            run_remaining_trials(
                context, run.spec(), run, progress, scores, elastic=workers.elastic
            )
            if not run.final_evaluation():
                finalists = Finalists(context, spec, run, progress, on_progress)
                finalists.prepare(process, partial(check_stop, run))
            workers.release()
            progress.start_phase("evaluation")
            with stage_errors("the final evaluation"):
                evaluation = process.call(
                    run_final_evaluation, context, run, on_message=on_progress
                )
                run.write("heat.json", evaluation)


def run_remaining_trials(  # noqa: PLR0913 - the last one is seldom given
    context: SearchContext,
    spec: Spec,
    run: RunDirectory,
    progress: ProgressDisplay,
    baseline_scores: Callable[[SearchContext], BaselineScores],
    *,
    elastic: bool = False,
) -> None:
    """Run the trials of a search that its run directory doesn't contain yet.

    Args:
        context: What the trials share.
        spec: The spec, with the number of trials and the sampler.
        run: run directory with the records and the study's journal.
        progress: Display of the progress.
        baseline_scores: Returns the objective values of the baselines, if anything is left to try.
        elastic: Whether as many trials run at a time as the nodes have cores for, which may change.

    Raises:
        InterruptedRunError: The search was interrupted before all trials were run.
        OSError: The run directory can't be written.
    """
    earlier = {record.number: record for record in run.records()}
    progress.count_earlier_trials(earlier.values())
    if run.final_evaluation() and count_networks(earlier.values()) >= spec.trials:
        return
    study = SearchStudy(run.journal, context.problem, spec, context.limits)
    interrupted = study.interrupted_trials(earlier)
    queue = TrialQueue(study, run, spec, interrupted, earlier.values())
    if not queue.finished:
        study.compare_with(baseline_scores(context))
        run.discard_results()
        threads = context.problem.deployment.threads
        workers = None if elastic else spec.workers
        searcher = StudySearcher(queue, run, progress, workers, threads)
        halving = SuccessiveHalving(earlier.values())
        shared = context.without_baselines()
        run_trials(shared, searcher, halving)
    study.close()
    run.discard_unrecorded_artefacts()
    if not queue.finished:
        done = count_networks(run.records())
        evaluated = f", with --trials {done} to evaluate these alone" if done else ""
        raise InterruptedRunError(
            f"interrupted after {done} of {spec.trials} trials; {how_to_resume(run)}{evaluated}"
        )
    run.discard_checkpoints()


@contextmanager
def _ending_in_time(run: RunDirectory, ends_at: float | None) -> Generator[None]:
    """End a search by signals and when its time is up; measure how long that takes."""
    left_s = None if ends_at is None else ends_at - time.monotonic()
    with signals_as_interrupt() as interrupts, ending_in_time(left_s, run.stop_s()):
        try:
            yield
        finally:
            if interrupts.first is not None:
                run.add_stop(time.monotonic() - interrupts.first)


@contextmanager
def errors_with_remedy(run: RunDirectory) -> Generator[None]:
    """Turn interrupts and full disks into errors of one line that say how to resume.

    Raises:
        InterruptedRunError: The search was interrupted.
        UserError: The run directory can't be written.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedRunError(f"interrupted; {how_to_resume(run)}") from error
    except OSError as error:
        if error.errno not in UNWRITABLE_ERRNOS:
            raise
        raise UserError(
            f"writing failed in {error.filename or run.folder} ({error.strerror}); finished trials "
            f"are kept: make room and {how_to_resume(run)}"
        ) from error
