"""Utilisation of many workers by trials that sleep, and of two workers by real trials.

    .venv/bin/python benchmarks/scaling.py [WORKERS [SECONDS]]

Workers on a few virtual nodes sleep in place of training and report at every rung. Their trials
pass through the search as others do: study, successive halving, records, journal. The workers
import nothing of simstead, so that many fit into memory. All begin together, because Tune gives a
trial that waits for the start of its worker to an idle worker and cancels the start. The share of
the time that they sleep from then on is measured; after a while the search is stopped. Then the
first candidates of `planets` are searched with one worker and with two, and the trials per hour are
compared: two workers wait for each other's stopwatch. The figures are printed and stored as JSON,
with a plot. Exits with 1 if the utilisation of sleeping workers is too low.
"""

import contextlib
import io
import json
import logging
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import plotly.graph_objects as go
from arguments import argument_parser
from results import save_results
from rich.console import Console

from problems import Size
from problems.template.problem import problem
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.records import State
from search.run.spec import Spec
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue
from search.workers import trial_runner
from search.workers.node_pool import NodePool
from search.workers.ray_cluster import answers, connected, living_nodes
from search.workers.successive_halving import SuccessiveHalving
from search.workers.trial_runner import TrialActor, run_trials, tune
from search.workers.tune_adapter import StudySearcher

if TYPE_CHECKING:
    from search.trial.context import SearchContext

WORKERS, SECONDS = 64, 60.0
"""Number of workers and duration of a complete trial; most are stopped after a quarter of it.

Two cores run the driver and all workers, so with trials of 20 s workers wait for suggestions.
"""

NODES = 4
"""Virtual nodes."""

OBJECT_STORE_BYTES = 128 * 2**20
"""Size of the object store of a node; the trials share a few bytes only."""

REAL_TRIALS = 12
"""Number of real trials: candidates of the initial design, which are the same for any workers."""

MEASURED_S = 60.0
"""Duration of the measurement [s]."""

TRIALS_PER_WORKER = 100
"""More than a worker has time for."""

MIN_UTILISATION = 0.95
SLEEP_LOG = "sleeps.jsonl"
"""File of the intervals in which workers sleep."""


class SleepingTrainable(tune.Trainable):
    """A worker that sleeps. It writes reports as JSON, since importing ours would take memory."""

    def setup(self, config: dict[str, Any], context: Any = None) -> None:
        """Begin the first trial."""
        self._seconds, self._log, self._objective = context
        self._started = False
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        self._config, self._done = config, 0.0
        number = config["number"]
        self._error = 0.1 + (number * 37 % 101) / 101
        self._time = 0.001 + (number * 53 % 103) / 103

    def step(self) -> dict[str, Any]:
        """Sleep to the next rung, or to the end."""
        share = {0.0: 0.25, 0.25: 0.5, 0.5: 1.0}[self._done]
        duration = (share - self._done) * self._seconds
        if not self._started:
            duration *= os.getpid() % 97 / 97  # so that workers don't report at the same time
            self._wait_for_all()
        with open(self._log, "a", encoding="utf-8") as log:  # noqa: PTH123 - pathlib takes memory
            log.write(json.dumps([os.getpid(), time.time(), duration]) + "\n")
        time.sleep(duration)
        self._done = share
        if share < 1.0:
            rung = {"epoch": round(4 * share), "share": share, "error": self._error}
            return {"rung": json.dumps(rung), "relative_time": self._time, "durations_s": "{}"}
        return {"record": json.dumps(self._record()), "done": True}

    def _wait_for_all(self) -> None:
        """Signal that this worker has started, and wait until all have."""
        folder = os.path.dirname(self._log)  # noqa: PTH120 - pathlib takes memory
        with open(f"{folder}/started.{os.getpid()}", "w", encoding="utf-8"):  # noqa: PTH123
            self._started = True
        while not os.path.exists(f"{folder}/go"):  # noqa: PTH110
            time.sleep(0.5)

    def _record(self) -> dict[str, Any]:
        speedups = ("speedup", "speedup_low", "speedup_high")
        timing = dict.fromkeys(speedups, 1.0 / self._time)
        return {
            "number": self._config["number"],
            "key": "",
            "candidate": json.loads(self._config["candidate"]),
            "state": "complete",
            "stage": "measure",
            "metrics": {self._objective: self._error},
            "timing": {"time_s": self._time, "reference_s": 1.0, "rounds": 1, **timing},
            "untrained_relative_time": self._time,
            "ended": "",
        }

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial."""
        self._begin(new_config)
        return True


@contextlib.contextmanager
def local_cluster(cores: int, folder: Path) -> Generator[None]:
    """Start Ray as if this machine were several nodes, with a number of cores in all."""
    import ray  # noqa: PLC0415 - reads variables of the environment that `search` sets
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    options = {"object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    shares = [len(range(first, cores, NODES)) for first in range(min(NODES, cores))]
    with contextlib.chdir(folder):
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": shares[0], **options})
        for share in shares[1:]:
            nodes.add_node(num_cpus=share, **options)
        ray.init(address=nodes.address, log_to_driver=False, logging_level=logging.ERROR)
    with connected(NodePool(living_nodes, answers)):
        yield
    nodes.shutdown()


def run_search(folder: Path, workers: int, seconds: float) -> dict[str, Any]:
    """Run a search of sleeping trials and return its figures.

    Args:
        folder: Folder of the run.
        workers: Number of workers.
        seconds: Duration of a complete trial [s].
    """
    spec = Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=0,
        trials=TRIALS_PER_WORKER * workers,
        workers=workers,
        deployments=1,
    )
    run, log = RunDirectory.start(folder, spec), folder / SLEEP_LOG
    log.touch()
    progress = ProgressDisplay(problem, spec.trials, Console(file=io.StringIO()))
    queue = TrialQueue(SearchStudy(run.journal, problem, spec), run, spec, [])
    # In place of a context, whose modules would import PyTorch in every worker.
    context = cast("SearchContext", (seconds, str(log), problem.objective.name))
    threading.Thread(target=stop_after_measurement, args=(run, log, workers), daemon=True).start()
    begin = time.time()
    run_trials(context, StudySearcher(queue, run, progress, workers), SuccessiveHalving())
    states = [record.state for record in run.records()]
    start = max(intervals[0][0] for intervals in sleep_intervals(log).values())
    return {
        "workers": workers,
        "trial_s": seconds,
        "startup_s": start - begin,
        "measured_s": MEASURED_S,
        "trials": len(states),
        "stopped": states.count(State.STOPPED),
        **utilisation(sleep_intervals(log), start, start + MEASURED_S),
    }


def sleep_intervals(log: Path) -> dict[int, list[tuple[float, float]]]:
    """Return the intervals (begin, end) in which each worker, given by its process, slept [s]."""
    intervals: dict[int, list[tuple[float, float]]] = {}
    for line in log.read_text().splitlines():
        worker, begin, duration = json.loads(line)
        intervals.setdefault(worker, []).append((begin, begin + duration))
    return intervals


def stop_after_measurement(run: RunDirectory, log: Path, workers: int) -> None:
    """Request the search to stop once all workers have worked for the measured duration.

    Args:
        run: The run.
        log: File of the intervals in which workers sleep.
        workers: Number of workers.
    """
    while len(list(log.parent.glob("started.*"))) < workers:
        time.sleep(1.0)
    (log.parent / "go").touch()
    time.sleep(MEASURED_S)
    run.request_stop()


def utilisation(
    sleeps: dict[int, list[tuple[float, float]]], start: float, end: float
) -> dict[str, Any]:
    """Return the share of the time that workers slept, and their waiting times in between [s].

    Args:
        sleeps: Intervals in which each worker slept [s].
        start: Begin of the measurement [s].
        end: End of the measurement [s].
    """
    total = sum(
        max(0.0, min(wake, end) - max(begin, start))
        for intervals in sleeps.values()
        for begin, wake in intervals
    )
    gaps = [
        after - before
        for intervals in sleeps.values()
        for (_, before), (after, _) in pairwise(intervals)
        if start <= before and after <= end
    ]
    return {
        "utilisation": total / (len(sleeps) * (end - start)),
        "median_gap_s": median(gaps),
        "longest_gap_s": max(gaps),
    }


def trials_per_hour(workers: int, folder: Path) -> float:
    """Return the trials per hour of a search of the first candidates of `planets`."""
    command = [
        Path(sys.executable).with_name("simstead"), "search", "planets", "--size", "tiny",
        "--trials", REAL_TRIALS, "--deployments", 1, "--retrain", 0, "--workers", workers,
        "--only", "runtime=eager,onnxruntime,openvino", "--run", folder,
    ]  # fmt: skip
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own arguments
    records = RunDirectory.open(folder).records()
    ends = [datetime.fromisoformat(record.ended).timestamp() for record in records]
    starts = [end - r.duration_s for end, r in zip(ends, records, strict=True)]
    return 3600.0 * len(records) / (max(ends) - min(starts))


def _plot(spans: dict[int, list[tuple[float, float]]]) -> go.Figure:
    """Return a plot of the intervals in which every worker slept."""
    figure = go.Figure()
    first = min(intervals[0][0] for intervals in spans.values())
    for row, intervals in enumerate(spans.values()):
        x = [edge for begin, wake in intervals for edge in (begin - first, wake - first, None)]
        figure.add_scatter(x=x, y=[row] * len(x), mode="lines", line_width=3, showlegend=False)
    figure.update_xaxes(title="seconds")
    return figure.update_yaxes(title="worker")


def main() -> int:
    """Measure, print and store the figures; return 1 if the utilisation is too low."""
    parser = argument_parser(__doc__)
    parser.add_argument("workers", nargs="?", type=int, default=WORKERS, metavar="WORKERS")
    parser.add_argument("seconds", nargs="?", type=float, default=SECONDS, metavar="SECONDS")
    arguments = parser.parse_args()
    workers, seconds = arguments.workers, arguments.seconds
    trial_runner.TrialActor = cast("type[TrialActor]", SleepingTrainable)
    with tempfile.TemporaryDirectory() as scratch:
        with local_cluster(workers, Path(scratch)):
            facts = run_search(Path(scratch) / "run", workers, seconds)
        spans = sleep_intervals(Path(scratch) / "run" / SLEEP_LOG)
        one, two = (trials_per_hour(count, Path(scratch) / f"real {count}") for count in (1, 2))
    facts |= {"load": os.getloadavg()[0], "nodes": NODES}
    facts |= {"real_trials_per_hour": [one, two], "real_two_over_one": two / one}
    print(json.dumps(facts, indent=1))
    save_results(__file__, facts, _plot(spans))
    return 0 if facts["utilisation"] >= MIN_UTILISATION else 1


if __name__ == "__main__":
    sys.exit(main())
