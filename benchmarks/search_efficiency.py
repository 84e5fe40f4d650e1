"""How soon searches find what they find: a tabulated problem, replayed on a fake clock.

    .venv/bin/python benchmarks/search_efficiency.py             replays (an hour)
    .venv/bin/python benchmarks/search_efficiency.py tabulate    makes the table anew (half an hour)

A few workers search the space of `tabulated.py` as simstead does, as Ray Tune does with its own
OptunaSearch and ASHA, as Optuna does by itself, and at random. Each has the same fake time. What is
found is the area between the front and the corner where a surrogate is as slow as the reference and
no better than its mean, on logarithmic axes, as a share of what the whole table holds.

Headline: the share of the time in which simstead finds all that another has found in the end, the
median of all pairs of a search of ours and one of the other's. It depends on where the end is, so
it is told of searches of several lengths: what is found with luck in a short one is slow to be
found for certain, and in a long one who stops no network at a rung finds at last what looked bad
there. Once with the table's own training times, a second or two each, and once with times
so many times longer, as problems have that are worth a search. Asking takes no time here: see
`ask_time.py`.
"""

import heapq
import math
import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from asking import argument_parser
from keeping import save_results
from plotly.subplots import make_subplots
from rivals import COLOURS, SEARCHERS, SIMSTEAD_NAME, Searcher
from tabulated import (
    DeploymentResult,
    TabularBenchmark,
    TrainingResult,
    table_restrictions,
    tabulate,
)

from problems import Size
from problems.template.problem import problem
from search.objectives.baselines import BaselineScores
from search.pareto import hypervolume
from search.run.directory import Run
from search.run.records import NO_LIMITS, TIME_UNTRAINED, Record, Rung, State, Timing
from search.run.spec import Spec
from search.sampling.initial_design import initial_design_size
from search.sampling.trial_queue import TrialRequest
from search.trial.lifecycle import RUNG_SHARES
from search.trial.preparation import FINE_TUNING_SHARE
from spaces.candidate import Pruning
from spaces.space import Space

WORKERS = 4
SEEDS = 8
SEARCH_LENGTHS = (50, 100, 200, 300)
"""So many whole trials of average cost fill the time of a search."""

UNLIMITED_TRIALS = 10_000
"""Networks: more than there is time for."""

TRAINING_SCALES = (1, 30)
"""How many times longer training takes than in the table."""

REFERENCE_POINT = (0.0, 0.0)
"""log10 of error and relative time: no better than the mean, as slow as the reference."""

BASELINES = BaselineScores(upper_bounds=REFERENCE_POINT)

MIN_SHARE = 1e-4
"""A smaller share of the area is drawn as this one."""

GRID = np.linspace(0.0, 1.0, 101)
CURVES = ("by_time", "by_epochs")
TARGET = 0.2
"""Of the time of the longest search of anybody else: what a short one finds is luck in part."""


class ReplayedTrial(NamedTuple):
    """How a trial ended, and how long each stage of it took."""

    state: State
    rungs: list[float]
    untrained_time: float
    trained: TrainingResult
    deployed: DeploymentResult
    durations_s: dict[str, float]


def _record(asked: TrialRequest, outcome: ReplayedTrial) -> Record:
    deployed, done = outcome.deployed, outcome.state is State.COMPLETE
    return Record(
        number=asked.number,
        key=asked.candidate.key,
        candidate=asked.candidate,
        training=asked.training,
        resumes=asked.resumes,
        state=outcome.state,
        stage="measure" if done else "train",
        rungs=tuple(
            Rung(epoch=round(share * outcome.trained.epochs), share=share, error=error)
            for share, error in zip(RUNG_SHARES, outcome.rungs, strict=False)
        ),
        metrics={problem.objective.name: deployed.error} if done else {},
        timing=_timing(deployed.relative_time) if done else None,
        untrained_relative_time=outcome.untrained_time if asked.training is None else None,
        unpruned_error=outcome.trained.errors[-1] if outcome.state is not State.STOPPED else None,
        durations_s=outcome.durations_s,
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
    """What one search found, and when."""

    trained: float = 0.0
    """Trainings' worth of epochs."""
    found: list[tuple[float, float, float]] = field(
        default_factory=list[tuple[float, float, float]]
    )
    """Fake time, trainings' worth of epochs, and the area found, whenever it grew."""
    ended: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))

    def hypervolume_at(self, times: np.ndarray, axis: int) -> np.ndarray:
        """Return what had been found at each of some times, or of some epochs (axis 1)."""
        steps = np.array([(0.0, 0.0, 0.0), *self.found])
        return steps[np.searchsorted(steps[:, axis], times, side="right") - 1, 2]

    def time_to_reach(self, area: float) -> float:
        """Return when so much had been found; infinity where it never was."""
        return next((now for now, _, found in self.found if found >= area), math.inf)

    def time_share_to_match(self, other: "SearchTrace", ends_s: float) -> float:
        """Return in which share of the time it finds what another has found when that is up."""
        return self.time_to_reach(float(other.hypervolume_at(np.array([ends_s]), 0)[0])) / ends_s


@dataclass
class Replay:
    """One search on the fake clock.

    Args:
        searcher: Whose.
        table: What is found, and how long it takes.
        longer: How many times longer training takes than in the table.
    """

    searcher: Searcher
    table: TabularBenchmark
    training_scale: float
    now: float = 0.0
    points: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    trace: SearchTrace = field(default_factory=SearchTrace)

    def run(self, until_s: float) -> SearchTrace:
        """Have the workers work until a time; what is unfinished then counts for nothing."""
        waiting: list[tuple[float, int, Iterator[float]]] = [
            (0.0, worker, iter(())) for worker in range(WORKERS)
        ]
        while True:
            self.now, worker, life = heapq.heappop(waiting)
            if self.now > until_s:
                return self.trace
            lasts = next(life, None)
            while lasts is None:
                life = self._life(self.searcher.ask())
                lasts = next(life, None)
            heapq.heappush(waiting, (self.now + lasts, worker, life))

    def _life(self, asked: TrialRequest) -> Generator[float, None, None]:
        """Yield how long each part of a trial lasts; what follows it happens then."""
        taught, deployed = self.table.taught(asked.candidate), self.table.deployed(asked.candidate)
        # Of what no network could be used the table holds no time: as slow as the reference.
        untrained_time = deployed.relative_time or 1.0
        rungs: list[float] = []
        lasted: dict[str, float] = {}

        def end(state: State) -> None:
            self.trace.ended[state] += 1
            outcome = ReplayedTrial(state, rungs, untrained_time, taught, deployed, lasted)
            self.searcher.tell(_record(asked, outcome))

        if asked.training is None:
            lasted["prepare"] = taught.prepare_s
            lasted[TIME_UNTRAINED] = (
                deployed.untrained_timing_s if self.searcher.times_untrained else 0.0
            )
            yield sum(lasted.values())
            before_s, before = 0.0, 0.0
            for share, error, seconds in zip(
                (*RUNG_SHARES, 1.0), taught.errors, taught.seconds, strict=True
            ):
                if share > asked.resumed_share:  # else it was taught so far before
                    yield (seconds - before_s) * self.training_scale
                    lasted["train"] = (
                        lasted.get("train", 0.0) + (seconds - before_s) * self.training_scale
                    )
                    self.trace.trained += share - before
                before_s, before = seconds, share
                if share < 1.0:
                    rungs.append(error)
                    if not self.searcher.should_continue(asked, share, error, untrained_time):
                        end(State.STOPPED)
                        return
        lasted["prune"] = deployed.prune_s * self.training_scale
        lasted["deploy"] = deployed.seconds - deployed.prune_s
        yield lasted["prune"] + lasted["deploy"]
        if asked.candidate.pruning is not Pruning.NONE:
            self.trace.trained += FINE_TUNING_SHARE
        if deployed.error is None or deployed.relative_time is None:
            end(State.INFEASIBLE)
            return
        self._note(math.log10(deployed.error), math.log10(deployed.relative_time))
        end(State.COMPLETE)

    def _note(self, error: float, time: float) -> None:
        self.points.append((error, time))
        area = hypervolume(self.points, REFERENCE_POINT)
        if not self.trace.found or area > self.trace.found[-1][2]:
            self.trace.found.append((self.now, self.trace.trained, area))


def search_spec(seed: int) -> Spec:
    """Return what every searcher is asked for."""
    return Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=seed,
        trials=UNLIMITED_TRIALS,
        workers=WORKERS,
        restrictions=table_restrictions(),
        opening=initial_design_size(Space(problem, table_restrictions())),
    )


def trial_cost_s(
    taught: TrainingResult, deployed: DeploymentResult, training_scale: float
) -> float:
    """Return the seconds of a whole trial that isn't timed untrained."""
    training = (taught.seconds[-1] + deployed.prune_s) * training_scale
    return taught.prepare_s + training + deployed.seconds - deployed.prune_s


def replay_searches(
    table: TabularBenchmark, training_scale: float
) -> tuple[float, dict[str, list[SearchTrace]]]:
    """Return the fake time that each searcher has, and every seed's search by each."""
    costs = [
        trial_cost_s(taught, deployed, training_scale)
        for taught in table.trainings.values()
        for deployed in taught.deployed.values()
    ]
    until_s = SEARCH_LENGTHS[-1] * float(np.mean(costs)) / WORKERS
    memory = Path("/dev/shm")  # noqa: S108 - a journal that nobody keeps needs no disk
    traces: dict[str, list[SearchTrace]] = {}
    for name, searcher in SEARCHERS.items():
        traces[name] = []
        for seed in range(SEEDS):
            folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
            spec = search_spec(seed)
            run = Run.start(folder, spec)
            replay = Replay(
                searcher(problem, spec, run, NO_LIMITS, BASELINES), table, training_scale
            )
            traces[name].append(replay.run(until_s))
            shutil.rmtree(folder)
        trials = sum(sum(each.ended.values()) for each in traces[name]) / SEEDS
        print(
            f"{name}, training {training_scale:g}x as long: {trials:.0f} trials a search",
            flush=True,
        )
    return until_s, traces


def quartiles(values: Any) -> list[float]:
    """Return lower quartile, median and upper quartile over the first axis."""
    return np.quantile(values, [0.25, 0.5, 0.75], axis=0, method="nearest").tolist()


def summarise_replays(
    until_s: float, traces: dict[str, list[SearchTrace]], whole: float
) -> dict[str, Any]:
    """Return the figures: what each found, and the share of the time that simstead needs for it."""
    facts: dict[str, Any] = {"time_s": until_s}
    epochs = max(each.trained for own in traces.values() for each in own)
    facts["trainings"] = epochs
    for name, own in traces.items():
        last = [each.found[-1][2] for each in own]
        facts[name] = {
            "found": quartiles(np.array(last) / whole),
            "ended": {str(s): float(np.mean([each.ended[s] for each in own])) for s in State},
            "by_time": quartiles([each.hypervolume_at(GRID * until_s, 0) / whole for each in own]),
            "by_epochs": quartiles([each.hypervolume_at(GRID * epochs, 1) / whole for each in own]),
        }
        if name != SIMSTEAD_NAME:
            pairs = list(
                product(traces[SIMSTEAD_NAME], own)
            )  # seeds of two searchers share nothing
            facts[name]["time_share_of_simstead"] = {
                str(length): quartiles(
                    [
                        ours.time_share_to_match(other, until_s * length / SEARCH_LENGTHS[-1])
                        for ours, other in pairs
                    ]
                )
                for length in SEARCH_LENGTHS
            }
    return facts


def without_curves(facts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the figures without what the drawing alone needs."""
    return {
        training_scale: {
            name: {k: v for k, v in each.items() if k not in CURVES}
            if isinstance(each, dict)
            else each
            for name, each in own.items()
        }
        for training_scale, own in facts.items()
    }


def _plot(facts: dict[str, dict[str, Any]]) -> go.Figure:
    """Return what is missing of the whole table's area, against time and against epochs."""
    titles = [f"training {training_scale}x as long" for training_scale in facts for _ in range(2)]
    figure = make_subplots(len(facts), 2, subplot_titles=titles, vertical_spacing=0.14)
    for row, own in enumerate(facts.values(), 1):
        axes = {"by_time": own["time_s"], "by_epochs": own["trainings"]}
        for column, (axis, extent) in enumerate(axes.items(), 1):
            for name, colour in COLOURS.items():
                for trace in _band(name, colour, GRID * extent, own[name][axis]):
                    trace.showlegend = bool(trace.showlegend) and row == column == 1
                    figure.add_trace(trace, row, column)
            what = (
                "fake time with 4 workers [s]"
                if column == 1
                else "whole trainings' worth of epochs"
            )
            figure.update_xaxes(title=what, row=row, col=column)
            figure.update_yaxes(title="share not yet found", type="log", row=row, col=column)
    return figure.update_layout(height=420 * len(facts))


def _band(name: str, colour: str, x: np.ndarray, found: list[list[float]]) -> Iterator[go.Scatter]:
    """Yield the quartiles' band and the median of what is missing."""
    low, median, high = (np.maximum(1.0 - np.array(each), MIN_SHARE) for each in found)
    common = {"legendgroup": name, "name": name, "x": x, "mode": "lines"}
    edge = {**common, "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    yield go.Scatter(y=low, **edge)
    yield go.Scatter(y=high, fill="tonexty", fillcolor=f"{colour}22", **edge)
    yield go.Scatter(y=median, line={"color": colour}, showlegend=True, **common)


def main() -> None:
    """Replay, print, and keep beside this file; or make the table anew."""
    asked = argument_parser(__doc__)
    asked.add_argument("what", nargs="?", choices=["tabulate"], metavar="tabulate")
    if asked.parse_args().what:
        tabulate()
        return
    table = TabularBenchmark.read()
    whole = hypervolume(table.points, REFERENCE_POINT)
    facts: dict[str, dict[str, Any]] = {}
    with ProcessPoolExecutor() as pool:
        every = list(pool.map(partial(replay_searches, table), TRAINING_SCALES))
    for training_scale, (until_s, traces) in zip(TRAINING_SCALES, every, strict=True):
        facts[str(training_scale)] = own = summarise_replays(until_s, traces, whole)
        print(f"training {training_scale}x as long, {until_s:.0f} s with {WORKERS} workers")
        for name in SEARCHERS:
            low, found, high = own[name]["found"]
            print(f"  {name}: {found:.4f} of the table's area ({low:.4f} to {high:.4f})")
            for length, (low, share, high) in own[name].get("time_share_of_simstead", {}).items():
                told = f"{share:.2f} of the time ({low:.2f} to {high:.2f})"
                print(f"    {length} trials' worth of it: simstead finds as much in {told}")
    save_results(__file__, without_curves(facts), _plot(facts))
    last = str(SEARCH_LENGTHS[-1])
    shares = [
        each["time_share_of_simstead"][last][1]
        for own in facts.values()
        for name, each in own.items()
        if name in SEARCHERS and name != SIMSTEAD_NAME
    ]
    print(f"the largest of {last} trials' worth: {max(shares):.2f}, target {TARGET}")
    sys.exit(max(shares) > TARGET)


if __name__ == "__main__":
    main()
