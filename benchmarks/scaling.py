"""How busy many workers are kept: trials that sleep on many cores, and real ones on two.

    .venv/bin/python benchmarks/scaling.py [WORKERS [SECONDS]]

Workers on a few nodes, which Ray believes in, sleep where they would train, with a pause at every
rung, and go through the search as others do: study, halving, records, journal. They import nothing
of ours, so that many fit into memory. Nobody begins before all are there: Tune hands a trial that
waits for its worker's start to one that falls idle, and calls off the start. Counted is the share
of the time that they sleep from then on; after a while the search is stopped. Then the first
candidates of `planets` are searched with one worker and with two, and the trials that each ends in
an hour are compared: two wait for each other's stopwatch. Printed and kept as JSON, with a plot.
Ends with 1 where those that sleep are less busy than they should be.
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
from asking import argument_parser
from keeping import save_results
from rich.console import Console

from problems import Size
from problems.template.problem import problem
from search.progress import ProgressDisplay
from search.run.directory import Run
from search.run.records import State
from search.run.spec import Spec
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue
from search.workers import tune_adapter
from search.workers.successive_halving import SuccessiveHalving
from search.workers.tune_adapter import StudySearcher, TrialActor, run_trials, tune

if TYPE_CHECKING:
    from search.trial.lifecycle import SearchContext

WORKERS, SECONDS = 64, 60.0
"""Workers, and what a whole trial takes; most are stopped after a quarter of it. Two cores make for
one driver and all the workers, so that with trials of 20 s they wait for asks."""

NODES = 4
NODES_STORE_BYTES = 128 * 2**20
"""For what trials share; a few bytes here."""

REAL_TRIALS = 12
"""Of the opening, so that they are the same whoever has time for them."""

MEASURED_S = 60.0
TRIALS_PER_WORKER = 100
"""More than a worker has time for."""

MIN_UTILISATION = 0.95
SLEEP_LOG = "sleeps.jsonl"


class SleepingTrainable(tune.Trainable):
    """A worker that sleeps; what it says is written by hand, as ours would have to be imported."""

    def setup(self, config: dict[str, Any], context: Any = None) -> None:
        """Begin the first trial."""
        self._seconds, self._notes, self._objective = context
        self._began = False
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        self._config, self._done = config, 0.0
        number = config["number"]
        self._error = 0.1 + (number * 37 % 101) / 101
        self._time = 0.001 + (number * 53 % 103) / 103

    def step(self) -> dict[str, Any]:
        """Sleep to the next rung, or to the end."""
        share = {0.0: 0.25, 0.25: 0.5, 0.5: 1.0}[self._done]
        lasts = (share - self._done) * self._seconds
        if not self._began:
            lasts *= os.getpid() % 97 / 97  # so that they don't all report at once
            self._wait_for_all()
        with open(self._notes, "a", encoding="utf-8") as notes:  # noqa: PTH123 - as light as can be
            notes.write(json.dumps([os.getpid(), time.time(), lasts]) + "\n")
        time.sleep(lasts)
        self._done = share
        if share < 1.0:
            rung = {"epoch": round(4 * share), "share": share, "error": self._error}
            return {"rung": json.dumps(rung), "relative_time": self._time, "durations_s": "{}"}
        return {"record": json.dumps(self._record()), "done": True}

    def _wait_for_all(self) -> None:
        """Say that this worker is there; wait until all are."""
        folder = os.path.dirname(self._notes)  # noqa: PTH120 - as light as can be
        with open(f"{folder}/there.{os.getpid()}", "w", encoding="utf-8"):  # noqa: PTH123
            self._began = True
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
        """Take up another trial."""
        self._begin(new_config)
        return True


@contextlib.contextmanager
def local_cluster(cores: int, folder: Path) -> Generator[None]:
    """Start Ray as if this machine were several, with so many cores between them."""
    import ray  # noqa: PLC0415 - reads at once what `search` says in the environment
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    each = {"object_store_memory": NODES_STORE_BYTES, "include_dashboard": False}
    shares = [len(range(first, cores, NODES)) for first in range(min(NODES, cores))]
    with contextlib.chdir(folder):
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": shares[0], **each})
        for share in shares[1:]:
            nodes.add_node(num_cpus=share, **each)
        ray.init(address=nodes.address, log_to_driver=False, logging_level=logging.ERROR)
    try:
        yield
    finally:
        ray.shutdown()
        nodes.shutdown()


def run_search(folder: Path, workers: int, seconds: float) -> dict[str, Any]:
    """Run a search of sleeping trials; return its figures."""
    spec = Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=0,
        trials=TRIALS_PER_WORKER * workers,
        workers=workers,
        deployments=1,
    )
    run, notes = Run.start(folder, spec), folder / SLEEP_LOG
    notes.touch()
    progress = ProgressDisplay(problem, spec.trials, Console(file=io.StringIO()))
    agenda = TrialQueue(SearchStudy(run.journal, problem, spec), run, spec, [])
    # It stands for the setting: the problem's modules would bring PyTorch into every worker.
    context = cast("SearchContext", (seconds, str(notes), problem.objective.name))
    threading.Thread(target=stop_after_measurement, args=(run, notes, workers), daemon=True).start()
    began = time.time()
    run_trials(context, StudySearcher(agenda, run, progress, workers), SuccessiveHalving())
    ended = [record.state for record in run.records()]
    start = max(own[0][0] for own in sleep_intervals(notes).values())
    return {
        "workers": workers,
        "trial_s": seconds,
        "until_all_work_s": start - began,
        "counted_s": MEASURED_S,
        "trials": len(ended),
        "pruned": ended.count(State.STOPPED),
        **utilisation(sleep_intervals(notes), start, start + MEASURED_S),
    }


def sleep_intervals(notes: Path) -> dict[int, list[tuple[float, float]]]:
    """Return when each worker began to sleep and when it woke up, by its process."""
    found: dict[int, list[tuple[float, float]]] = {}
    for line in notes.read_text().splitlines():
        worker, began, lasts = json.loads(line)
        found.setdefault(worker, []).append((began, began + lasts))
    return found


def stop_after_measurement(run: Run, notes: Path, workers: int) -> None:
    """Ask the search to stop once all workers have worked for as long as is counted."""
    while len(list(notes.parent.glob("there.*"))) < workers:
        time.sleep(1.0)
    (notes.parent / "go").touch()
    time.sleep(MEASURED_S)
    run.request_stop()


def utilisation(
    sleeps: dict[int, list[tuple[float, float]]], start: float, end: float
) -> dict[str, Any]:
    """Return for which share of the time workers slept, and how long they waited in between."""
    total = sum(
        max(0.0, min(woke, end) - max(began, start))
        for own in sleeps.values()
        for began, woke in own
    )
    gaps = [
        after - before
        for own in sleeps.values()
        for (_, before), (after, _) in pairwise(own)
        if start <= before and after <= end
    ]
    return {
        "busy": total / (len(sleeps) * (end - start)),
        "median_gap_s": median(gaps),
        "longest_gap_s": max(gaps),
    }


def real(workers: int, folder: Path) -> float:
    """Search the first of `planets`' candidates; return how many trials an hour were ended."""
    command = [
        Path(sys.executable).with_name("simstead"), "search", "planets", "--size", "tiny",
        "--trials", REAL_TRIALS, "--deployments", 1, "--retrain", 0, "--workers", workers,
        "--only", "runtime=eager,onnxruntime,openvino", "--run", folder,
    ]  # fmt: skip
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - ourselves
    records = Run.open(folder).records()
    ends = [datetime.fromisoformat(record.ended).timestamp() for record in records]
    began = [end - sum(r.durations_s.values()) for end, r in zip(ends, records, strict=True)]
    return 3600.0 * len(records) / (max(ends) - min(began))


def _plot(spans: dict[int, list[tuple[float, float]]]) -> go.Figure:
    """Return when every worker was at work."""
    figure = go.Figure()
    first = min(own[0][0] for own in spans.values())
    for row, own in enumerate(spans.values()):
        x = [edge - first for began, woke in own for edge in (began, woke)]
        x = [each for pair in zip(x[::2], x[1::2], strict=True) for each in (*pair, None)]
        figure.add_scatter(x=x, y=[row] * len(x), mode="lines", line_width=3, showlegend=False)
    figure.update_xaxes(title="seconds")
    return figure.update_yaxes(title="worker")


def main() -> int:
    """Measure, print, keep beside this file; return 1 where workers are idle for too long."""
    asked = argument_parser(__doc__)
    asked.add_argument("workers", nargs="?", type=int, default=WORKERS, metavar="WORKERS")
    asked.add_argument("seconds", nargs="?", type=float, default=SECONDS, metavar="SECONDS")
    given = asked.parse_args()
    workers, seconds = given.workers, given.seconds
    tune_adapter.TrialActor = cast("type[TrialActor]", SleepingTrainable)
    with tempfile.TemporaryDirectory() as scratch:
        with local_cluster(workers, Path(scratch)):
            facts = run_search(Path(scratch) / "run", workers, seconds)
        spans = sleep_intervals(Path(scratch) / "run" / SLEEP_LOG)
        one, two = (real(count, Path(scratch) / f"real {count}") for count in (1, 2))
    facts |= {"load": os.getloadavg()[0], "nodes": NODES}
    facts |= {"real_trials_an_hour": [one, two], "real_two_over_one": two / one}
    print(json.dumps(facts, indent=1))
    save_results(__file__, facts, _plot(spans))
    return 0 if facts["busy"] >= MIN_UTILISATION else 1


if __name__ == "__main__":
    sys.exit(main())
