"""Efficiency of searches on a tabular benchmark, replayed on a fake clock.

    .venv/bin/python benchmarks/search_efficiency.py             replays (an hour)
    .venv/bin/python benchmarks/search_efficiency.py tabulate    makes the table (half an hour)

A few workers search the space of `tabulated.py` with simstead, with OptunaSearch and ASHA of Ray
Tune, with Optuna, and at random. All have the same fake time. The result of a search is the
hypervolume of its front: the area up to the reference point, at which a surrogate is as slow as the
reference and no better than its mean, on logarithmic axes. It is given as a share of the
hypervolume of the whole table.

The main figure is the share of the time in which simstead reaches the final hypervolume of another
searcher: the median over all pairs of a search of simstead and one of the other searcher. It
depends on the length of the search, so it is given for several lengths: the result of a short
search is random in part, and a long search without stopping finds networks that are poor at the
rungs. Trainings take the times of the table, one or two seconds each, or 30 times as long, as in
problems that are worth a search. Suggestions take no time here; see `ask_time.py`.
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
from arguments import argument_parser
from plotly.subplots import make_subplots
from results import save_results
from searchers import COLOURS, SEARCHERS, SIMSTEAD_NAME, Searcher
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
from search.run.directory import RunDirectory
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
"""Lengths of searches, in complete trials of average cost."""

UNLIMITED_TRIALS = 10_000
"""More networks than there is time for."""

TRAINING_SCALES = (1, 30)
"""Factors by which training times are multiplied."""

REFERENCE_POINT = (0.0, 0.0)
"""log10 of error and relative time: no better than the mean, as slow as the reference."""

BASELINES = BaselineScores(upper_bounds=REFERENCE_POINT)

MIN_SHARE = 1e-4
"""Smallest share of the hypervolume in plots."""

GRID = np.linspace(0.0, 1.0, 101)
"""Shares of the time at which curves are evaluated."""

CURVES = ("by_time", "by_epochs")
TARGET = 0.2
"""Largest share of the time of the longest searches; the results of short ones are random."""


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

    trained: float = 0.0
    """Epochs so far, in complete trainings."""
    steps: list[tuple[float, float, float]] = field(
        default_factory=list[tuple[float, float, float]]
    )
    """Fake time [s], epochs in complete trainings, and hypervolume, at each increase."""
    ended: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))

    def hypervolume_at(self, times: np.ndarray, axis: int) -> np.ndarray:
        """Return the hypervolume (n,) at times (n,), or at numbers of epochs if `axis` is 1."""
        steps = np.array([(0.0, 0.0, 0.0), *self.steps])
        return steps[np.searchsorted(steps[:, axis], times, side="right") - 1, 2]

    def time_to_reach(self, area: float) -> float:
        """Return the time at which a hypervolume was reached [s]; infinity if it never was."""
        return next((time for time, _, reached in self.steps if reached >= area), math.inf)

    def time_share_to_match(self, other: "SearchTrace", end_s: float) -> float:
        """Return the share of the time `end_s` that is needed to reach the other's final result."""
        return self.time_to_reach(float(other.hypervolume_at(np.array([end_s]), 0)[0])) / end_s


@dataclass
class Replay:
    """One search on the fake clock.

    Args:
        searcher: The searcher.
        table: Results and durations of all candidates.
        training_scale: Factor by which training times are multiplied.
        now: Fake time [s].
        points: log10 of error and relative time of every complete trial.
        trace: Hypervolume against time.
    """

    searcher: Searcher
    table: TabularBenchmark
    training_scale: float
    now: float = 0.0
    points: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
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
            before_s, before = 0.0, 0.0
            for share, error, seconds in zip(
                (*RUNG_SHARES, 1.0), trained.errors, trained.seconds, strict=True
            ):
                if share > request.resumed_share:  # else it was trained so far before
                    yield (seconds - before_s) * self.training_scale
                    durations_s["train"] = (
                        durations_s.get("train", 0.0) + (seconds - before_s) * self.training_scale
                    )
                    self.trace.trained += share - before
                before_s, before = seconds, share
                if share < 1.0:
                    rungs.append(error)
                    if not self.searcher.should_continue(request, share, error, untrained_time):
                        end(State.STOPPED)
                        return
        durations_s["prune"] = deployed.prune_s * self.training_scale
        durations_s["deploy"] = deployed.seconds - deployed.prune_s
        yield durations_s["prune"] + durations_s["deploy"]
        if request.candidate.pruning is not Pruning.NONE:
            self.trace.trained += FINE_TUNING_SHARE
        if deployed.error is None or deployed.relative_time is None:
            end(State.INFEASIBLE)
            return
        self._add_point(math.log10(deployed.error), math.log10(deployed.relative_time))
        end(State.COMPLETE)

    def _add_point(self, error: float, time: float) -> None:
        self.points.append((error, time))
        area = hypervolume(self.points, REFERENCE_POINT)
        if not self.trace.steps or area > self.trace.steps[-1][2]:
            self.trace.steps.append((self.now, self.trace.trained, area))


def search_spec(seed: int) -> Spec:
    """Return the specification of the search, which is the same for every searcher."""
    return Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=seed,
        trials=UNLIMITED_TRIALS,
        workers=WORKERS,
        restrictions=table_restrictions(),
        initial_design_size=initial_design_size(Space(problem, table_restrictions())),
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


def replay_searches(
    table: TabularBenchmark, training_scale: float
) -> tuple[float, dict[str, list[SearchTrace]]]:
    """Return the fake time of each search [s], and the traces of all seeds by searcher."""
    costs = [
        trial_cost_s(trained, deployed, training_scale)
        for trained in table.trainings.values()
        for deployed in trained.deployed.values()
    ]
    until_s = SEARCH_LENGTHS[-1] * float(np.mean(costs)) / WORKERS
    memory = Path("/dev/shm")  # noqa: S108 - the journals are temporary
    traces: dict[str, list[SearchTrace]] = {}
    for name, searcher in SEARCHERS.items():
        traces[name] = []
        for seed in range(SEEDS):
            folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
            spec = search_spec(seed)
            run = RunDirectory.start(folder, spec)
            replay = Replay(
                searcher(problem, spec, run, NO_LIMITS, BASELINES), table, training_scale
            )
            traces[name].append(replay.run(until_s))
            shutil.rmtree(folder)
        trials = sum(sum(trace.ended.values()) for trace in traces[name]) / SEEDS
        print(
            f"{name}, training {training_scale:g}x as long: {trials:.0f} trials per search",
            flush=True,
        )
    return until_s, traces


def quartiles(values: Any) -> list[float]:
    """Return lower quartile, median and upper quartile (3, ...) over the first axis."""
    return np.quantile(values, [0.25, 0.5, 0.75], axis=0, method="nearest").tolist()


def summarise_replays(
    until_s: float, traces: dict[str, list[SearchTrace]], whole: float
) -> dict[str, Any]:
    """Return the final hypervolumes, and the share of the time that simstead needs for them.

    Args:
        until_s: Fake time of each search [s].
        traces: Traces of all seeds by searcher.
        whole: Hypervolume of the whole table.
    """
    facts: dict[str, Any] = {"time_s": until_s}
    epochs = max(trace.trained for searches in traces.values() for trace in searches)
    facts["trainings"] = epochs
    for name, searches in traces.items():
        last = [trace.steps[-1][2] for trace in searches]
        by_time = [trace.hypervolume_at(GRID * until_s, 0) / whole for trace in searches]
        by_epochs = [trace.hypervolume_at(GRID * epochs, 1) / whole for trace in searches]
        facts[name] = {
            "hypervolume": quartiles(np.array(last) / whole),
            "ended": {
                str(state): float(np.mean([trace.ended[state] for trace in searches]))
                for state in State
            },
            "by_time": quartiles(by_time),
            "by_epochs": quartiles(by_epochs),
        }
        if name != SIMSTEAD_NAME:
            # Equal seeds of two searchers have nothing in common, so all pairs are compared.
            pairs = list(product(traces[SIMSTEAD_NAME], searches))
            facts[name]["time_share_of_simstead"] = {
                str(length): quartiles(
                    [
                        simstead.time_share_to_match(other, until_s * length / SEARCH_LENGTHS[-1])
                        for simstead, other in pairs
                    ]
                )
                for length in SEARCH_LENGTHS
            }
    return facts


def without_curves(facts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the figures without the curves, which only the plot needs."""
    return {
        training_scale: {
            name: {k: v for k, v in value.items() if k not in CURVES}
            if isinstance(value, dict)
            else value
            for name, value in figures.items()
        }
        for training_scale, figures in facts.items()
    }


def _plot(facts: dict[str, dict[str, Any]]) -> go.Figure:
    """Return a plot of the missing share of the hypervolume against time and against epochs."""
    titles = [f"training {training_scale}x as long" for training_scale in facts for _ in range(2)]
    figure = make_subplots(len(facts), 2, subplot_titles=titles, vertical_spacing=0.14)
    for row, figures in enumerate(facts.values(), 1):
        axes = {"by_time": figures["time_s"], "by_epochs": figures["trainings"]}
        for column, (axis, extent) in enumerate(axes.items(), 1):
            for name, colour in COLOURS.items():
                for trace in _band(name, colour, GRID * extent, figures[name][axis]):
                    trace.showlegend = bool(trace.showlegend) and row == column == 1
                    figure.add_trace(trace, row, column)
            title = (
                "fake time with 4 workers [s]" if column == 1 else "epochs in complete trainings"
            )
            figure.update_xaxes(title=title, row=row, col=column)
            figure.update_yaxes(
                title="missing share of the hypervolume", type="log", row=row, col=column
            )
    return figure.update_layout(height=420 * len(facts))


def _band(name: str, colour: str, x: np.ndarray, curves: list[list[float]]) -> Iterator[go.Scatter]:
    """Yield the band of the quartiles and the median of the missing share.

    Args:
        name: Name of the searcher.
        colour: Its colour.
        x: Times or epochs (n,).
        curves: Quartiles of the hypervolume (3, n), as a share of the table's.
    """
    low, median, high = (np.maximum(1.0 - np.array(curve), MIN_SHARE) for curve in curves)
    common = {"legendgroup": name, "name": name, "x": x, "mode": "lines"}
    edge = {**common, "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    yield go.Scatter(y=low, **edge)
    yield go.Scatter(y=high, fill="tonexty", fillcolor=f"{colour}22", **edge)
    yield go.Scatter(y=median, line={"color": colour}, showlegend=True, **common)


def main() -> None:
    """Replay searches, print and store the figures; or make the table again."""
    parser = argument_parser(__doc__)
    parser.add_argument("command", nargs="?", choices=["tabulate"], metavar="tabulate")
    if parser.parse_args().command:
        tabulate()
        return
    table = TabularBenchmark.read()
    whole = hypervolume(table.points, REFERENCE_POINT)
    facts: dict[str, dict[str, Any]] = {}
    with ProcessPoolExecutor() as pool:
        replays = list(pool.map(partial(replay_searches, table), TRAINING_SCALES))
    for training_scale, (until_s, traces) in zip(TRAINING_SCALES, replays, strict=True):
        facts[str(training_scale)] = figures = summarise_replays(until_s, traces, whole)
        print(f"training {training_scale}x as long, {until_s:.0f} s with {WORKERS} workers")
        for name in SEARCHERS:
            low, area, high = figures[name]["hypervolume"]
            print(f"  {name}: {area:.4f} of the table's hypervolume ({low:.4f} to {high:.4f})")
            shares = figures[name].get("time_share_of_simstead", {})
            for length, (low, share, high) in shares.items():
                text = f"{share:.2f} of the time ({low:.2f} to {high:.2f})"
                print(f"    in the time of {length} trials: simstead reaches it in {text}")
    save_results(__file__, without_curves(facts), _plot(facts))
    last = str(SEARCH_LENGTHS[-1])
    medians = [
        searcher["time_share_of_simstead"][last][1]
        for figures in facts.values()
        for name, searcher in figures.items()
        if name in SEARCHERS and name != SIMSTEAD_NAME
    ]
    print(f"largest share in the time of {last} trials: {max(medians):.2f}, target {TARGET}")
    sys.exit(max(medians) > TARGET)


if __name__ == "__main__":
    main()
