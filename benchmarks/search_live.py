"""How soon searches find what they find: live, real networks that replace `planets`.

    .venv/bin/python benchmarks/search_live.py                   two seeds, 80 minutes
    .venv/bin/python benchmarks/search_live.py --seeds 5 --seconds 360

Each searcher of `rivals.py` searches the whole tiny space in a process of its own, with one worker:
trials train, are deployed and timed as in any search. Two such processes run at a time, so the
clock is processor time, what compilers take and what asking takes counted; waiting for the
stopwatch isn't. What is found is the area between the front and the corner of the worst baseline's
error and the reference's time, on logarithmic axes, as a share of what all searches found together.
What stood on a search's front when it was found is timed again in the end, with nothing else
running and all searches in turn: the same artefact's times scatter by a tenth in a search, and
whoever was lucky would seem to have found more.

Headline: the share of the time in which simstead finds all that another has found in the end, the
median of all pairs of a search of ours and one of the other's. Ends with 1 where it is above a
fifth.
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
from typing import Any

import plotly.graph_objects as go
import torch
from asking import argument_parser
from keeping import save_results
from rivals import COLOURS, SEARCHERS, SIMSTEAD_NAME, Searcher

from problems import Dataset, Problem, Size, load_problem
from problems.data.dataset import generate
from problems.data.shards import default_cache
from search.objectives.baselines import (
    NO_BASELINES,
    BaselineScores,
    baseline_errors,
    score_baselines,
)
from search.objectives.goals import limits_from_goals
from search.pareto import hypervolume
from search.run.directory import Run
from search.run.records import Record, State, timestamp
from search.run.spec import Spec
from search.sampling.initial_design import initial_design_size
from search.sampling.trial_queue import TrialRequest
from search.timing.reference import measure, time_reference
from search.timing.stopwatch import MAX_ROUNDS
from search.trial.lifecycle import RungReport, SearchContext, run_trial
from spaces.space import Space
from spaces.surrogate import Surrogate

PROBLEM = "planets"
TARGET = 0.2
"""Of the others' time."""

SECONDS = 900.0
"""Processor time that each search has."""

PARALLEL_SEARCHES = 2
EXCLUDED_SEARCHERS = ("OptunaSearch + ASHA, by 2",)
"""As on the fake clock it finds what ASHA by 4 does."""

UNLIMITED_TRIALS = 10_000
"""Networks: more than there is time for."""

TIMING_REPEATS = 3
"""So often is timed again; the median counts."""

COMPILER_CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
"""Where the compiler keeps what it has compiled: each search has a folder of its own."""


def clock() -> float:
    """Return the processor time of this process and of those that it has waited for."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in each)


def trial_context(folder: Path, seed: int) -> tuple[SearchContext, Spec]:
    """Return what every trial of a search shares, and what is asked for."""
    problem = load_problem(PROBLEM, Size.TINY)
    spec = Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=seed,
        trials=UNLIMITED_TRIALS,
        workers=1,
        opening=initial_design_size(Space(problem)),
    )
    data = generate(problem, default_cache())
    problem = problem.with_fitted_baselines(data.train)
    limits = limits_from_goals(problem, baseline_errors(problem, data))
    reference_timing = time_reference(problem, data.test)
    return SearchContext(
        problem, data, reference_timing, limits, Run.start(folder, spec), PROBLEM
    ), spec


def scored_baselines(context: SearchContext) -> BaselineScores:
    """Score and time the baselines, as a search does before its first trial."""
    problem, data = context.problem, context.data
    return score_baselines(problem, data, context.reference_timing, baseline_errors(problem, data))


def ended(context: SearchContext, searcher: Searcher, asked: TrialRequest) -> Record:
    """Live a trial to its record."""
    life = run_trial(context, asked.candidate, asked.number, asked.training)
    rungs: list[RungReport] = []
    for event in life:
        if isinstance(event, Record):
            return event.model_copy(update={"goes_on_with": asked.resumes})
        rungs.append(event)
        if not searcher.should_continue(
            asked, event.rung.share, event.rung.error, event.relative_time
        ):
            life.close()
    return Record(
        number=asked.number,
        key=asked.candidate.key,
        candidate=asked.candidate,
        resumes=asked.resumes,
        state=State.STOPPED,
        stage="train",
        rungs=tuple(each.rung for each in rungs),
        untrained_relative_time=rungs[-1].relative_time,
        durations_s=rungs[-1].durations_s,
        ended=timestamp(),
    )


def search(name: str, seed: int, seconds: float, folder: Path) -> dict[str, Any]:
    """Return when a searcher found which points, and how its trials ended."""
    context, spec = trial_context(folder, seed)
    torch.set_num_threads(context.problem.deployment.threads)
    found: list[tuple[float, float, float, int]] = []
    states: list[str] = []
    started = clock()
    known = scored_baselines(context) if name == SIMSTEAD_NAME else NO_BASELINES
    searcher = SEARCHERS[name](context.problem, spec, context.run, context.limits, known)
    while True:
        record = ended(context, searcher, searcher.ask())
        if clock() - started > seconds:  # what is unfinished then counts for nothing
            return {"name": name, "seed": seed, "found": found, "ended": states}
        searcher.tell(record)
        states.append(str(record.state))
        if record.state is State.COMPLETE and record.timing is not None:
            error = math.log10(record.metrics[context.problem.objective.name])
            took = math.log10(record.timing.relative_time)
            found.append((clock() - started, error, took, record.number))


def reference_point(problem: Problem, data: Dataset) -> tuple[float, float]:
    """Return log10 of the worst baseline's error, and of the reference's time over itself."""
    return math.log10(max(baseline_errors(problem, data).values())), 0.0


def hypervolume_by(found: list[list[float]], seconds: float, worst: tuple[float, float]) -> float:
    """Return the area that was found by a time."""
    return hypervolume([(error, took) for at, error, took, _ in found if at <= seconds], worst)


def front_when_found(found: list[list[float]]) -> list[list[float]]:
    """Return what nothing beat that was found before it."""
    return [
        one
        for i, one in enumerate(found)
        if not any(before[1] <= one[1] and before[2] <= one[2] for before in found[:i])
    ]


def retime_fronts(results: list[dict[str, Any]]) -> None:
    """Time what stood on the searches' fronts, `PASSES` times in turn; leave out the rest."""
    context, _ = trial_context(Path(results[0]["folder"]).with_name("again"), 0)
    torch.set_num_threads(context.problem.deployment.threads)
    held: list[tuple[list[float], Surrogate]] = []
    for each in results:
        each["found"] = front_when_found(each["found"])
        for one in each["found"]:
            artefact = Run(Path(each["folder"])).artefact(int(one[3]))
            held.append((one, Surrogate.load(artefact, context.problem)))
    times: list[list[float]] = [[] for _ in held]
    for done in range(TIMING_REPEATS):
        print(f"timing {len(held)} artefacts again, {done + 1} of {TIMING_REPEATS}", flush=True)
        for own, (_, surrogate) in zip(times, held, strict=True):
            timing = measure(
                context.problem, context.data, context.reference_timing, surrogate, MAX_ROUNDS
            )
            own.append(timing.relative_time)
    for own, (one, _) in zip(times, held, strict=True):
        one[2] = math.log10(median(own))


def run_searches(seeds: int, seconds: float) -> list[dict[str, Any]]:
    """Search with everyone and every seed, a few at a time, each on a core of its own."""
    names = [name for name in SEARCHERS if name not in EXCLUDED_SEARCHERS]
    on_poll = [(name, seed) for seed in range(seeds) for name in names]
    cores = sorted(os.sched_getaffinity(0))[:PARALLEL_SEARCHES]
    running: dict[int, tuple[subprocess.Popen[str], str]] = {}
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        while on_poll or running:
            for core in cores:
                if on_poll and core not in running:
                    name, seed = on_poll.pop(0)
                    told = f"{scratch}/{len(on_poll)}.json"
                    call = [sys.executable, __file__, "--one", name, "--seed", str(seed)]
                    call += ["--seconds", str(seconds), "--folder", f"{told}.run", "--told", told]
                    process = subprocess.Popen(  # noqa: S603 - our own arguments
                        ["taskset", "-c", str(core), *call],  # noqa: S607 - of the system
                        text=True,
                        env=os.environ | {COMPILER_CACHE_VARIABLE: f"{told}.graphs"},
                    )
                    running[core] = process, told
            time.sleep(1.0)
            for core, (process, told) in [*running.items()]:
                if process.poll() is None:
                    continue
                if process.returncode:
                    raise RuntimeError(f"a search ended with {process.returncode}")
                del running[core]
                last = json.loads(Path(told).read_text(encoding="utf-8"))
                last["folder"] = f"{told}.run"
                results.append(last)
                trials = len(last["ended"])
                print(f"{last['name']}, seed {last['seed']}: {trials} trials", flush=True)
        retime_fronts(results)
    return results


def summarise_searches(results: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """Return what each found, and the share of the time that simstead needs for it."""
    problem = load_problem(PROBLEM, Size.TINY)
    data = generate(problem, default_cache())
    worst = reference_point(problem.with_fitted_baselines(data.train), data)
    whole = hypervolume_by([point for each in results for point in each["found"]], math.inf, worst)
    facts: dict[str, Any] = {"seconds": seconds, "corner": worst}
    own = [each["found"] for each in results if each["name"] == SIMSTEAD_NAME]
    for name in dict.fromkeys(each["name"] for each in results):
        each = {one["seed"]: one for one in results if one["name"] == name}
        last = {seed: hypervolume_by(one["found"], seconds, worst) for seed, one in each.items()}
        facts[name] = {
            "found": {seed: area / whole for seed, area in last.items()},
            "trials": {seed: len(one["ended"]) for seed, one in each.items()},
            "curve": {
                seed: [
                    (at, hypervolume_by(one["found"], at, worst) / whole) for at, *_ in one["found"]
                ]
                for seed, one in each.items()
            },
        }
        if name != SIMSTEAD_NAME:
            facts[name]["time_share_of_simstead"] = [
                next((at for at, *_ in found if hypervolume_by(found, at, worst) >= area), math.inf)
                / seconds
                for found in own
                for area in last.values()
            ]
    return facts


def _plot(facts: dict[str, Any]) -> go.Figure:
    """Return what each search had found against time."""
    figure = go.Figure()
    for name, colour in COLOURS.items():
        for seed, curve in facts.get(name, {}).get("curve", {}).items():
            at, area = zip(
                (0.0, 0.0), *curve, (facts["seconds"], facts[name]["found"][seed]), strict=True
            )
            line = {"color": colour, "shape": "hv"}
            figure.add_scatter(
                x=at,
                y=area,
                mode="lines",
                line=line,
                name=name,
                legendgroup=name,
                showlegend=seed == min(facts[name]["curve"]),
            )
    figure.update_xaxes(title="processor time [s]")
    figure.update_yaxes(title="share of the area that all found together")
    return figure


def main() -> int:
    """Search, print, and keep beside this file; return 1 where ours is too slow."""
    asked = argument_parser(__doc__)
    asked.add_argument("--seeds", type=int, default=2, help="searches of each searcher")
    asked.add_argument("--seconds", type=float, default=SECONDS, help="processor time of each")
    for name in ("--one", "--folder", "--told"):
        asked.add_argument(name, help=argparse.SUPPRESS)
    asked.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.one:
        found = search(given.one, given.seed, given.seconds, Path(given.folder))
        Path(given.told).write_text(json.dumps(found), encoding="utf-8")
        return 0
    facts = summarise_searches(run_searches(given.seeds, given.seconds), given.seconds)
    largest = 0.0
    for name, own in facts.items():
        if isinstance(own, dict) and "found" in own:
            shares = ", ".join(f"{share:.3f}" for share in own["found"].values())
            told = f"{name}: {median(own['found'].values()):.3f} of the area ({shares})"
            if name != SIMSTEAD_NAME:
                each = own["time_share_of_simstead"]
                parts = ", ".join(f"{share:.2f}" for share in each)
                largest = max(largest, median(each))
                told += f"; simstead finds as much in {median(each):.2f} of the time ({parts})"
            print(told, flush=True)
    save_results(__file__, facts, _plot(facts))
    print(f"the largest: {largest:.2f}, target {TARGET}")
    return 1 if largest > TARGET else 0


if __name__ == "__main__":
    sys.exit(main())
