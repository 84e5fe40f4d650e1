"""Ensembles: the mean of a network and its retrainings, deployed and measured as trials are."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from search.final.seeds import complete_trial
from search.run.directory import RunDirectory
from search.run.records import Record, State, timestamp
from search.trial.lifecycle import SearchContext
from search.workers.ray_cluster import prepare_process, run_sharing
from spaces.candidate import Candidate
from spaces.ensemble import AVERAGED_TARGETS


class EnsembleTask(NamedTuple):
    """An ensemble to be deployed.

    Args:
        candidate: The candidate of its networks, with their seeds.
        number: Number of the ensemble among the trials and ensembles of the run.
        training: The trial that trained the network of its first member.
    """

    candidate: Candidate
    number: int
    training: int


def remaining_ensembles(context: SearchContext, run: RunDirectory) -> list[EnsembleTask]:
    """Return the ensembles of retrained networks that aren't deployed yet.

    A network whose retrainings all have its own error gives no ensemble: nothing in its training is
    random, and the mean is the network itself.

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
    deployed = run.ensembles()
    tasks: list[EnsembleTask] = []
    for trial in sorted(seeds):
        candidate, training = records[trial].candidate, records[trial].network_id
        members = (candidate.seed, *sorted(seeds[trial]))
        ensemble = candidate.model_copy(update={"ensemble_seeds": members})
        averaged = context.problem.encodings[candidate.encoding].target in AVERAGED_TARGETS
        known = any(record.candidate == ensemble for record in deployed)
        if averaged and len(errors[trial]) > 1 and not known:
            number = max([*records, *(record.number for record in deployed)]) + len(tasks) + 1
            tasks.append(EnsembleTask(ensemble, number, training))
    return tasks


def deploy_in_parallel(
    context: SearchContext, tasks: Sequence[EnsembleTask], waiting: Callable[[], None]
) -> Iterator[Record]:
    """Deploy ensembles on all workers; yield their records as they are ready.

    Args:
        context: Context of the search.
        tasks: The ensembles.
        waiting: Called while waiting for results; it raises if the search has to end.
    """
    threads = context.problem.deployment.threads
    for task, record in run_sharing(deploy_in_worker, context, tasks, threads, waiting):
        yield record or Record(
            number=task.number,
            key=task.candidate.key,
            candidate=task.candidate,
            training=task.training,
            state=State.INFEASIBLE,
            stage="worker",
            reason="its worker died",
            ended=timestamp(),
        )


def deploy_in_worker(context: SearchContext, task: EnsembleTask) -> Record:
    """Return the record of an ensemble, deployed in a worker that is prepared as for a trial."""
    prepare_process(context.problem.deployment.threads)
    return complete_trial(context, task.candidate, task.number, task.training)
