"""How far chance carries in training: recommended networks trained again with other seeds."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from problems import Problem, UserError
from search.directory import Run
from search.entrants import Retrained
from search.fronts import knee, ranks
from search.goals import measured, objectives
from search.hanging import limited
from search.records import NO_LIMITS, Limits, Record, State
from search.scoring import scored
from search.trial import Setting, live
from spaces.candidate import Candidate
from spaces.surrogate import Surrogate


def recommended(problem: Problem, records: Sequence[Record], limits: Limits) -> list[Record]:
    """Return the trials at the knee, the most accurate, the fastest, and the smallest if asked.

    Of those that meet the goals, where any does. They are chosen by the search's own figures: the
    final heat may find the knee elsewhere.
    """
    complete = [record for record in records if record.state is State.COMPLETE]
    able = [r for r in complete if limits.met(*measured(problem, r))] or complete
    if not able:
        return []
    points = [objectives(problem, record) for record in able]
    front = [i for i, rank in enumerate(ranks(points)) if rank == 0]
    best = np.argmin([points[i] for i in front], axis=0)
    chosen = (front[knee([points[i] for i in front])], *(front[i] for i in best))
    return [able[i] for i in dict.fromkeys(chosen)]


def retrained(setting: Setting, candidate: Candidate, trial: int, seed: int) -> Retrained:
    """Live a candidate again with another seed; return what it scores on the held-out splits.

    What is done in it is limited, as a trial's steps from report to report are.

    Args:
        setting: The search's; what is lowered here is thrown away.
        candidate: Of the trial.
        trial: Its number.
        seed: Added to the candidate's own.
    """
    other = candidate.model_copy(update={"seed": candidate.seed + seed})
    problem, data = setting.problem, setting.data
    with TemporaryDirectory(prefix="simstead-retraining-") as scratch:
        # Whether it meets the goals was seen in the search, as it was deployed there.
        own = replace(setting, run=Run(Path(scratch)), limits=NO_LIMITS)
        record = _lived(own, other)
        if record.state is not State.COMPLETE:
            return Retrained(trial=trial, seed=other.seed, reason=record.reason)
        with limited():
            surrogate = Surrogate.load(own.run.artefact(0), problem)
            try:
                results = {
                    name: scored(problem, surrogate.run, split)
                    for name, split in (("test", data.test), ("shifted", data.shifted))
                }
            except UserError as error:
                return Retrained(trial=trial, seed=other.seed, reason=str(error))
    odd = [name for name, each in results.items() if each.failed or not _finite(each.metrics)]
    return Retrained(
        trial=trial,
        seed=other.seed,
        reason=f"samples of {', '.join(odd)} failed" if odd else "",
        test=results["test"].metrics,
        shifted=results["shifted"].metrics,
    )


def _lived(setting: Setting, candidate: Candidate) -> Record:
    life = live(setting, candidate, 0)
    while True:
        with limited():
            event = next(life)
        if isinstance(event, Record):
            return event


def _finite(metrics: dict[str, float]) -> bool:
    return all(map(math.isfinite, metrics.values()))
