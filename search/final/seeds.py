"""Retrainings: recommended networks trained with other seeds, to show the effect of chance."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from problems import UserError
from search.run.directory import RunDirectory
from search.run.finalists import RetrainingResult
from search.run.records import NO_LIMITS, Record, State
from search.trial.lifecycle import SearchContext, run_trial
from search.trial.scoring import resampled_error, score_split
from search.watchdog import watchdog
from search.workers.ray_cluster import prepare_process, run_sharing
from spaces.candidate import Candidate
from spaces.surrogate import Surrogate


def retrain_in_parallel(
    context: SearchContext, repetitions: Sequence[tuple[Record, int]], waiting: Callable[[], None]
) -> Iterator[RetrainingResult]:
    """Retrain candidates on all workers; yield the results as they are ready.

    Args:
        context: Context of the search.
        repetitions: Trials, each with the number that is added to its seed.
        waiting: Called while waiting for results; it raises if the search has to end.
    """
    threads = context.problem.deployment.threads
    results = run_sharing(retrain_in_worker, context, repetitions, threads, waiting)
    for (record, seed_offset), result in results:
        seed = record.candidate.seed + seed_offset
        yield result or RetrainingResult(trial=record.number, seed=seed, reason="its worker died")


def retrain_in_worker(context: SearchContext, repetition: tuple[Record, int]) -> RetrainingResult:
    """Return the result of a retraining in a worker, which is prepared as for a trial."""
    prepare_process(context.problem.deployment.threads)
    record, seed_offset = repetition
    return retrain(context, record, seed_offset)


def retrain(context: SearchContext, trained: Record, seed_offset: int) -> RetrainingResult:
    """Return the scores of a candidate with another seed on all splits but that of training.

    The watchdog ends the process if a step of the trial takes too long. The trained network is kept
    for an ensemble.

    Args:
        context: Context of the search; the artefact of the retraining is discarded.
        trained: The trial.
        seed_offset: Number that is added to the candidate's seed.
    """
    trial, candidate = trained.number, trained.candidate
    other = candidate.model_copy(update={"seed": candidate.seed + seed_offset})
    problem, data = context.problem, context.data
    with TemporaryDirectory(prefix="simstead-retraining-") as scratch:
        # The goals don't apply here: the search checked them for the trial as deployed.
        scratch_context = replace(context, run=RunDirectory(Path(scratch)), limits=NO_LIMITS)
        record = complete_trial(scratch_context, other)
        if record.state is not State.COMPLETE:
            return RetrainingResult(trial=trial, seed=other.seed, reason=record.reason)
        with watchdog():
            surrogate = Surrogate.load(scratch_context.run.artefact_path(0), problem)
            try:
                validation = score_split(problem, surrogate.run, data.validation)
                results = {
                    name: score_split(problem, surrogate.run, split)
                    for name, split in (("test", data.test), ("shifted", data.shifted))
                }
            except UserError as error:
                return RetrainingResult(trial=trial, seed=other.seed, reason=str(error))
        kept = context.run.retrained_network_path(trained.network_id, other.seed)
        kept.parent.mkdir(exist_ok=True)
        shutil.move(scratch_context.run.trained_network_path(0), kept)
    failed = [name for name, result in results.items() if result.failed]
    reasons = [f"samples of {', '.join(failed)} failed"] * bool(failed)
    reasons += [f"on {k} {result.not_finite}" for k, result in results.items() if result.not_finite]
    return RetrainingResult(
        trial=trial,
        seed=other.seed,
        reason="; ".join(reasons),
        validation=None if validation.failed else resampled_error(problem, validation),
        test=results["test"].metrics,
        shifted=results["shifted"].metrics,
    )


def complete_trial(
    context: SearchContext, candidate: Candidate, number: int = 0, training: int | None = None
) -> Record:
    """Return the record of a trial that isn't stopped at rungs; the watchdog guards each step.

    Args:
        context: Context of the search.
        candidate: The candidate.
        number: Number of the trial.
        training: The trial that trained the network, if it was another one.
    """
    events = run_trial(context, candidate, number, training)
    while True:
        with watchdog():
            event = next(events)
        if isinstance(event, Record):
            return event
