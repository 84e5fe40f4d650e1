"""Cost of a trial for the driver, with 10,000 trials in a run on a slow shared disk.

    .venv/bin/python benchmarks/slow_disk.py [TRIALS]

A run is filled with synthetic trials. Then a driver resumes it below `slow_files.c`, which lets
each call of the file system on the run directory take 5 ms longer. The time of the resumption is
measured, and the cost of suggesting and recording a trial: the processor's time and that of the
calls, with a tenth of the trials and with all. The figures are printed and stored as JSON. Exits
with 1 if a trial costs more than 256 workers with trials of a minute allow, or more calls with all
trials than with a tenth of them.
"""

import ctypes
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from arguments import argument_parser
from ask_time import fill_study, synthetic_record
from rich.console import Console

from problems import Problem, Size, load_problem
from search.progress import ProgressDisplay
from search.run.directory import RunDirectory
from search.run.records import Record
from search.run.spec import SamplerName, Spec
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue
from search.workers import ray_cluster
from search.workers.node_pool import Node, NodePool
from search.workers.tune_adapter import StudySearcher

TRIALS = 10_000
CALL_MS = 5.0
"""Time that a call of the file system takes longer [ms]."""

MEASURED = 30
"""Trials of each measurement."""

MAX_TRIAL_MS = 60e3 / 256
"""256 workers with trials of a minute end one in so many milliseconds."""


def make_spec(problem: Problem, trials: int) -> Spec:
    """Return the spec of a run with room for further trials.

    Args:
        problem: The problem.
        trials: Number of trials that it has.
    """
    return Spec(
        problem=problem.name,
        problem_version=problem.version,
        size=Size.TINY,
        seed=0,
        trials=trials + 10 * MEASURED,
        workers=1,
        deployments=1,
    )


def fill(folder: Path, problem: Problem, trials: int, records: dict[int, Record]) -> None:
    """Fill a run with synthetic trials.

    Args:
        folder: Folder of the run.
        problem: Its problem.
        trials: Number of trials.
        records: Records of trials so far, to which the new ones are added.
    """
    spec = make_spec(problem, trials)
    run = RunDirectory.start(folder, spec)
    random = spec.model_copy(update={"sampler": SamplerName.RANDOM})
    study = SearchStudy(run.journal, problem, random)
    known = len(records)
    fill_study(study, problem, trials, records)
    for number in range(known, len(records)):
        path = run.folder / "trials" / f"{number:04d}.json"
        path.write_text(records[number].model_dump_json(indent=1))


def measure(folder: Path, problem: Problem) -> dict[str, float]:
    """Return the time of a resumption [s], and of a trial for the driver [ms].

    Args:
        folder: Folder of the run.
        problem: Its problem.
    """
    slow_calls = ctypes.CDLL(os.environ["LD_PRELOAD"]).slow_calls
    ray_cluster.NODE_POOLS.append(NodePool(lambda: [Node("node", "", 0, 1)], lambda _: True))
    ray_cluster.node_pool().refresh()
    started = time.perf_counter()
    run = RunDirectory.open(folder)
    spec, records = run.spec(), run.records()
    study = SearchStudy(run.journal, problem, spec)
    interrupted = study.interrupted_trials({record.number: record for record in records})
    progress = ProgressDisplay(problem, spec.trials, Console(file=io.StringIO()))
    queue = TrialQueue(study, run, spec, interrupted, records)
    searcher = StudySearcher(queue, run, progress, 1)
    resumed_s, resumed_calls = time.perf_counter() - started, slow_calls()
    processor_ms: list[float] = []
    for _ in range(MEASURED):
        busy = time.process_time()
        request = searcher.suggest()
        if request is None:
            raise RuntimeError("the run has no room for further trials")
        record = synthetic_record(problem, request.number, request.candidate)
        searcher.on_trial_complete(str(request.number), {"record": record.model_dump_json()})
        processor_ms.append(1e3 * (time.process_time() - busy))
    calls = (slow_calls() - resumed_calls) / MEASURED
    return {
        "resumed_s": resumed_s,
        "resumed_calls": resumed_calls,
        "processor_ms": median(processor_ms),
        "calls": calls,
        "trial_ms": median(processor_ms) + CALL_MS * calls,
    }


def run_below_slow_files(command: Sequence[str], folder: Path, call_ms: float) -> dict[str, float]:
    """Return the figures that a program prints whose calls of the file system are slow.

    Args:
        command: The program.
        folder: Folder below which calls are slow.
        call_ms: Time that a call takes longer [ms]; calls are counted in any case.
    """
    with tempfile.TemporaryDirectory() as scratch:
        library, source = Path(scratch) / "slow_files.so", Path(__file__).with_name("slow_files.c")
        compiler = ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
        subprocess.run(compiler, check=True)  # noqa: S603 - our own arguments
        slow = {"LD_PRELOAD": library, "SLOW_FOLDER": folder, "SLOW_MS": call_ms}
        environment = os.environ | {name: str(value) for name, value in slow.items()}
        done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)  # noqa: S603 - as above
    return json.loads(done.stdout)


def main() -> int:
    """Measure, print and store the figures; return 1 if a trial takes too long."""
    parser = argument_parser(__doc__)
    parser.add_argument("trials", nargs="?", type=int, default=TRIALS, metavar="TRIALS")
    parser.add_argument("--measure", type=Path, metavar="RUN", help="a run on the slow disk")
    arguments = parser.parse_args()
    problem = load_problem("planets", Size.TINY)
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, problem)))
        return 0
    facts: dict[int, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for trials in (arguments.trials // 10, arguments.trials):
            folder = Path(scratch) / str(trials)
            fill(folder, problem, trials, {})
            command = [sys.executable, __file__, "--measure", str(folder)]
            facts[trials] = run_below_slow_files(command, folder, CALL_MS)
            print(trials, facts[trials], flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    tenth, whole = facts.values()
    return 1 if whole["calls"] > tenth["calls"] or whole["trial_ms"] > MAX_TRIAL_MS else 0


if __name__ == "__main__":
    sys.exit(main())
