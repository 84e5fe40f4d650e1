"""Utilisation of 256 workers with trials of a minute, on a fake clock and a slow shared disk.

    .venv/bin/python benchmarks/many_workers.py [WORKERS [SECONDS]] [--before N]

Workers exist by name only: their trials take no time but that of the fake clock. The driver is
real, with study, successive halving, records and journal. It handles one event after the other,
and each takes the processor's time that was measured, 5 ms for each call of the file system on the
run directory (counted by `slow_files.c`), and the time of Ray Tune (`bookkeeping.py`). The share of
the time that workers train from the moment when all have begun is printed and stored as JSON.
By default the run begins with its first trial. Exits with 1 if the share is too low.
"""

import ctypes
import heapq
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from arguments import argument_parser
from ask_time import synthetic_record
from rich.console import Console
from slow_disk import CALL_MS, fill, run_below_slow_files

from problems import Problem, Size, load_problem
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.records import Rung
from search.run.spec import Spec
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue, TrialRequest
from search.trial.lifecycle import RUNG_SHARES
from search.trial.record_builder import RungReport
from search.workers.successive_halving import SuccessiveHalving
from search.workers.tune_adapter import StudySearcher

WORKERS, SECONDS, BEFORE = 256, 60.0, 0
"""Number of workers, duration of a complete trial [s], and number of trials before."""

MEASURED = 1.5
"""Duration of the measurement, in durations of a complete trial."""

TUNE_S = 0.033
"""Time of Ray Tune for a trial, without loggers and with reused actors [s]."""

MIN_UTILISATION = 0.95


class Driver:
    """A search whose driver is real and whose workers are events.

    Args:
        folder: Folder of the run.
        problem: The problem.
        workers: Number of workers.
        seconds: Duration of a complete trial [s].
    """

    def __init__(self, folder: Path, problem: Problem, workers: int, seconds: float) -> None:
        spec = Spec(
            problem=problem.name,
            problem_version=problem.version,
            size=Size.TINY,
            seed=0,
            trials=100 * workers,
            workers=workers,
            deployments=1,
        )
        run = RunDirectory.start(folder, spec)
        records = run.records()
        study = SearchStudy(run.journal, problem, spec)
        interrupted = study.interrupted_trials({record.number: record for record in records})
        progress = ProgressDisplay(problem, spec.trials, Console(file=io.StringIO()))
        queue = TrialQueue(study, run, spec, interrupted, records)
        self._problem, self._seconds, self._workers = problem, seconds, workers
        self._searcher = StudySearcher(queue, run, progress, workers)
        self._halving = SuccessiveHalving(records)
        self._slow_calls = ctypes.CDLL(os.environ["LD_PRELOAD"]).slow_calls
        self._free_at = 0.0
        self.events: list[tuple[float, int, float, TrialRequest]] = []
        self.trained: list[tuple[float, float]] = []
        """Intervals in which a worker trained [s]."""

    def begin(self) -> float:
        """Return the time at which all workers have a trial [s]."""
        for _ in range(self._workers):
            self._handle(0.0, None)
        return self._free_at

    def advance(self) -> float:
        """Handle the next report of a worker; return the time at which it came [s]."""
        at, _, share, request = heapq.heappop(self.events)
        self._handle(at, (share, request))
        return at

    def _handle(self, at: float, report: tuple[float, TrialRequest] | None) -> None:
        """Handle a report, or the start of a worker, and give the worker what it does next."""
        busy, calls = time.process_time(), self._slow_calls()
        following = report and self._report(*report)
        overhead_s = 0.0
        if following is None:
            request = self._searcher.suggest()
            if request is None:
                raise RuntimeError("there is no trial for a worker")
            following, overhead_s = (0.0, request), TUNE_S
        cost_s = time.process_time() - busy + 1e-3 * CALL_MS * (self._slow_calls() - calls)
        self._free_at = max(at, self._free_at) + cost_s + overhead_s
        share, request = following
        until = next((rung for rung in RUNG_SHARES if rung > share), 1.0)
        end = self._free_at + (until - share) * self._seconds
        self.trained.append((self._free_at, end))
        heapq.heappush(self.events, (end, request.number, until, request))

    def _report(self, share: float, request: TrialRequest) -> tuple[float, TrialRequest] | None:
        """Report a rung or the end; return what the worker continues with, None if it is free."""
        name = str(request.number)
        record = synthetic_record(self._problem, request.number, request.candidate)
        record = record.model_copy(update={"durations_s": {"train": share * self._seconds}})
        error, relative_time = record.rungs[0].error, record.untrained_relative_time or 1.0
        if share < 1.0:
            rung = Rung(epoch=1, share=share, error=error)
            result = RungReport(rung, relative_time, record.durations_s).as_result()
            if self._halving.should_continue(share, error, relative_time):
                self._searcher.on_trial_result(name, result)
                return share, request
            self._searcher.on_trial_complete(name, result)
            return None
        self._searcher.on_trial_complete(name, {"record": record.model_dump_json()})
        return None


def measure(folder: Path, workers: int, seconds: float, before: int) -> dict[str, float]:
    """Return the utilisation of the workers, and further figures.

    Args:
        folder: Folder of the run.
        workers: Number of workers.
        seconds: Duration of a complete trial [s].
        before: Number of trials that the run has before.
    """
    problem = load_problem("planets", Size.TINY)
    if before:
        fill(folder, problem, before, {})
    driver = Driver(folder, problem, workers, seconds)
    start = driver.begin()
    end = start + MEASURED * seconds
    while driver.advance() < end:
        pass
    trained_s = sum(max(0.0, min(e, end) - max(b, start)) for b, e in driver.trained)
    return {
        "workers": workers,
        "trial_s": seconds,
        "all_begun_s": start,
        "trials_before": before,
        "trials": len(RunDirectory.open(folder).records()) - before,
        "utilisation": trained_s / (workers * (end - start)),
    }


def main() -> int:
    """Measure, print and store the figures; return 1 if the utilisation is too low."""
    parser = argument_parser(__doc__)
    parser.add_argument("workers", nargs="?", type=int, default=WORKERS, metavar="WORKERS")
    parser.add_argument("seconds", nargs="?", type=float, default=SECONDS, metavar="SECONDS")
    parser.add_argument("--before", type=int, default=BEFORE, metavar="N", help="trials before")
    parser.add_argument("--measure", type=Path, metavar="RUN", help="the run")
    arguments = parser.parse_args()
    if arguments.measure:
        numbers = (arguments.workers, arguments.seconds, arguments.before)
        print(json.dumps(measure(arguments.measure, *numbers)))
        return 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        options = [str(arguments.workers), str(arguments.seconds), "--before"]
        options += [str(arguments.before), "--measure", str(folder)]
        facts = run_below_slow_files([sys.executable, __file__, *options], folder, 0.0)
    print(json.dumps(facts, indent=1))
    Path(__file__).with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    return 0 if facts["utilisation"] >= MIN_UTILISATION else 1


if __name__ == "__main__":
    sys.exit(main())
