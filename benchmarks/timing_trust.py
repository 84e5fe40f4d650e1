"""Accuracy of the stopwatch while other trials run.

    .venv/bin/python benchmarks/timing_trust.py

Two tests run without load, and with a busy process on every other core in place of other workers:
- A/A: the same work is timed against itself, with the stopping rule of a trial's rounds. The ratio
  of an exact stopwatch is 1, and 95 % of its intervals contain 1.
- Real networks are timed one at a time under load, as in a search, and then all in turn without
  load, as in the final evaluation. Kendall's rank correlation compares the two.

The figures are printed and stored as JSON. Exits with 1 if ranks or intervals are not accurate
enough.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import torch
from arguments import argument_parser
from results import save_results
from scipy.stats import kendalltau
from threadpoolctl import threadpool_limits

from problems import Array
from search.final.evaluation import TIME_BUDGET_S
from search.run.records import Timing
from search.timing.reference import SLOT_BUDGET_S, summarise_timing
from search.timing.slot import exclusive_slot
from search.timing.stopwatch import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    StoppingRule,
    TimedCall,
    keep_large_blocks,
    time_interleaved,
)
from spaces.architectures import ARCHITECTURES
from spaces.candidate import Precision
from spaces.deployment_check import example_network, lowered_shape
from spaces.registered import RUNTIMES
from spaces.runtimes import FixedBatchPredictor

REPETITIONS = 60
"""Repetitions of an A/A test; a coverage of 95 % is then known to within 3 %."""

MATRIX_SIZE = 160
"""Size of the matrices whose product is the reference, and the work of the load."""

FAMILIES = ("mlp", "conv2d", "deep_sets", "lstm", "tcn")
RUNTIME_NAMES = ("eager", "onnxruntime", "openvino")
NETWORK_DRAWS = ((0, 1), (1, 32))
"""Seed, from which widths and depths are drawn, and batch size of each network."""

MIN_TAU = 0.9
MIN_COVERAGE = 0.9
"""The stopping rule lowers the coverage of intervals by a few per cent below 95 %."""

REFERENCE = "reference"
Figures = dict[str, float]


def matrix_product() -> TimedCall:
    """Return a call that takes a fraction of a millisecond."""
    matrix = np.random.default_rng(0).random((MATRIX_SIZE, MATRIX_SIZE))
    return TimedCall(lambda: matrix @ matrix, 1)


def burn() -> None:
    """Keep a core busy."""
    with threadpool_limits(1):
        function = matrix_product().function
        while True:
            function()


@contextmanager
def background_load() -> Generator[None]:
    """Run a busy process for every core but one."""
    processes = [
        multiprocessing.Process(target=burn, daemon=True)
        for _ in range(len(os.sched_getaffinity(0)) - 1)
    ]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def time_against_reference(
    timed_calls: Mapping[str, TimedCall], budget_s: float
) -> dict[str, Timing]:
    """Return the timing of each call relative to the reference, which is one of the calls.

    Args:
        timed_calls: Calls by name, with `REFERENCE` among them.
        budget_s: Largest total time [s].
    """
    names = [name for name in timed_calls if name != REFERENCE]

    def ratios(seconds: Mapping[str, Array]) -> list[Array]:
        return [seconds[REFERENCE] / seconds[name] for name in names]

    with exclusive_slot(), threadpool_limits(1):
        seconds = time_interleaved(timed_calls, MAX_ROUNDS, StoppingRule(ratios, budget_s))
    return {name: summarise_timing(seconds[name], seconds[REFERENCE]) for name in names}


def null_test() -> Figures:
    """Return the figures of A/A tests."""
    function = matrix_product()
    timings = [
        time_against_reference({"a": function, REFERENCE: function}, SLOT_BUDGET_S)["a"]
        for _ in range(REPETITIONS)
    ]
    ratios = [timing.speedup for timing in timings]
    return {
        "median_ratio": float(np.median(ratios)),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
        "coverage": float(np.mean([t.speedup_low <= 1.0 <= t.speedup_high for t in timings])),
        "noisy": float(np.mean([timing.noisy for timing in timings])),
        "median_rounds": float(np.median([timing.rounds for timing in timings])),
    }


def network_calls(folder: Path) -> dict[str, TimedCall]:
    """Return the calls of lowered networks by family, batch size and runtime.

    Args:
        folder: Folder of the lowered networks.
    """
    calls: dict[str, TimedCall] = {}
    for family in FAMILIES:
        for seed, batch in NETWORK_DRAWS:
            example = example_network(family, lowered_shape(ARCHITECTURES[family]), seed=seed)
            inputs = np.ascontiguousarray(example.calibration[:batch].numpy())
            for runtime in RUNTIME_NAMES:
                name = f"{family} x {batch} in {runtime}"
                artefact_path = folder / name
                artefact_path.mkdir()
                lowering = example.lowering_for(runtime, Precision.FP32, batch)
                RUNTIMES[runtime].lower(
                    example.network, example.calibration, lowering, artefact_path
                )
                predictor = RUNTIMES[runtime].load(artefact_path, lowering)
                artefact = FixedBatchPredictor(predictor, batch)
                calls[name] = TimedCall(_call(artefact, inputs), batch)
    return calls


def _call(artefact: FixedBatchPredictor, inputs: Array) -> Callable[[], object]:
    return lambda: artefact(inputs)


def rank_agreement(calls: Mapping[str, TimedCall]) -> tuple[Figures, dict[str, dict[str, float]]]:
    """Return the agreement of times with and without load, and both times of every network."""
    reference = matrix_product()
    with background_load():
        under_load = {
            name: time_against_reference({name: call, REFERENCE: reference}, SLOT_BUDGET_S)[name]
            for name, call in calls.items()
        }
    alone = time_against_reference({**calls, REFERENCE: reference}, TIME_BUDGET_S)
    relative = {
        name: {
            "under_load": under_load[name].relative_time,
            "alone": alone[name].relative_time,
            "rounds_under_load": under_load[name].rounds,
            "rounds_alone": alone[name].rounds,
        }
        for name in calls
    }
    times_under_load, times_alone = (
        np.array([times[key] for times in relative.values()]) for key in ("under_load", "alone")
    )
    log_ratios = np.abs(np.log(times_under_load / times_alone))
    tau, _ = kendalltau(times_under_load, times_alone)
    facts = {
        "networks": float(len(calls)),
        "kendall_tau": float(tau),
        "median_difference": float(np.expm1(np.median(log_ratios))),
        "largest_difference": float(np.expm1(np.max(log_ratios))),
        "noisy_under_load": float(np.mean([timing.noisy for timing in under_load.values()])),
        "noisy_alone": float(np.mean([timing.noisy for timing in alone.values()])),
    }
    return facts, relative


def _plot(relative: dict[str, dict[str, float]]) -> go.Figure:
    """Return a plot of times under load against times without load."""
    alone, under = ([times[key] for times in relative.values()] for key in ("alone", "under_load"))
    figure = go.Figure(go.Scatter(x=alone, y=under, mode="markers", text=list(relative)))
    ends = [min(alone + under), max(alone + under)]
    figure.add_scatter(x=ends, y=ends, mode="lines", line_dash="dot", showlegend=False)
    figure.update_xaxes(title="time over the reference's, alone", type="log")
    return figure.update_yaxes(title="the same with the other core busy", type="log")


def main() -> int:
    """Measure, print and store the figures; return 1 if the stopwatch isn't accurate enough."""
    argument_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    keep_large_blocks()
    facts: dict[str, Figures] = {"A/A alone": null_test()}
    with background_load():
        facts["A/A under load"] = null_test()
    with tempfile.TemporaryDirectory() as scratch:
        facts["ranks"], relative = rank_agreement(network_calls(Path(scratch)))
    for name, figures in facts.items():
        print(f"{name}: {', '.join(f'{key} {figure:.3g}' for key, figure in figures.items())}")
    results = {**facts, "min_rounds": MIN_ROUNDS, "times": relative}
    save_results(__file__, results, _plot(relative))
    coverage = min(facts[name]["coverage"] for name in ("A/A alone", "A/A under load"))
    return 0 if coverage >= MIN_COVERAGE and facts["ranks"]["kendall_tau"] >= MIN_TAU else 1


if __name__ == "__main__":
    sys.exit(main())
