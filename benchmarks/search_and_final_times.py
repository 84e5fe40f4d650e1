"""Agreement of the times of the search with those of the final evaluation.

    .venv/bin/python benchmarks/search_and_final_times.py [FAMILY ...]

One network of each family is lowered for every runtime and precision of this machine's processor.
Each artefact is timed three times: by the code of a trial in a worker of Ray while nothing else
runs; so while another worker is busy; and in turn with all others in a process like that of the
final evaluation. The ratios of the first two relative times to the last are printed and stored as
JSON.

Exits with 1 if the times of a deployment differ by more than a fifth while nothing else runs.
"""

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import torch
from arguments import argument_parser
from results import save_results

from problems import Dataset, Problem, Samples, Size
from problems.contract import RandomChoice
from problems.data.dataset import generate
from problems.entrance.isolated import IsolatedProcess
from problems.entrance.scratch import shared_scratch_root
from problems.template.problem import problem as template
from search.final.evaluation import TIME_BUDGET_S
from search.run.records import Timing
from search.timing.reference import (
    ReferenceTiming,
    deployment_call,
    measure,
    summarise_timing,
    time_reference,
    timing_slot,
)
from search.timing.stopwatch import (
    MAX_ROUNDS,
    StoppingRule,
    keep_large_blocks,
    time_interleaved,
)
from search.trial.preparation import initialise_learner, prepare_training
from search.workers.ray_cluster import cluster, prepare_process
from search.workers.tasks import run_sharing
from spaces.artefact import calibration_inputs, write_artefact
from spaces.candidate import Candidate, Precision, Pruning, Training
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.runtimes import CPU
from spaces.space import incompatibility
from spaces.surrogate import Surrogate

MAX_RATIO = 1.2

SIZE = 512
"""Side of the matrices whose products keep the other worker busy."""

WORKER_NICENESS = 15
"""Priority of Ray's workers, by its default."""


class Timed(NamedTuple):
    """What is timed, sent to the processes that time it."""

    problem: Problem
    data: Dataset
    reference_timing: ReferenceTiming
    folders: dict[str, Path]


def write_artefacts(
    problem: Problem, data: Dataset, families: Sequence[str], folder: Path
) -> dict[str, Path]:
    """Return the folders of the artefacts, by the names of their deployments.

    Args:
        problem: The problem.
        data: Its data.
        families: Names of the families.
        folder: Folder for all of them.
    """
    folders: dict[str, Path] = {}
    for family in families:
        candidate = untrained_candidate(problem, family)
        task = prepare_training(problem, candidate, data)
        calibration = calibration_inputs(task.pairs, problem.deployment.batch, task.noise)
        network = initialise_learner(candidate, task.shape).network
        trained = task.trained(network, calibration, data.validation.inputs)
        for runtime, precision in deployments(family):
            deployed = candidate.model_copy(update={"runtime": runtime, "precision": precision})
            name = f"{family} {runtime} {precision}"
            folders[name] = folder / name.replace(" ", "-")
            write_artefact(trained, deployed, problem, folders[name])
            print(f"lowered {name}", flush=True)
    return folders


def deployments(family: str) -> list[tuple[str, Precision]]:
    """Return the runtimes and precisions of a family on this machine's processor."""
    return [
        (runtime, precision)
        for runtime in RUNTIMES
        for precision in Precision
        if RUNTIMES[runtime].device == CPU
        and incompatibility(family, Pruning.NONE, runtime, precision) is None
    ]


def untrained_candidate(problem: Problem, family: str) -> Candidate:
    """Return a candidate of a family, for the encoding of whole paths."""
    choose = RandomChoice(np.random.default_rng(1))
    return Candidate(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        encoding="path",
        encoding_settings=dict(problem.encodings["path"].settings(choose)),
        architecture=family,
        architecture_settings=dict(ARCHITECTURES[family].settings(choose)),
        training=Training(learning_rate=1e-3, batch_size=16, weight_decay=0.0),
        pruning=Pruning.NONE,
        pruning_settings={},
        precision=Precision.FP32,
        runtime="eager",
        seed=0,
    )


def time_as_a_trial(timed: Timed, name: str) -> Timing:
    """Return the timing of a deployment by the code of a trial, in a worker of Ray."""
    problem, data = timed.problem, timed.data
    prepare_process(problem.deployment.threads)
    surrogate = Surrogate.load(timed.folders[name], problem)
    return measure(problem, data, timed.reference_timing, surrogate, MAX_ROUNDS)


def keep_busy() -> None:
    """Multiply matrices on one thread, with the priority of a worker of Ray."""
    os.nice(WORKER_NICENESS)
    torch.set_num_threads(1)
    matrix = torch.ones(SIZE, SIZE)
    while True:
        torch.mm(matrix, matrix)


@contextmanager
def busy_process() -> Generator[None]:
    """Run a busy process in the block."""
    process = multiprocessing.get_context("spawn").Process(target=keep_busy, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def time_in_turn(timed: Timed) -> dict[str, Timing]:
    """Return the timings of all deployments in turn, as the final evaluation measures them."""
    keep_large_blocks()
    problem, data = timed.problem, timed.data
    calls = {
        name: deployment_call(Surrogate.load(folder, problem).run, problem, data.test)
        for name, folder in timed.folders.items()
    }
    rule = StoppingRule(
        lambda seconds: [
            timed.reference_timing.seconds(seconds) / seconds[name] for name in timed.folders
        ],
        TIME_BUDGET_S,
    )
    with timing_slot(problem):
        seconds = time_interleaved(
            calls | timed.reference_timing.timed_calls(data.test), MAX_ROUNDS, rule
        )
    reference = timed.reference_timing.seconds(seconds)
    return {name: summarise_timing(seconds[name], reference) for name in timed.folders}


def in_workers(timed: Timed, *, busy: bool) -> dict[str, Timing]:
    """Return the timings of all deployments, each by itself in a worker.

    Args:
        timed: What is timed.
        busy: Whether another worker is busy meanwhile.
    """
    with busy_process() if busy else nullcontext():
        results = dict(run_sharing(time_as_a_trial, timed, list(timed.folders), cores=1))
    return {name: timing for name, timing in results.items() if isinstance(timing, Timing)}


def compare(timings: Mapping[str, Mapping[str, Timing]]) -> dict[str, dict[str, float]]:
    """Return times and ratios of every deployment, by its name.

    Args:
        timings: Timings by where they were measured: "alone", "busy" and "final".
    """
    final = timings["final"]
    return {
        name: {
            "final_us": 1e6 * final[name].time_s,
            "reference_us": 1e6 * final[name].reference_s,
            **{
                f"{where} {what}": figure
                for where in ("alone", "busy")
                for what, figure in (
                    ("ratio", timings[where][name].relative_time / final[name].relative_time),
                    ("time ratio", timings[where][name].time_s / final[name].time_s),
                    ("reference ratio", timings[where][name].reference_s / final[name].reference_s),
                    ("rounds", timings[where][name].rounds),
                )
            },
        }
        for name in final
    }


def main() -> int:
    """Measure, print and store the figures; return 1 if times differ too much."""
    parser = argument_parser(__doc__)
    parser.add_argument("families", nargs="*", default=["mlp"])
    families = parser.parse_args().families
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # workers import this module
    torch.set_num_threads(1)
    keep_large_blocks()
    problem = replace(template, samples=Samples(64, 16, 64, 16))
    with tempfile.TemporaryDirectory() as scratch, shared_scratch_root():
        folder = Path(scratch)
        data = generate(problem, folder / "cache")
        folders = write_artefacts(problem, data, families, folder)
        timed = Timed(problem, data, time_reference(problem, data.test), folders)
        timings: dict[str, dict[str, Timing]] = {}
        with cluster(1, folder):
            timings["alone"] = in_workers(timed, busy=False)
            timings["busy"] = in_workers(timed, busy=True)
        with IsolatedProcess() as process:
            timings["final"] = process.call(time_in_turn, timed)
    figures = compare(timings)
    for name, values in figures.items():
        print(f"{name:32}", "  ".join(f"{key} {value:.3g}" for key, value in values.items()))
    ratios = [values["alone ratio"] for values in figures.values()]
    save_results(__file__, figures, _plot(figures))
    return 0 if max(*ratios, 1.0 / min(ratios)) <= MAX_RATIO else 1


def _plot(figures: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """Return a plot of the ratios of the search's times to the final evaluation's."""
    bars = [
        go.Bar(name=where, x=list(figures), y=[f[f"{where} ratio"] for f in figures.values()])
        for where in ("alone", "busy")
    ]
    figure = go.Figure(bars)
    return figure.update_yaxes(title="relative time in the search over that in the end")


if __name__ == "__main__":
    # What other processes receive has to be importable by the name of this module.
    from search_and_final_times import main as importable_main

    sys.exit(importable_main())
