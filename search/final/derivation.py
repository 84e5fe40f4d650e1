"""Surrogates that are derived from trials: ensembles, and networks that are distilled from one.

An ensemble is the mean of a network and its retrainings. Its network learns once more from
predictions of the ensemble: it may keep the smaller error, and takes the time of one network
(Hinton, Vinyals & Dean, arXiv:1503.02531). Both are deployed and measured as trials are.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from problems import Layout
from search.final.seeds import complete_trial, with_teacher
from search.objectives.error_estimates import Estimates, standard_error
from search.run.directory import RunDirectory
from search.run.records import Record, State, timestamp
from search.trial.context import SearchContext
from search.workers.ray_cluster import prepare_process
from search.workers.tasks import run_sharing
from spaces.candidate import Candidate, Teacher
from spaces.ensemble import AVERAGED_TARGETS
from spaces.registered import ARCHITECTURES

LABELLED = 8192
"""Training samples whose outputs an ensemble predicts."""


class Derivation(NamedTuple):
    """A surrogate to be derived.

    Args:
        candidate: Its candidate.
        number: Its number among the trials and derived surrogates of the run.
        training: The trial that trained the network of the first member of an ensemble.
        teacher: The ensemble from which it is distilled.
    """

    candidate: Candidate
    number: int
    training: int | None = None
    teacher: int | None = None


def remaining_ensembles(context: SearchContext, run: RunDirectory) -> list[Derivation]:
    """Return the ensembles of retrained networks that aren't deployed yet.

    A network that is solved gives no ensemble, and neither does one whose retrainings all have its
    own error: nothing in its training is random, and the mean is the network itself.

    Args:
        context: Context of the search.
        run: The run, with its retrainings.
    """
    records = {record.number: record for record in run.records()}
    errors = {trial: {error.value} for trial, error in run.finalist_errors().of_trials.items()}
    seeds: dict[int, list[int]] = defaultdict(list)
    for result in run.retrainings().results:
        record = records.get(result.trial)
        if record is None or result.trial not in errors or result.validation is None:
            continue
        kept = run.retrained_network_path(record.network_id, result.seed).is_file()
        if kept and not result.fold:
            seeds[result.trial].append(result.seed)
            errors[result.trial].add(result.validation.value)
    candidates: list[tuple[Candidate, int]] = []
    for trial in sorted(seeds):
        candidate = records[trial].candidate
        members = (candidate.seed, *sorted(seeds[trial]))
        averaged = context.problem.encodings[candidate.encoding].target in AVERAGED_TARGETS
        solved = ARCHITECTURES[candidate.architecture].solved
        if averaged and not solved and len(errors[trial]) > 1:
            ensemble = candidate.model_copy(update={"ensemble_seeds": members})
            candidates.append((ensemble, records[trial].network_id))
    known = [record.candidate for record in run.derived_records()]
    first = _next_number(run)
    remaining = [(c, training) for c, training in candidates if c not in known]
    return [
        Derivation(candidate, number, training=training)
        for number, (candidate, training) in enumerate(remaining, start=first)
    ]


def remaining_student(
    context: SearchContext, run: RunDirectory, estimates: Estimates
) -> list[Derivation]:
    """Return the network to be distilled from the best ensemble, none once it was tried.

    There is none where the ensemble's error can't be told from that of its network, or where the
    layout isn't flat: further trajectories and fields would need much memory.

    Args:
        context: Context of the search.
        run: The run, with its ensembles.
        estimates: Validation errors with their noise.
    """
    derived = run.derived_records()
    ensembles = [r for r in derived if r.is_ensemble and r.number in estimates]
    if not ensembles or any(record.teacher is not None for record in derived):
        return []
    best = min(ensembles, key=lambda record: estimates[record.number].value)
    candidate = best.candidate
    of_network = [e for e in estimates.values() if e.network == best.training and e.retrained]
    if context.problem.encodings[candidate.encoding].layout is not Layout.FLAT or not of_network:
        return []
    error, single = estimates[best.number], min(of_network, key=lambda each: each.value)
    if error.value > single.value - standard_error(error, single):
        return []
    labels = {"labelled": LABELLED, "teacher": Teacher.ENSEMBLE}
    training = candidate.training.model_copy(update=labels)
    student = candidate.model_copy(update={"training": training, "ensemble_seeds": ()})
    return [Derivation(student, _next_number(run), teacher=best.number)]


def _next_number(run: RunDirectory) -> int:
    return max((record.number for record in run.surrogate_records()), default=-1) + 1


def derive_in_parallel(
    context: SearchContext, tasks: Sequence[Derivation], waiting: Callable[[], None]
) -> Iterator[Record]:
    """Derive surrogates on all workers; yield their records as they are ready.

    Args:
        context: Context of the search.
        tasks: The surrogates.
        waiting: Called while waiting for results; it raises if the search has to end.
    """
    threads = context.problem.deployment.threads
    for task, result in run_sharing(derive_in_worker, context, tasks, threads, waiting):
        yield _unfinished_record(task, result) if isinstance(result, str) else result


def _unfinished_record(task: Derivation, reason: str) -> Record:
    return Record(
        number=task.number,
        key=task.candidate.key,
        candidate=task.candidate,
        training=task.training,
        teacher=task.teacher,
        state=State.INFEASIBLE,
        stage="worker",
        reason=reason,
        ended=timestamp(),
    )


def derive_in_worker(context: SearchContext, task: Derivation) -> Record:
    """Return the record of a derived surrogate, from a worker that is prepared as for a trial."""
    prepare_process(context.problem.deployment.threads)
    with context.with_files(task.number, task.training, task.teacher) as own:
        informed = with_teacher(own, task.teacher)
        record = complete_trial(informed, task.candidate, task.number, task.training)
    return record.model_copy(update={"teacher": task.teacher})
