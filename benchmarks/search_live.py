"""Efficiency of searches with real networks that replace `planets`.

    .venv/bin/python benchmarks/search_live.py                   two seeds, 80 minutes
    .venv/bin/python benchmarks/search_live.py --seeds 5 --seconds 360

Each searcher of `searchers.py` searches the whole tiny space in its own process with one worker,
which trains, deploys and times networks as in any search. Two such processes run at a time, so the
clock is processor time; it includes compilation and suggestions, but not the wait for the
stopwatch. The result of a search is the hypervolume of its front: the area up to the reference
point, given by the error of the worst baseline and the time of the reference, on logarithmic axes.
It is given as a share of the hypervolume of all searches together. Artefacts that were on the front
when they were found are timed again at the end, with nothing else running and all searches in turn:
in a search, the times of one artefact scatter by a tenth, and random fast ones would count as
better.

The main figure is the share of the time in which simstead reaches the final hypervolume of another
searcher: the median over all pairs of a search of simstead and one of the other searcher. Exits
with 1 if it is above a fifth.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go
import torch
from arguments import argument_parser
from results import save_results
from searchers import COLOURS, SEARCHERS, SIMSTEAD_NAME, Searcher

from problems import Dataset, Problem, Size, load_problem
from problems.data.cache import default_cache
from problems.data.dataset import generate
from search.objectives.baselines import (
    NO_BASELINES,
    BaselineScores,
    baseline_errors,
    score_baselines,
    time_baselines,
)
from search.objectives.goals import limits_from_goals
from search.pareto import hypervolume
from search.run.directory import RunDirectory
from search.run.records import Record, State, timestamp
from search.run.spec import Spec
from search.sampling.initial_design import initial_design_size
from search.sampling.trial_queue import TrialRequest
from search.timing.reference import measure, time_reference
from search.timing.stopwatch import MAX_ROUNDS
from search.trial.context import SearchContext
from search.trial.lifecycle import run_trial
from spaces.space import Space
from spaces.surrogate import Surrogate

if TYPE_CHECKING:
    from search.trial.record_builder import RungReport

PROBLEM = "planets"
TARGET = 0.2
"""Largest share of the time of other searchers."""

SECONDS = 900.0
"""Processor time of each search [s]."""

PARALLEL_SEARCHES = 2
"""Searches that run at a time."""

COMPARED = (
    SIMSTEAD_NAME,
    "OptunaSearch + ASHA, by 4",
    "TPE",
    "random",
    "TPE, multivariate, with ours",
    "random, with ours",
)
"""The searchers that are run; the others of `searchers.py` only on the fake clock."""

UNLIMITED_TRIALS = 10_000
"""More networks than there is time for."""

TIMING_REPEATS = 3
"""Number of times that artefacts are timed again; the median counts."""

COMPILER_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""Variable that names the cache of the compiler; each search has its own folder."""


def clock() -> float:
    """Return the processor time of this process and of its ended child processes [s]."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def trial_context(folder: Path, seed: int) -> tuple[SearchContext, Spec]:
    """Return the context of the trials of a search, and its specification."""
    problem = load_problem(PROBLEM, Size.TINY)
    spec = Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=seed,
        trials=UNLIMITED_TRIALS,
        workers=1,
        initial_design_size=initial_design_size(Space(problem)),
    )
    data = generate(problem, default_cache())
    problem = problem.fitted(data.train)
    limits = limits_from_goals(problem, baseline_errors(problem, data))
    reference_timing = time_reference(problem, data.test)
    return SearchContext(
        problem, data, reference_timing, limits, RunDirectory.start(folder, spec), PROBLEM
    ), spec


def scored_baselines(context: SearchContext) -> BaselineScores:
    """Return the scores and times of the baselines, as a search measures before its first trial."""
    problem, data = context.problem, context.data
    errors = baseline_errors(problem, data)
    return score_baselines(errors, time_baselines(problem, data, context.reference_timing, errors))


def complete_trial(context: SearchContext, searcher: Searcher, request: TrialRequest) -> Record:
    """Run a trial to its end and return its record.

    Args:
        context: The context of the search.
        searcher: The searcher, which may stop the trial at rungs.
        request: The trial.
    """
    trial = run_trial(context, request.candidate, request.number, request.training)
    rungs: list[RungReport] = []
    for event in trial:
        if isinstance(event, Record):
            return event.model_copy(update={"resumes": request.resumes})
        rungs.append(event)
        if not searcher.should_continue(
            request, event.rung.share, event.rung.error, event.relative_time
        ):
            trial.close()
    return Record(
        number=request.number,
        key=request.candidate.key,
        candidate=request.candidate,
        resumes=request.resumes,
        state=State.STOPPED,
        stage="train",
        rungs=tuple(report.rung for report in rungs),
        untrained_relative_time=rungs[-1].relative_time,
        durations_s=rungs[-1].durations_s,
        ended=timestamp(),
    )


def search(name: str, seed: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Return the points of complete trials with their times, and the states of all trials.

    Args:
        name: Name of the searcher.
        seed: Seed of the search.
        seconds: Processor time of the search [s].
        folder: Folder of the run.
    """
    context, spec = trial_context(folder, seed)
    torch.set_num_threads(context.problem.deployment.threads)
    points: list[tuple[float, float, float, int]] = []
    states: list[str] = []
    start = clock()
    baselines = scored_baselines(context) if name == SIMSTEAD_NAME else NO_BASELINES
    searcher = SEARCHERS[name](context.problem, spec, context.run, context.limits, baselines)
    while True:
        record = complete_trial(context, searcher, searcher.ask())
        if clock() - start > seconds:  # a trial that was unfinished at the end doesn't count
            return {"name": name, "seed": seed, "points": points, "states": states}
        searcher.tell(record)
        states.append(str(record.state))
        if record.state is State.COMPLETE and record.timing is not None:
            error = math.log10(record.metrics[context.problem.objective.name])
            log_time = math.log10(record.timing.relative_time)
            points.append((clock() - start, error, log_time, record.number))


def reference_point(problem: Problem, data: Dataset) -> tuple[float, float]:
    """Return log10 of the worst baseline's error, and of the reference's relative time, 0."""
    return math.log10(max(baseline_errors(problem, data).values())), 0.0


def hypervolume_by(
    points: list[list[float]], seconds: float, reference: tuple[float, float]
) -> float:
    """Return the hypervolume of the points that were found by a time.

    Args:
        points: (time found, log10 error, log10 relative time, trial) of each point.
        seconds: The time [s].
        reference: The reference point.
    """
    found = [(error, time) for found_s, error, time, _ in points if found_s <= seconds]
    return hypervolume(found, reference)


def front_when_found(points: list[list[float]]) -> list[list[float]]:
    """Return the points that no earlier point dominated when they were found."""
    return [
        point
        for i, point in enumerate(points)
        if not any(earlier[1] <= point[1] and earlier[2] <= point[2] for earlier in points[:i])
    ]


def retime_fronts(results: list[dict[str, Any]]) -> None:
    """Reduce the points to `front_when_found` and replace their times by new measurements.

    All artefacts are timed in turn, `TIMING_REPEATS` times.
    """
    context, _ = trial_context(Path(results[0]["folder"]).with_name("again"), 0)
    torch.set_num_threads(context.problem.deployment.threads)
    surrogates: list[tuple[list[float], Surrogate]] = []
    for result in results:
        result["points"] = front_when_found(result["points"])
        for point in result["points"]:
            artefact = RunDirectory(Path(result["folder"])).artefact_path(int(point[3]))
            surrogates.append((point, Surrogate.load(artefact, context.problem)))
    all_times: list[list[float]] = [[] for _ in surrogates]
    for index in range(TIMING_REPEATS):
        print(f"timing {len(surrogates)} artefacts, {index + 1} of {TIMING_REPEATS}", flush=True)
        for times, (_, surrogate) in zip(all_times, surrogates, strict=True):
            timing = measure(
                context.problem, context.data, context.reference_timing, surrogate, MAX_ROUNDS
            )
            times.append(timing.relative_time)
    for times, (point, _) in zip(all_times, surrogates, strict=True):
        point[2] = math.log10(median(times))


def run_searches(seeds: int, seconds: float) -> list[dict[str, Any]]:
    """Return the results of all searchers and seeds; each search runs on its own core."""
    queue = [(name, seed) for seed in range(seeds) for name in COMPARED]
    cores = sorted(os.sched_getaffinity(0))[:PARALLEL_SEARCHES]
    running: dict[int, tuple[subprocess.Popen[str], str]] = {}
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        while queue or running:
            for core in cores:
                if queue and core not in running:
                    name, seed = queue.pop(0)
                    output = f"{scratch}/{len(queue)}.json"
                    call = [sys.executable, __file__, "--one", name, "--seed", str(seed)]
                    call += [
                        "--seconds",
                        str(seconds),
                        "--folder",
                        f"{output}.run",
                        "--output",
                        output,
                    ]
                    process = subprocess.Popen(  # noqa: S603 - our own arguments
                        ["taskset", "-c", str(core), *call],  # noqa: S607 - a program of the system
                        text=True,
                        env=os.environ | {COMPILER_CACHE_VARIABLE: f"{output}.graphs"},
                    )
                    running[core] = process, output
            time.sleep(1.0)
            for core, (process, output) in [*running.items()]:
                if process.poll() is None:
                    continue
                if process.returncode:
                    raise RuntimeError(f"a search ended with {process.returncode}")
                del running[core]
                result = json.loads(Path(output).read_text(encoding="utf-8"))
                result["folder"] = f"{output}.run"
                results.append(result)
                trials = len(result["states"])
                print(f"{result['name']}, seed {result['seed']}: {trials} trials", flush=True)
        retime_fronts(results)
    return results


def summarise_searches(results: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return the final hypervolumes, and the share of the time that simstead needs for them."""
    problem = load_problem(PROBLEM, Size.TINY)
    data = generate(problem, default_cache())
    reference = reference_point(problem.fitted(data.train), data)
    all_points = [point for result in results for point in result["points"]]
    whole = hypervolume_by(all_points, math.inf, reference)
    facts: dict[str, Any] = {"seconds": seconds, "reference_point": reference}
    simstead = [result["points"] for result in results if result["name"] == SIMSTEAD_NAME]

    def time_to_reach(points: list[list[float]], area: float) -> float:
        times = (found_s for found_s, *_ in points)
        return next((s for s in times if hypervolume_by(points, s, reference) >= area), math.inf)

    for name in dict.fromkeys(result["name"] for result in results):
        searches = {result["seed"]: result for result in results if result["name"] == name}
        last = {
            seed: hypervolume_by(result["points"], seconds, reference)
            for seed, result in searches.items()
        }
        facts[name] = {
            "hypervolume": {seed: area / whole for seed, area in last.items()},
            "trials": {seed: len(result["states"]) for seed, result in searches.items()},
            "curve": {
                seed: [
                    (found_s, hypervolume_by(result["points"], found_s, reference) / whole)
                    for found_s, *_ in result["points"]
                ]
                for seed, result in searches.items()
            },
        }
        if name != SIMSTEAD_NAME:
            facts[name]["time_share_of_simstead"] = [
                time_to_reach(points, area) / seconds
                for points in simstead
                for area in last.values()
            ]
    return facts


def _plot(facts: dict[str, Any]) -> go.Figure:
    """Return a plot of the hypervolume of each search against time."""
    figure = go.Figure()
    for name, colour in COLOURS.items():
        for seed, curve in facts.get(name, {}).get("curve", {}).items():
            end = (facts["seconds"], facts[name]["hypervolume"][seed])
            found_s, area = zip((0.0, 0.0), *curve, end, strict=True)
            line = {"color": colour, "shape": "hv"}
            figure.add_scatter(
                x=found_s,
                y=area,
                mode="lines",
                line=line,
                name=name,
                legendgroup=name,
                showlegend=seed == min(facts[name]["curve"]),
            )
    figure.update_xaxes(title="processor time [s]")
    figure.update_yaxes(title="share of the hypervolume of all searches together")
    return figure


def main() -> int:
    """Search, print and store the figures; return 1 if simstead is too slow."""
    parser = argument_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="searches of each searcher")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="processor time of each")
    for name in ("--one", "--folder", "--output"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        result = search(arguments.one, arguments.seed, arguments.seconds, Path(arguments.folder))
        Path(arguments.output).write_text(json.dumps(result), encoding="utf-8")
        return 0
    results = run_searches(arguments.seeds, arguments.seconds)
    facts = summarise_searches(results, arguments.seconds)
    largest = 0.0
    for name, figures in facts.items():
        if isinstance(figures, dict) and "hypervolume" in figures:
            areas = figures["hypervolume"].values()
            listed = ", ".join(f"{area:.3f}" for area in areas)
            line = f"{name}: {median(areas):.3f} of the hypervolume ({listed})"
            if name != SIMSTEAD_NAME:
                shares = figures["time_share_of_simstead"]
                listed = ", ".join(f"{share:.2f}" for share in shares)
                largest = max(largest, median(shares))
                line += f"; simstead reaches it in {median(shares):.2f} of the time ({listed})"
            print(line, flush=True)
    save_results(__file__, facts, _plot(facts))
    print(f"largest share: {largest:.2f}, target {TARGET}")
    return 1 if largest > TARGET else 0


if __name__ == "__main__":
    sys.exit(main())
