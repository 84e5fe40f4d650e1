"""Whether the stopwatch can be trusted while other trials run.

    .venv/bin/python benchmarks/timing_trust.py

Alone, and with a burner for every other core, as a search has its other workers:
- A/A: the same work timed against itself, with the rule that ends a trial's rounds. An honest
  stopwatch says 1, and 95 % of its intervals hold 1.
- Real networks, each timed by itself under load as the search does it, then all in turn alone as
  the final heat does it: Kendall's rank correlation of the two.

Printed, and kept as JSON. Ends with 1 where ranks or intervals fall short.
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
from asking import argument_parser
from keeping import save_results
from scipy.stats import kendalltau
from threadpoolctl import threadpool_limits

from problems import Array
from search.final.evaluation import TIME_BUDGET_S
from search.run.records import Timing
from search.timing.reference import SLOT_BUDGET_S, summarise_timing
from search.timing.stopwatch import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    StoppingRule,
    TimedCall,
    exclusive_slot,
    keep_large_blocks,
    time_interleaved,
)
from spaces.architectures import ARCHITECTURES
from spaces.candidate import Precision
from spaces.deployment_check import example_network, lowered_shape
from spaces.registered import RUNTIMES
from spaces.runtimes import FixedBatchPredictor

REPETITIONS = 60
"""Of an A/A test: a coverage of 95 % is known to within 3 %."""

MATRIX_SIZE = 160
"""Of the matrices whose product is the reference, and what a burner does."""

FAMILIES = ("mlp", "conv2d", "deep_sets", "lstm", "tcn")
RUNTIME_NAMES = ("eager", "onnxruntime", "openvino")
NETWORK_DRAWS = ((0, 1), (1, 32))
"""Seed, which draws widths and depths, and samples of a call."""

MIN_TAU = 0.9
MIN_COVERAGE = 0.9
"""Rounds that end once they look settled cost an interval a few per cent of its 95."""

REFERENCE = "reference"
Figures = dict[str, float]


def matrix_product() -> TimedCall:
    """Return work of a fraction of a millisecond."""
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
    """Keep every core but one busy, or whichever the system puts the burners on."""
    burners = [
        multiprocessing.Process(target=burn, daemon=True)
        for _ in range(len(os.sched_getaffinity(0)) - 1)
    ]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.terminate()
            burner.join()


def time_against_reference(
    timed_calls: Mapping[str, TimedCall], budget_s: float
) -> dict[str, Timing]:
    """Return what the stopwatch says of each, against the reference among them."""
    names = [name for name in timed_calls if name != REFERENCE]

    def ratios(seconds: Mapping[str, Array]) -> list[Array]:
        return [seconds[REFERENCE] / seconds[name] for name in names]

    with exclusive_slot(), threadpool_limits(1):
        seconds = time_interleaved(timed_calls, MAX_ROUNDS, StoppingRule(ratios, budget_s))
    return {name: summarise_timing(seconds[name], seconds[REFERENCE]) for name in names}


def null_test() -> Figures:
    """Return how A/A tests came out."""
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


def network_calls(scratch: Path) -> dict[str, TimedCall]:
    """Return calls of lowered networks, by family, samples of a call, and runtime."""
    calls: dict[str, TimedCall] = {}
    for family in FAMILIES:
        for seed, batch in NETWORK_DRAWS:
            tried = example_network(family, lowered_shape(ARCHITECTURES[family]), seed=seed)
            inputs = np.ascontiguousarray(tried.calibration[:batch].numpy())
            for runtime in RUNTIME_NAMES:
                name = f"{family} x {batch} in {runtime}"
                folder = scratch / name
                folder.mkdir()
                lowering = tried.lowering_for(runtime, Precision.FP32, batch)
                RUNTIMES[runtime].lower(tried.network, tried.calibration, lowering, folder)
                artefact = FixedBatchPredictor(RUNTIMES[runtime].load(folder, lowering), batch)
                calls[name] = TimedCall(_call(artefact, inputs), batch)
    return calls


def _call(artefact: FixedBatchPredictor, inputs: Array) -> Callable[[], object]:
    return lambda: artefact(inputs)


def rank_agreement(calls: Mapping[str, TimedCall]) -> tuple[Figures, dict[str, dict[str, float]]]:
    """Return how well times under load agree with times alone, and both of every network."""
    reference = matrix_product()
    with background_load():
        under = {
            name: time_against_reference({name: call, REFERENCE: reference}, SLOT_BUDGET_S)[name]
            for name, call in calls.items()
        }
    alone = time_against_reference({**calls, REFERENCE: reference}, TIME_BUDGET_S)
    relative = {
        name: {
            "under_load": under[name].relative_time,
            "alone": alone[name].relative_time,
            "rounds_under_load": under[name].rounds,
            "rounds_alone": alone[name].rounds,
        }
        for name in calls
    }
    apart = [abs(np.log(each["under_load"] / each["alone"])) for each in relative.values()]
    loads = [each["under_load"] for each in relative.values()]
    tau, _ = kendalltau(loads, [each["alone"] for each in relative.values()])
    facts = {
        "networks": float(len(calls)),
        "kendall_tau": float(tau),
        "median_apart": float(np.expm1(np.median(apart))),
        "most_apart": float(np.expm1(max(apart))),
        "noisy_under_load": float(np.mean([timing.noisy for timing in under.values()])),
        "noisy_alone": float(np.mean([timing.noisy for timing in alone.values()])),
    }
    return facts, relative


def _plot(relative: dict[str, dict[str, float]]) -> go.Figure:
    """Return times under load against times alone."""
    alone, under = ([each[key] for each in relative.values()] for key in ("alone", "under_load"))
    figure = go.Figure(go.Scatter(x=alone, y=under, mode="markers", text=list(relative)))
    ends = [min(alone + under), max(alone + under)]
    figure.add_scatter(x=ends, y=ends, mode="lines", line_dash="dot", showlegend=False)
    figure.update_xaxes(title="time over the reference's, alone", type="log")
    return figure.update_yaxes(title="the same with the other core busy", type="log")


def main() -> int:
    """Measure, print, and keep beside this file; return 1 where it falls short."""
    argument_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    keep_large_blocks()
    facts: dict[str, Figures] = {"A/A alone": null_test()}
    with background_load():
        facts["A/A under load"] = null_test()
    with tempfile.TemporaryDirectory() as scratch:
        facts["ranks"], relative = rank_agreement(network_calls(Path(scratch)))
    for name, each in facts.items():
        print(f"{name}: {', '.join(f'{key} {figure:.3g}' for key, figure in each.items())}")
    kept = {**facts, "rounds at least": MIN_ROUNDS, "times": relative}
    save_results(__file__, kept, _plot(relative))
    covered = min(facts[name]["coverage"] for name in ("A/A alone", "A/A under load"))
    return 0 if covered >= MIN_COVERAGE and facts["ranks"]["kendall_tau"] >= MIN_TAU else 1


if __name__ == "__main__":
    sys.exit(main())
