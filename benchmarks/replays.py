"""Replays of searches on a fake clock, with the results and durations of a table.

A search of a few workers has a fake time. Its result is the hypervolume of its front: the area up
to the reference point, at which a surrogate is as slow as the reference and no better than its
mean, on logarithmic axes. Suggestions take no time here; see `ask_time.py`.
"""

import heapq
import math
import shutil
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from searchers import SEARCHERS, Searcher
from tabulated import DeploymentResult, TrainingResult

from problems import Size
from problems.template.problem import problem
from search.objectives.baselines import BaselineScores
from search.pareto import hypervolume
from search.run.directory import RunDirectory
from search.run.records import NO_LIMITS, TIME_UNTRAINED, Record, Rung, State, Timing
from search.run.spec import Spec
from search.sampling.initial_design import initial_design_size
from search.sampling.trial_queue import TrialRequest
from search.trial.lifecycle import RUNG_SHARES
from spaces.candidate import Candidate
from spaces.restrictions import Restrictions
from spaces.space import Space

WORKERS = 4
UNLIMITED_TRIALS = 10_000
"""More networks than there is time for."""

REFERENCE_POINT = (0.0, 0.0)
"""log10 of error and relative time: no better than the mean, as slow as the reference."""

BASELINES = BaselineScores(upper_bounds=REFERENCE_POINT)


class Table(Protocol):
    """The results of all candidates, and the durations of their stages."""

    @property
    def restrictions(self) -> Restrictions:
        """The restrictions of the problem's space."""
        ...

    @property
    def trials(self) -> Sequence[tuple[TrainingResult, DeploymentResult]]:
        """Candidates by which the mean cost of a trial is estimated: all, or random ones."""
        ...

    def trained(self, candidate: Candidate) -> TrainingResult:
        """Return the training of a candidate."""
        ...

    def deployed(self, candidate: Candidate) -> DeploymentResult:
        """Return the deployment of a candidate."""
        ...


class ReplayedTrial(NamedTuple):
    """The result of a trial, and the duration of each stage [s]."""

    state: State
    rungs: list[float]
    untrained_time: float
    trained: TrainingResult
    deployed: DeploymentResult
    durations_s: dict[str, float]


def _record(request: TrialRequest, trial: ReplayedTrial) -> Record:
    deployed, complete = trial.deployed, trial.state is State.COMPLETE
    return Record(
        number=request.number,
        key=request.candidate.key,
        candidate=request.candidate,
        training=request.training,
        resumes=request.resumes,
        state=trial.state,
        stage="measure" if complete else "train",
        rungs=tuple(
            Rung(epoch=round(share * trial.trained.epochs), share=share, error=error)
            for share, error in zip(RUNG_SHARES, trial.rungs, strict=False)
        ),
        metrics={problem.objective.name: deployed.error} if complete else {},
        timing=_timing(deployed.relative_time) if complete else None,
        untrained_relative_time=trial.untrained_time if request.training is None else None,
        unpruned_error=trial.trained.errors[-1] if trial.state is not State.STOPPED else None,
        durations_s=trial.durations_s,
        ended="",
    )


def _timing(relative_time: float | None) -> Timing | None:
    if relative_time is None:
        return None
    speedup = 1.0 / relative_time
    return Timing(
        time_s=relative_time,
        reference_s=1.0,
        speedup=speedup,
        speedup_low=speedup,
        speedup_high=speedup,
        rounds=1,
    )


@dataclass
class SearchTrace:
    """The hypervolume of one search against time."""

    steps: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """Fake time [s] and hypervolume, at each increase."""
    points: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    """log10 of error and relative time of every complete trial."""
    ended: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))

    def hypervolume_at(self, times: np.ndarray) -> np.ndarray:
        """Return the hypervolume (n,) at times (n,)."""
        steps = np.array([(0.0, 0.0), *self.steps])
        return steps[np.searchsorted(steps[:, 0], times, side="right") - 1, 1]

    def time_to_reach(self, area: float) -> float:
        """Return the time at which a hypervolume was reached [s]; infinity if it never was."""
        return next((time for time, reached in self.steps if reached >= area), math.inf)

    def time_share_to_match(self, other: "SearchTrace", end_s: float) -> float:
        """Return the time to reach the other's result at `end_s`, as a share of `end_s`."""
        return self.time_to_reach(float(other.hypervolume_at(np.array([end_s]))[0])) / end_s


@dataclass
class Replay:
    """One search on the fake clock.

    Args:
        searcher: The searcher.
        table: Results and durations of all candidates.
        training_scale: Factor by which training times are multiplied.
        now: Fake time [s].
        trace: Hypervolume against time.
    """

    searcher: Searcher
    table: Table
    training_scale: float
    now: float = 0.0
    trace: SearchTrace = field(default_factory=SearchTrace)

    def run(self, until_s: float) -> SearchTrace:
        """Run the workers until a time [s]; trials that are unfinished then don't count."""
        waiting: list[tuple[float, int, Iterator[float]]] = [
            (0.0, worker, iter(())) for worker in range(WORKERS)
        ]
        while True:
            self.now, worker, stages = heapq.heappop(waiting)
            if self.now > until_s:
                return self.trace
            duration_s = next(stages, None)
            while duration_s is None:
                stages = self._stages(self.searcher.ask())
                duration_s = next(stages, None)
            heapq.heappush(waiting, (self.now + duration_s, worker, stages))

    def _stages(self, request: TrialRequest) -> Generator[float, None, None]:
        """Yield the duration of each stage of a trial [s]; its effects follow after the yield."""
        trained = self.table.trained(request.candidate)
        deployed = self.table.deployed(request.candidate)
        # The table has no time if no network of the architecture can be used: 1 in its place.
        untrained_time = deployed.relative_time or 1.0
        rungs: list[float] = []
        durations_s: dict[str, float] = {}

        def end(state: State) -> None:
            self.trace.ended[state] += 1
            trial = ReplayedTrial(state, rungs, untrained_time, trained, deployed, durations_s)
            self.searcher.tell(_record(request, trial))

        if request.training is None:
            durations_s["prepare"] = trained.prepare_s
            durations_s[TIME_UNTRAINED] = (
                deployed.untrained_timing_s if self.searcher.times_untrained else 0.0
            )
            yield sum(durations_s.values())
            before_s = 0.0
            for share, error, seconds in zip(
                (*RUNG_SHARES, 1.0), trained.errors, trained.seconds, strict=True
            ):
                if share > request.resumed_share:  # else it was trained so far before
                    yield (seconds - before_s) * self.training_scale
                    durations_s["train"] = (
                        durations_s.get("train", 0.0) + (seconds - before_s) * self.training_scale
                    )
                before_s = seconds
                if share < 1.0:
                    rungs.append(error)
                    if not self.searcher.should_continue(request, share, error, untrained_time):
                        end(State.STOPPED)
                        return
        durations_s["prune"] = deployed.prune_s * self.training_scale
        durations_s["deploy"] = deployed.seconds - deployed.prune_s
        yield durations_s["prune"] + durations_s["deploy"]
        if deployed.error is None or deployed.relative_time is None:
            end(State.INFEASIBLE)
            return
        self._add_point(math.log10(deployed.error), math.log10(deployed.relative_time))
        end(State.COMPLETE)

    def _add_point(self, error: float, time: float) -> None:
        self.trace.points.append((error, time))
        area = hypervolume(self.trace.points, REFERENCE_POINT)
        if not self.trace.steps or area > self.trace.steps[-1][1]:
            self.trace.steps.append((self.now, area))


def search_spec(seed: int, restrictions: Restrictions) -> Spec:
    """Return the specification of a search, which is the same for every searcher.

    Args:
        seed: Seed of the search.
        restrictions: Restrictions of the problem's space.
    """
    return Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=seed,
        trials=UNLIMITED_TRIALS,
        workers=WORKERS,
        restrictions=restrictions,
        initial_design_size=initial_design_size(Space(problem, restrictions)),
    )


def trial_cost_s(
    trained: TrainingResult, deployed: DeploymentResult, training_scale: float
) -> float:
    """Return the duration of a complete trial whose untrained network isn't timed [s].

    Args:
        trained: Its training.
        deployed: Its deployment.
        training_scale: Factor by which training times are multiplied.
    """
    training = (trained.seconds[-1] + deployed.prune_s) * training_scale
    return trained.prepare_s + training + deployed.seconds - deployed.prune_s


def mean_cost_s(table: Table, training_scale: float) -> float:
    """Return the mean duration of a complete trial of a table [s]."""
    costs = [trial_cost_s(*trial, training_scale) for trial in table.trials]
    return float(np.mean(costs))


def replay_search(
    name: str, seed: int, table: Table, training_scale: float, until_s: float
) -> SearchTrace:
    """Return the trace of one search.

    Args:
        name: Name of the searcher.
        seed: Seed of the search.
        table: Results and durations of all candidates.
        training_scale: Factor by which training times are multiplied.
        until_s: Fake time of the search [s].
    """
    memory = Path("/dev/shm")  # noqa: S108 - the journals are temporary
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    try:
        spec = search_spec(seed, table.restrictions)
        run = RunDirectory.start(folder, spec)
        searcher = SEARCHERS[name](problem, spec, run, NO_LIMITS, BASELINES)
        return Replay(searcher, table, training_scale).run(until_s)
    finally:
        shutil.rmtree(folder)
