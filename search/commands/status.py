"""How far a run is, read from its folder alone: any shell that sees it may ask."""

from collections import Counter
from typing import NamedTuple

from search.run.directory import Run
from search.run.records import Record, State, count_networks
from search.run.spec import Spec

MAX_REASONS = 3
"""So many reasons of failures are told, the commonest first."""


class RunStatus(NamedTuple):
    """What a run's folder says.

    Args:
        folder: As it was given.
        spec: What was asked for.
        driver: Which process drives it, if any does.
        stopping: Whether that one is asked to stop.
        ended: How many networks ended how.
        further: How many further deployments of theirs were tried.
        failures: Reasons, with how often each ended a trial.
        best: Records of the smallest error and of the largest speed-up, where there is one.
        objective: Name of the error.
        last: When a trial ended last.
        finished: Whether its final heat is over.
    """

    folder: str
    spec: Spec
    driver: str | None
    stopping: bool
    ended: Counter[State]
    further_deployments: int
    failures: Counter[str]
    best: tuple[Record, Record] | None
    objective: str
    last_ended: str
    finished: bool

    @property
    def state(self) -> str:
        """What it is doing, in words."""
        if self.driver and self.stopping:
            return f"stopping ({self.driver})"
        if self.driver:
            doing = "final heat" if self.ended.total() >= self.spec.trials else "running"
            return f"{doing} ({self.driver})"
        if self.finished:
            return "finished"
        return f"interrupted; go on with: simstead resume {self.folder}"


def read_status(run: Run) -> RunStatus:
    """Return what a run's folder says."""
    records = run.records()
    objective = run.data().metrics[0].name if records else ""
    complete = [r for r in records if r.state is State.COMPLETE and r.timing is not None]
    best = None
    if complete:
        best = (
            min(complete, key=lambda r: r.metrics[objective]),
            max(complete, key=lambda r: r.timing.speedup if r.timing else 0.0),
        )
    return RunStatus(
        folder=str(run.folder),
        spec=run.spec(),
        driver=run.driver(),
        stopping=run.stop_requested,
        ended=Counter(record.state for record in records if record.training is None),
        further_deployments=len(records) - count_networks(records),
        failures=Counter(r.reason for r in records if r.state is State.INFEASIBLE),
        best=best,
        objective=objective,
        last_ended=max((record.ended for record in records), default=""),
        finished=run.heat() is not None,
    )


def format_status(status: RunStatus) -> list[str]:
    """Return a status in words, a line each."""
    spec, ended = status.spec, status.ended
    told = [
        f"run          {status.folder}",
        f"search       {spec.source or spec.problem}, {spec.size}, seed {spec.seed}",
        f"state        {status.state}",
        (
            f"trials       {ended.total()}/{spec.trials}  done {ended[State.COMPLETE]}  "
            f"pruned {ended[State.PRUNED]}  failed {ended[State.INFEASIBLE]}  "
            f"deployed again {status.further_deployments}"
        ),
    ]
    if status.last_ended:
        told.append(f"last ended   {status.last_ended}")
    if status.best:
        accurate, fast = status.best
        told.append(f"best error   {_found(accurate, status.objective)}")
        told.append(f"fastest      {_found(fast, status.objective)}")
    for reason, times in status.failures.most_common(MAX_REASONS):
        told.append(f"failed       {times} x {' '.join(reason.split())}")
    return told


def _found(record: Record, objective: str) -> str:
    speedup = f" at {record.timing.speedup:,.0f}x" if record.timing else ""
    candidate = record.candidate
    return (
        f"{record.metrics[objective]:.3g}{speedup} (trial {record.number}: {candidate.encoding}, "
        f"{candidate.architecture}, {candidate.runtime} {candidate.precision})"
    )
