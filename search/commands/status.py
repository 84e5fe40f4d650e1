"""The state of a run, read from its folder, so that any shell can show it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from search.launch.launched import LaunchFolder
from search.progress import describe_duration
from search.run.directory import RunDirectory
from search.run.finalists import FinalEvaluation, PairedComparison
from search.run.nodes import ClusterStatus, NodeState
from search.run.records import Occupancy, PhaseProgress, Record, State, count_networks
from search.run.spec import Spec

MAX_REASONS = 3
"""Largest number of reasons of failures that are shown, the most frequent first."""

MAX_NODES = 8
"""Largest number of nodes without work that are shown."""


PACE_NETWORKS = 20
"""The networks that ended last, by whose pace the time left is told."""


class RunStatus(NamedTuple):
    """The state of a run.

    Args:
        folder: The run directory.
        spec: The specification of the run.
        driver: The process that drives the run, if any.
        stopping: Whether the driver is asked to stop.
        trials_by_state: Number of networks by the state in which their trial ended.
        further_deployments: Number of further deployments.
        failures: Number of failed trials by reason.
        best: Records of the smallest error and of the largest speed-up, if any trial is complete.
        objective: Name of the error.
        reference_has_time: Whether speed-ups are over the reference.
        validation_samples: Samples of the validation split, on which errors are measured.
        left_s: Time until all networks are tried, at the pace of the latest ones [s]; None where no
            process drives the run, or too few have ended.
        last_ended: Time at which the last trial ended.
        finished: Whether the final evaluation is done.
        against_baseline: Comparison of the recommended surrogate with the best baseline, or None.
        progress: How far the latest phase besides the trials has come, while a process drives the
            run.
        occupancy: How many workers run trials, while a process drives the run.
        cluster: Nodes of the cluster of the latest session that joined one.
        launched: Whether a job of a batch system is to drive the run.
    """

    folder: str
    spec: Spec
    driver: str | None
    stopping: bool
    trials_by_state: Counter[State]
    further_deployments: int
    failures: Counter[str]
    best: tuple[Record, Record] | None
    objective: str
    reference_has_time: bool
    validation_samples: int
    left_s: float | None
    last_ended: str
    finished: bool
    against_baseline: PairedComparison | None
    progress: PhaseProgress | None
    occupancy: Occupancy | None
    cluster: ClusterStatus
    launched: bool

    @property
    def state(self) -> str:
        """The state as text."""
        if self.driver and self.stopping:
            return f"stopping ({self.driver})"
        if self.driver:
            all_tried = self.trials_by_state.total() >= self.spec.trials
            return f"{'final evaluation' if all_tried else 'running'} ({self.driver})"
        if self.finished:
            return "finished"
        if self.launched:
            return "launched; no driver now"
        return f"interrupted; resume with: simstead resume {self.folder}"


def read_status(run: RunDirectory) -> RunStatus:
    """Return the state of a run."""
    spec, driver, records = run.spec(), run.driver(), run.records()
    data = run.data() if records else None
    objective = data.metrics[0].name if data else ""
    complete = [r for r in records if r.state is State.COMPLETE and r.timing is not None]
    best, evaluation = None, run.final_evaluation()
    if complete:
        best = (
            min(complete, key=lambda r: r.metrics[objective]),
            max(complete, key=lambda r: r.timing.speedup if r.timing else 0.0),
        )
    return RunStatus(
        folder=str(run.folder),
        spec=spec,
        driver=driver,
        stopping=run.stop_requested,
        trials_by_state=Counter(record.state for record in records if record.training is None),
        further_deployments=len(records) - count_networks(records),
        failures=Counter(r.reason for r in records if r.state is State.INFEASIBLE),
        best=best,
        objective=objective,
        reference_has_time=data is None or data.reference_has_time,
        validation_samples=data.samples.get("validation", 0) if data else 0,
        left_s=_time_left_s(records, spec) if driver else None,
        last_ended=max((record.ended for record in records), default=""),
        finished=evaluation is not None,
        against_baseline=_comparison_of_recommended(evaluation) if evaluation else None,
        progress=run.progress() if driver else None,
        occupancy=run.occupancy() if driver else None,
        cluster=run.nodes(),
        launched=LaunchFolder(run.folder).goes_on,
    )


def format_status(status: RunStatus) -> list[str]:
    """Return the lines of a status."""
    spec, trials = status.spec, status.trials_by_state
    lines = [
        f"run          {status.folder}",
        f"search       {spec.source or spec.problem}, {spec.size}, seed {spec.seed}",
        f"state        {status.state}",
        (
            f"trials       {trials.total()}/{spec.trials}  done {trials[State.COMPLETE]}  "
            f"stopped early {trials[State.STOPPED]}  failed {trials[State.INFEASIBLE]}  "
            f"further deployments {status.further_deployments}"
        ),
    ]
    if status.progress:
        progress = status.progress
        lines.append(f"{progress.phase:12} {progress.done}/{progress.total}")
    if status.occupancy:
        lines.append(f"workers      {status.occupancy.busy} of {status.occupancy.workers} busy")
    if status.left_s is not None:
        lines.append(f"time left    about {describe_duration(status.left_s)} for the trials")
    if status.last_ended:
        lines.append(f"last ended   {status.last_ended}")
    if status.best:
        accurate, fast = status.best
        describe = partial(_describe_trial, reference_has_time=status.reference_has_time)
        n = f"{status.validation_samples:,} validation samples"
        lines.append(f"best error   {describe(accurate, status.objective)}, on {n}")
        lines.append(f"fastest      {describe(fast, status.objective)}")
    if status.against_baseline:
        lines.append(f"baseline     {_describe_comparison(status.against_baseline)}")
    lines += _describe_nodes(status.cluster)
    for reason, count in status.failures.most_common(MAX_REASONS):
        lines.append(f"failed       {count} x {' '.join(reason.split())}")
    return lines


def _time_left_s(records: Sequence[Record], spec: Spec) -> float | None:
    """Return the time that the networks left take at the pace of the latest ones [s]."""
    ended = sorted(record.ended for record in records if record.training is None)
    left = spec.trials - len(ended)
    if left <= 0 or len(ended) < 2:
        return None
    first, *_, last = (datetime.fromisoformat(each) for each in ended[-PACE_NETWORKS:])
    return left * (last - first).total_seconds() / (min(len(ended), PACE_NETWORKS) - 1)


def _describe_nodes(cluster: ClusterStatus) -> list[str]:
    """Return how many nodes there are in each state and of each kind, and which get no work."""
    nodes = cluster.nodes
    if not nodes:
        return []
    counts = Counter(node.state for node in nodes)
    lost = sum(node.lost for node in nodes)
    summary = "  ".join(f"{state} {counts[state]}" for state in NodeState)
    kinds = Counter(node.kind for node in nodes if node.state is NodeState.ADMITTED and node.kind)
    idle = [node for node in nodes if node.state is not NodeState.ADMITTED]
    return [
        f"nodes        {summary}  tasks lost and repeated {lost}",
        *(
            f"kind         {kind}: {count} {'time' if kind == cluster.kind else 'train only'}"
            for kind, count in kinds.items()
        ),
        *(f"node         {node.description}" for node in idle[:MAX_NODES]),
    ]


def _comparison_of_recommended(evaluation: FinalEvaluation) -> PairedComparison | None:
    """Return the comparison of the recommended surrogate with the best baseline, if any."""
    finalists = (f for f in evaluation.finalists if f.trial is not None)
    chosen = (f for f in finalists if f.trial == evaluation.recommended)
    return next((finalist.against_baseline for finalist in chosen), None)


def _describe_comparison(against: PairedComparison) -> str:
    difference = against.difference
    text = (
        f"{against.other}: error of the recommended surrogate minus that "
        f"{difference.value:.3g} (90 %: {difference.low:.3g} to {difference.high:.3g})"
    )
    if against.better_share is None:
        return text
    return f"{text}, smaller on {100.0 * against.better_share:.0f} % of single samples"


def _describe_trial(record: Record, objective: str, *, reference_has_time: bool) -> str:
    speed = f" at {1e6 * record.timing.time_s:,.3g} us a sample" if record.timing else ""
    if record.timing and reference_has_time:
        speed = f" at {record.timing.speedup:,.0f}x"
    candidate = record.candidate
    return (
        f"{record.metrics[objective]:.3g}{speed} (trial {record.number}: {candidate.encoding}, "
        f"{candidate.architecture}, {candidate.runtime} {candidate.precision})"
    )
