"""Efficiency of searches on tabular benchmarks, replayed on a fake clock.

    .venv/bin/python benchmarks/search_efficiency.py             replays (hours)
    .venv/bin/python benchmarks/search_efficiency.py --seeds 3 --lengths 50 100 --tables long
    .venv/bin/python benchmarks/search_efficiency.py tabulate    makes the table (half an hour)

A few workers search with simstead; with peers as their users run them; with the same peers given
the deployments and the successive halving of simstead, which is the fair comparison; and with
simstead without one of its parts (`searchers.py`). All have the same fake time. The result of a
search is the hypervolume of its front (`replays.py`), as a share of the hypervolume of the whole
table or, where the space has no end, of what all searches of the same function found together.

The main figure is the time in which simstead reaches the hypervolume of another searcher, over the
time that the other had: the median over all pairs of a search of simstead and one of the other,
where they search the same function. It is given for several lengths of a search, since the result
of a short search is random in part.

The tables are `tabulated.py`'s, with trainings that take one or two seconds each ("short") or 30
times as long ("long"); and the functions of `analytic.py`, a new one for each seed, whose effects
add up ("additive"), whose effects are interactions only ("interactions"), and between the two.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from analytic import AnalyticBenchmark
from arguments import argument_parser
from plotly.subplots import make_subplots
from replays import REFERENCE_POINT, WORKERS, SearchTrace, Table, mean_cost_s, replay_search
from results import save_results
from searchers import AS_USERS_RUN_THEM, COLOURS, SEARCHERS, SIMSTEAD_NAME, WITH_OURS
from tabulated import TabularBenchmark, tabulate

from search.pareto import hypervolume, pareto_front
from search.run.records import State

SEEDS = 8
SEARCH_LENGTHS = (50, 100, 200)
"""Lengths of searches, in complete trials of average cost."""

MIN_SHARE = 1e-4
"""Smallest share of the hypervolume in plots."""

GRID = np.linspace(0.0, 1.0, 101)
"""Shares of the time at which curves are evaluated."""

CURVE, TIME_SHARE = "by_time", "time_share_of_simstead"
TARGETS = {**dict.fromkeys(AS_USERS_RUN_THEM, 0.25), **dict.fromkeys(WITH_OURS, 0.5)}
"""Largest share of a peer's time, by its name; for searches of up to `SHORT` trials it is 1."""

SHORT = 50


class TableKind(NamedTuple):
    """A kind of table.

    Args:
        read: Returns the table of a seed.
        training_scale: Factor by which training times are multiplied.
        varies: Whether each seed has a table of its own.
    """

    read: Callable[[int], Table]
    training_scale: float = 1.0
    varies: bool = True


TABLES = {
    "short": TableKind(lambda _: TabularBenchmark.read(), varies=False),
    "long": TableKind(lambda _: TabularBenchmark.read(), 30.0, varies=False),
    "additive": TableKind(lambda seed: AnalyticBenchmark(0.0, seed)),
    "half": TableKind(lambda seed: AnalyticBenchmark(0.5, seed)),
    "interactions": TableKind(lambda seed: AnalyticBenchmark(1.0, seed)),
}


class Task(NamedTuple):
    """A search to replay; its length is in complete trials of average cost."""

    table: str
    seed: int
    searcher: str
    length: int


@cache
def read_table(name: str, seed: int) -> Table:
    """Return the table of a seed; it is read once in a process."""
    return TABLES[name].read(seed)


def replay_task(task: Task) -> tuple[float, SearchTrace]:
    """Return the fake time of a search [s], and its trace."""
    kind = TABLES[task.table]
    table = read_table(task.table, task.seed if kind.varies else 0)
    until_s = task.length * mean_cost_s(table, kind.training_scale) / WORKERS
    trace = replay_search(task.searcher, task.seed, table, kind.training_scale, until_s)
    print(f"{task}: {sum(trace.ended.values())} trials", flush=True)
    return until_s, trace


def quartiles(values: Any) -> list[float]:
    """Return lower quartile, median and upper quartile (3, ...) over the first axis."""
    return np.quantile(values, [0.25, 0.5, 0.75], axis=0, method="nearest").tolist()


def summarise_replays(
    name: str, replays: dict[Task, tuple[float, SearchTrace]], lengths: Sequence[int]
) -> dict[str, dict[str, Any]]:
    """Return the hypervolumes of all searchers, and the share of their time that simstead needs.

    Args:
        name: The table's name.
        replays: Fake time and trace of every search on it.
        lengths: Lengths of searches.
    """
    facts: dict[str, dict[str, Any]] = {}
    whole = _whole_areas(name, replays)
    for searcher in dict.fromkeys(task.searcher for task in replays):
        searches = {task.seed: each for task, each in replays.items() if task.searcher == searcher}
        curves = np.array(
            [
                trace.hypervolume_at(GRID * until_s) / whole[seed]
                for seed, (until_s, trace) in searches.items()
            ]
        )
        facts[searcher] = {
            "hypervolume": {
                str(length): quartiles(curves[:, round(100 * length / lengths[-1])])
                for length in lengths
            },
            "ended": {
                str(state): float(np.mean([trace.ended[state] for _, trace in searches.values()]))
                for state in State
            },
            CURVE: quartiles(curves),
        }
        if searcher != SIMSTEAD_NAME:
            facts[searcher][TIME_SHARE] = _time_shares(name, replays, searcher, lengths)
    return facts


def _whole_areas(name: str, replays: dict[Task, tuple[float, SearchTrace]]) -> dict[int, float]:
    """Return the hypervolume of a whole table, or of all that was found in it, by seed."""
    table = read_table(name, 0)
    areas: dict[int, float] = {}
    for seed in {task.seed for task in replays}:
        found = [trace.points for task, (_, trace) in replays.items() if task.seed == seed]
        points = table.points if isinstance(table, TabularBenchmark) else chain(*found)
        areas[seed] = hypervolume(pareto_front(points), REFERENCE_POINT)
    return areas


def _time_shares(
    name: str,
    replays: dict[Task, tuple[float, SearchTrace]],
    searcher: str,
    lengths: Sequence[int],
) -> dict[str, list[float]]:
    """Return quartiles (3,) of the share of a searcher's time that simstead needs, by length."""
    pairs = [
        (ours, other, until_s)
        for (task, (_, ours)), (peer, (until_s, other)) in product(replays.items(), repeat=2)
        if task.searcher == SIMSTEAD_NAME and peer.searcher == searcher
        if task.seed == peer.seed or not TABLES[name].varies
    ]
    return {
        str(length): quartiles(
            [
                ours.time_share_to_match(other, until_s * length / lengths[-1])
                for ours, other, until_s in pairs
            ]
        )
        for length in lengths
    }


def print_figures(table: str, facts: dict[str, dict[str, Any]]) -> None:
    """Print the medians of a table's figures, one searcher a line."""
    lengths = " / ".join(next(iter(facts.values()))["hypervolume"])
    print(f"{table}: share of the hypervolume, and of its time for simstead, at {lengths} trials")
    for searcher, figures in facts.items():
        areas = " / ".join(f"{q[1]:.3f}" for q in figures["hypervolume"].values())
        shares = figures.get(TIME_SHARE, {}).values()
        print(f"  {searcher:30} {areas}   {' / '.join(f'{q[1]:.2f}' for q in shares)}")


def missed_targets(table: str, facts: dict[str, dict[str, Any]]) -> list[str]:
    """Return a line for every peer whose result simstead reaches later than aimed at."""
    missed: list[str] = []
    for searcher in TARGETS.keys() & facts.keys():
        for length, (_, share, _) in facts[searcher].get(TIME_SHARE, {}).items():
            target = 1.0 if int(length) <= SHORT else TARGETS[searcher]
            if share > target:
                missed.append(f"{table}, {searcher}, {length} trials: {share:.2f} > {target:.2f}")
    return sorted(missed)


def without_curves(facts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the figures by searcher without the curves, which only the plot needs."""
    return {
        searcher: {name: value for name, value in figures.items() if name != CURVE}
        for searcher, figures in facts.items()
    }


def _plot(facts: dict[str, dict[str, dict[str, Any]]], longest: int) -> go.Figure:
    """Return a plot of the missing share of the hypervolume against time, by table."""
    figure = make_subplots(len(facts), 1, subplot_titles=list(facts))
    for row, figures in enumerate(facts.values(), 1):
        for name, searcher in figures.items():
            x = GRID * longest
            for trace in _band(name, COLOURS[name], x, searcher[CURVE]):
                trace.showlegend = bool(trace.showlegend) and row == 1
                figure.add_trace(trace, row, 1)
        figure.update_xaxes(title="time in complete trials of average cost", row=row, col=1)
        figure.update_yaxes(title="missing share of the hypervolume", type="log", row=row, col=1)
    return figure.update_layout(height=420 * len(facts))


def _band(name: str, colour: str, x: np.ndarray, curves: list[list[float]]) -> Iterator[go.Scatter]:
    """Yield the band of the quartiles and the median of the missing share.

    Args:
        name: Name of the searcher.
        colour: Its colour.
        x: Times (n,).
        curves: Quartiles of the hypervolume (3, n), as a share of the table's.
    """
    low, median, high = (np.maximum(1.0 - np.array(curve), MIN_SHARE) for curve in curves)
    common = {"legendgroup": name, "name": name, "x": x, "mode": "lines"}
    edge = {**common, "line": {"width": 0}, "showlegend": False, "hoverinfo": "skip"}
    yield go.Scatter(y=low, **edge)
    yield go.Scatter(y=high, fill="tonexty", fillcolor=f"{colour}22", **edge)
    yield go.Scatter(y=median, line={"color": colour}, showlegend=True, **common)


def main() -> int:
    """Replay searches, print and store the figures; or make the table again."""
    parser = argument_parser(__doc__)
    parser.add_argument("command", nargs="?", choices=["tabulate"], metavar="tabulate")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--tables", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--searchers", nargs="+", choices=list(SEARCHERS), default=list(SEARCHERS))
    parser.add_argument("--lengths", type=int, nargs="+", default=SEARCH_LENGTHS)
    parser.add_argument("--processes", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.command:
        tabulate()
        return 0
    lengths = sorted(arguments.lengths)
    searches = product(arguments.tables, range(arguments.seeds), arguments.searchers)
    tasks = [Task(*search, lengths[-1]) for search in searches]
    with ProcessPoolExecutor(arguments.processes) as pool:
        replays = dict(zip(tasks, pool.map(replay_task, tasks), strict=True))
    facts: dict[str, dict[str, dict[str, Any]]] = {}
    missed: list[str] = []
    for table in arguments.tables:
        own = {task: replay for task, replay in replays.items() if task.table == table}
        facts[table] = summarise_replays(table, own, lengths)
        print_figures(table, facts[table])
        missed += missed_targets(table, facts[table])
    save_results(
        __file__, {k: without_curves(v) for k, v in facts.items()}, _plot(facts, lengths[-1])
    )
    print("\n".join(missed) or "all targets are met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
