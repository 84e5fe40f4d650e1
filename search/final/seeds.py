"""Retrainings: recommended networks trained with other seeds, to show the effect of chance.

Where validation samples are few, they are also trained with other divisions into training and
validation samples.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from problems import UserError
from problems.data.folds import divided_again
from search.run.directory import RunDirectory
from search.run.finalists import RetrainingResult
from search.run.records import NO_LIMITS, Record, State
from search.trial.context import SearchContext
from search.trial.lifecycle import run_trial
from search.trial.scoring import resampled_error, score_split
from search.watchdog import watchdog
from search.workers.ray_cluster import prepare_process
from search.workers.tasks import run_sharing
from spaces.candidate import Candidate
from spaces.surrogate import Surrogate


class Repetition(NamedTuple):
    """A training to be repeated.

    Args:
        record: The trial.
        seed_offset: Number that is added to the candidate's seed.
        fold: Number of the division into training and validation samples.
    """

    record: Record
    seed_offset: int
    fold: int = 0

    @property
    def candidate(self) -> Candidate:
        """The candidate with the other seed."""
        candidate = self.record.candidate
        return candidate.model_copy(update={"seed": candidate.seed + self.seed_offset})

    def failed(self, reason: str) -> RetrainingResult:
        """Return the result of a training that failed for a reason."""
        number, seed = self.record.number, self.candidate.seed
        return RetrainingResult(trial=number, seed=seed, fold=self.fold, reason=reason)


def retrain_in_parallel(
    context: SearchContext, repetitions: Sequence[Repetition], waiting: Callable[[], None]
) -> Iterator[RetrainingResult]:
    """Retrain candidates on all workers; yield the results as they are ready.

    Args:
        context: Context of the search.
        repetitions: The trainings.
        waiting: Called while waiting for results; it raises if the search has to end.
    """
    threads = context.problem.deployment.threads
    results = run_sharing(retrain_in_worker, context, repetitions, threads, waiting)
    for repetition, result in results:
        yield repetition.failed(result) if isinstance(result, str) else result


def retrain_in_worker(context: SearchContext, repetition: Repetition) -> RetrainingResult:
    """Return the result of a retraining in a worker, which is prepared as for a trial."""
    prepare_process(context.problem.deployment.threads)
    with context.with_files(repetition.record.teacher) as own:
        return retrain(own, repetition)


def retrain(context: SearchContext, repetition: Repetition) -> RetrainingResult:
    """Return the scores of a candidate with another seed on all splits but that of training.

    The watchdog ends the process if a step of the trial takes too long. The trained network is kept
    for an ensemble, unless it was trained with another division of the samples: it has seen what
    the ensemble is validated on. Such a training is scored on its validation split alone.

    Args:
        context: Context of the search; the artefact of the retraining is discarded.
        repetition: The training.
    """
    other, fold = repetition.candidate, repetition.fold
    context = with_teacher(context, repetition.record.teacher)
    data, problem = divided_again(context.data, fold), context.problem
    splits = {"validation": data.validation}
    if not fold:
        splits |= {"test": data.test, "shifted": data.shifted}
    with TemporaryDirectory(prefix="simstead-retraining-") as scratch:
        # The goals don't apply here: the search checked them for the trial as deployed.
        scratch_context = replace(
            context, data=data, run=RunDirectory(Path(scratch)), limits=NO_LIMITS
        )
        record = complete_trial(scratch_context, other)
        if record.state is not State.COMPLETE:
            return repetition.failed(record.reason)
        with watchdog():
            surrogate = Surrogate.load(scratch_context.run.artefact_path(0), problem)
            try:
                results = {k: score_split(problem, surrogate.run, s) for k, s in splits.items()}
            except UserError as error:
                return repetition.failed(str(error))
        if not fold:
            kept = context.run.retrained_network_path(repetition.record.network_id, other.seed)
            kept.parent.mkdir(exist_ok=True)
            shutil.move(scratch_context.run.trained_network_path(0), kept)
    validation = results.pop("validation")
    failed = [name for name, result in results.items() if result.failed]
    reasons = [f"samples of {', '.join(failed)} failed"] * bool(failed)
    reasons += [f"on {k} {result.not_finite}" for k, result in results.items() if result.not_finite]
    return RetrainingResult(
        trial=repetition.record.number,
        seed=other.seed,
        fold=fold,
        reason="; ".join(reasons),
        validation=None if validation.failed else resampled_error(problem, validation),
        **{name: result.metrics for name, result in results.items()},
    )


def with_teacher(context: SearchContext, ensemble: int | None) -> SearchContext:
    """Return a context whose teacher is an ensemble of the run; the same one for None.

    Raises:
        UserError: The artefact of the ensemble is damaged.
    """
    if ensemble is None:
        return context
    surrogate = Surrogate.load(context.run.artefact_path(ensemble), context.problem)
    return replace(context, teacher=surrogate.run)


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
