"""How far chance carries in training: recommended networks trained again with other seeds."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from problems import UserError
from search.run.directory import Run
from search.run.finalists import RetrainingResult
from search.run.records import NO_LIMITS, Record, State
from search.trial.lifecycle import SearchContext, run_trial
from search.trial.scoring import score_split
from search.watchdog import limited
from search.workers.ray_cluster import prepare_process, run_sharing
from spaces.candidate import Candidate
from spaces.surrogate import Surrogate


def retrain_in_parallel(
    context: SearchContext, repetitions: Sequence[tuple[Record, int]], waiting: Callable[[], None]
) -> Iterator[RetrainingResult]:
    """Live candidates again with other seeds, on every worker; yield what each scores.

    Args:
        setting: The search's.
        repetitions: Trials, each with what is added to its seed.
        waiting: Called meanwhile; raises where the search is to end.
    """
    threads = context.problem.deployment.threads
    done = run_sharing(retrained_apart, context, repetitions, threads, waiting)
    for (record, seed), result in done:
        seed_there = record.candidate.seed + seed
        yield result or RetrainingResult(
            trial=record.number, seed=seed_there, reason="its worker died"
        )


def retrained_apart(context: SearchContext, repetition: tuple[Record, int]) -> RetrainingResult:
    """Prepare a process as those of trials are, and train again in it."""
    prepare_process(context.problem.deployment.threads)
    record, seed = repetition
    return retrain(context, record.candidate, record.number, seed)


def retrain(
    context: SearchContext, candidate: Candidate, trial: int, seed: int
) -> RetrainingResult:
    """Live a candidate again with another seed; return what it scores on the held-out splits.

    What is done in it is limited, as a trial's steps from report to report are.

    Args:
        setting: The search's; what is lowered here is thrown away.
        candidate: Of the trial.
        trial: Its number.
        seed: Added to the candidate's own.
    """
    other = candidate.model_copy(update={"seed": candidate.seed + seed})
    problem, data = context.problem, context.data
    with TemporaryDirectory(prefix="simstead-retraining-") as scratch:
        # Whether it meets the goals was seen in the search, as it was deployed there.
        own = replace(context, run=Run(Path(scratch)), limits=NO_LIMITS)
        record = _lived(own, other)
        if record.state is not State.COMPLETE:
            return RetrainingResult(trial=trial, seed=other.seed, reason=record.reason)
        with limited():
            surrogate = Surrogate.load(own.run.artefact(0), problem)
            try:
                results = {
                    name: score_split(problem, surrogate.run, split)
                    for name, split in (("test", data.test), ("shifted", data.shifted))
                }
            except UserError as error:
                return RetrainingResult(trial=trial, seed=other.seed, reason=str(error))
    odd = [name for name, each in results.items() if each.failed or not _finite(each.metrics)]
    return RetrainingResult(
        trial=trial,
        seed=other.seed,
        reason=f"samples of {', '.join(odd)} failed" if odd else "",
        test=results["test"].metrics,
        shifted=results["shifted"].metrics,
    )


def _lived(context: SearchContext, candidate: Candidate) -> Record:
    life = run_trial(context, candidate, 0)
    while True:
        with limited():
            event = next(life)
        if isinstance(event, Record):
            return event


def _finite(metrics: dict[str, float]) -> bool:
    return all(map(math.isfinite, metrics.values()))
