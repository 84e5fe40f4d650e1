"""Users' code in a process of its own: a hazard costs its own sample, and nothing else."""

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from problems import UserError
from problems.contract.isolation import IsolatedChecks
from problems.data import simulate
from problems.data.simulate import Caller, draw, run_simulation
from problems.entrance.calls import CallFailedError
from problems.entrance.isolated import IsolatedProcess, ProcessDiedError
from problems.sources import locate_problem

N, FAULTY = 6, 3
"""Samples of a batch, and the sample that is faulty."""


class Hazard(NamedTuple):
    """What users' code does to a faulty sample, and the reason that it is told with."""

    code: str
    reason: str


HAZARDS = {
    "exit": Hazard("os._exit(3)", r"its process died (exit code 3)"),
    "exit with a word": Hazard("sys.stderr.write('STOP 7\\n'); os._exit(3)", ": STOP 7"),
    "sys.exit": Hazard("sys.exit(4)", "SystemExit: 4"),
    "abort": Hazard("os.abort()", "its process died (SIGABRT)"),
    "segmentation fault": Hazard("ctypes.string_at(0)", "its process died (SIGSEGV)"),
    "killed": Hazard("os.kill(os.getpid(), signal.SIGKILL)", "its process died (SIGKILL)"),
    "files closed": Hazard("os.closerange(0, 99)", "it closed the files of its process"),
    "endless": Hazard("time.sleep(1e6)", "took longer than"),
    "interrupt": Hazard("raise KeyboardInterrupt('mine')", "KeyboardInterrupt: mine"),
    "message that fails": Hazard("raise Unprintable", "its message can't be read"),
    "fork that raises": Hazard(
        "os.fork() or forked(); raise ValueError('mine')", "ValueError: mine"
    ),
    "masked": Hazard("y[at] = np.ma.masked", "output 'y' is not finite"),
    "out of range": Hazard("y[at] = -9999.0", "output 'y' is outside its range [0, 100] Pa"),
    "not finite": Hazard("y[at] = np.inf", "output 'y' is not finite"),
    "input written": Hazard("a[at] = 0.0", "copy an array before you write to it"),
}
"""Each costs the faulty sample."""

HARMLESS = {
    "standard streams closed": "[os.close(number) for number in (0, 1, 2)]",
    "standard output lost": "sys.stdout.close()",
    "prints": "print('much' * 1000, flush=True)",
    "working directory": "os.chdir('/')",
    "umask": "os.umask(0o777)",
    "environment": "os.environ.clear()",
    "signals": "[signal.signal(s, signal.SIG_IGN) for s in (signal.SIGTERM, signal.SIGALRM)]",
    "alarm": "signal.alarm(1000)",
    "warnings": "warnings.simplefilter('error')",
    "error state": "np.seterr(all='raise')",
    "random state": "np.random.seed(0); random.seed(0)",
    "thread that never ends": "threading.Thread(target=time.sleep, args=(1e6,)).start()",
    "exit handler that never ends": "atexit.register(time.sleep, 1e6)",
    "fork that goes on": "os.fork()",
    "pool of forked processes": "multiprocessing.get_context('fork').Pool(2).map(double, [1, 2])",
    "pool of spawned processes": "multiprocessing.get_context('spawn').Pool(1).map(double, [1, 2])",
    "buffer used again": "BUFFER[:n] = y; y = BUFFER[:n]",
}
"""These cost nothing."""

FILE = """
import atexit, ctypes, multiprocessing, os, random, signal, sys, threading, time, warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from problems import Field, FlatEncoding, NormalisedError, Problem, Samples

BUFFER = np.zeros(64)


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError


def double(x):
    return 2 * x


def forked():
    raise SystemExit


@dataclass(frozen=True)
class Sim:
    inputs = (Field("a", unit="K"),)
    outputs = (Field("y", unit="Pa", valid=(0.0, 100.0)),)

    def draw(self, n, rng):
        return {"a": rng.permutation(n).astype(float)}

    def run(self, inputs, rng):
        a, n = inputs["a"], len(inputs["a"])
        y = np.ma.array(3.0 * a + 1.0)
        at = np.flatnonzero(a == 3.0)
        if len(at):
            CODE
        return {"y": y}


problem = Problem(
    simulation=Sim(),
    encodings={"flat": FlatEncoding(Sim.inputs, Sim.outputs)},
    score=NormalisedError(Sim.outputs),
    samples=Samples(train=32, validation=8, test=8, shifted=0),
    epochs=2,
)
"""


def written(folder: Path, code: str, name: str = "hazardous") -> Path:
    """Return a problem file whose simulation does something to the sample whose input is 3."""
    path = folder / f"{name}.py"
    path.write_text(FILE.replace("CODE", code))
    return path


@pytest.fixture(scope="module")
def process() -> Generator[IsolatedProcess]:
    with IsolatedProcess() as process:
        yield process


def outcome(path: Path, process: IsolatedProcess) -> tuple[Any, Any, list[str]]:
    simulation: Any = locate_problem(str(path)).load().simulation
    rng = np.random.default_rng(0)
    caller = Caller(process.call)
    inputs = draw(simulation, N, rng, caller)
    outputs, reasons = run_simulation(simulation, inputs, rng, caller)
    return inputs["a"], outputs["y"], reasons


Record = Callable[[str, object], None]


def note(record_property: Record, hazard: str, a: Any, y: Any, reasons: list[str]) -> None:
    """Record what a hazard did, for the table of `benchmarks/faults.py`."""
    good = np.array([not reason for reason in reasons])
    record_property("hazard", hazard)
    record_property("samples", len(a))
    record_property("failed", int((~good).sum()))
    record_property("wrong", int((y[good] != 3.0 * a[good] + 1.0).sum()))


def test_a_file_that_was_moved_harms_its_own_problem_alone(
    process: IsolatedProcess, tmp_path: Path
) -> None:
    moved = written(tmp_path, "pass", "moved")
    simulation: Any = locate_problem(str(moved)).load().simulation
    moved.rename(tmp_path / "elsewhere.py")
    assert outcome(written(tmp_path, "pass"), process)[2] == [""] * N
    with pytest.raises(UserError, match=r"there is no file .*moved\.py; move the file"):
        draw(simulation, N, np.random.default_rng(0), Caller(process.call))


@pytest.mark.parametrize("hazard", HAZARDS)
def test_a_hazard_costs_its_sample_alone(
    hazard: str,
    process: IsolatedProcess,
    tmp_path: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> None:
    code, reason = HAZARDS[hazard]
    if hazard == "endless":
        monkeypatch.setattr(simulate, "CALL_LIMIT_S", 3.0)
    a, y, reasons = outcome(written(tmp_path, code), process)
    note(record_property, hazard, a, y, reasons)
    assert [bool(text) for text in reasons] == [value == FAULTY for value in a]
    assert reason in "".join(reasons)
    assert np.isnan(y[a == FAULTY]).all()
    assert (y[a != FAULTY] == 3.0 * a[a != FAULTY] + 1.0).all()


@pytest.mark.parametrize("hazard", HARMLESS)
def test_what_is_restored_costs_nothing(
    hazard: str, process: IsolatedProcess, tmp_path: Path, record_property: Record
) -> None:
    path = written(tmp_path, HARMLESS[hazard])
    before = process.call(os.getpid)
    for _ in range(2):
        a, y, reasons = outcome(path, process)
        note(record_property, hazard, a, y, reasons)
        assert not any(reasons)
        assert (y == 3.0 * a + 1.0).all()
    assert process.call(os.getpid) == before


SCRATCH = """np.save('scratch.npy', y.data); time.sleep(0.02); y = np.load('scratch.npy')
            y = y * float(Path('factor.txt').read_text())
"""


def test_two_processes_share_no_scratch_file(tmp_path: Path, record_property: Record) -> None:
    (tmp_path / "factor.txt").write_text("1.0")
    np.save(tmp_path / "scratch.npy", np.zeros(3))  # as a run by hand left it
    path = written(tmp_path, SCRATCH)
    before = {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()}

    def many(_: int) -> list[tuple[Any, Any, list[str]]]:
        with IsolatedProcess() as process:
            return [outcome(path, process) for _ in range(8)]

    locate_problem(str(path)).load()
    with ThreadPoolExecutor(2) as pool:
        for a, y, reasons in [each for part in pool.map(many, range(2)) for each in part]:
            note(record_property, "scratch file of one name", a, y, reasons)
            assert not any(reasons), reasons
            assert (y == 3.0 * a + 1.0).all()
    assert {file: file.read_bytes() for file in tmp_path.iterdir() if file.is_file()} == before


def test_a_generator_goes_on_as_if_it_were_here(process: IsolatedProcess, tmp_path: Path) -> None:
    path = written(tmp_path, "y = y + rng.normal(size=n) * 0 + rng.spawn(1)[0].normal(size=n)")
    problem = locate_problem(str(path)).load()
    here, there = (np.random.default_rng(5) for _ in range(2))
    simulation: Any = problem.simulation
    for _ in range(2):
        inputs = draw(simulation, N, here)
        assert (inputs["a"] == draw(simulation, N, there, Caller(process.call))["a"]).all()
        outputs, _ = run_simulation(simulation, inputs, here)
        apart, _ = run_simulation(simulation, inputs, there, Caller(process.call))
        assert np.array_equal(outputs["y"], apart["y"], equal_nan=True)
    assert here.bit_generator.state == there.bit_generator.state


class LongImport:
    """Takes 2 s to be unpickled, as a module may to be imported."""

    def __reduce__(self) -> tuple[Callable[[float], None], tuple[float]]:
        return time.sleep, (2.0,)


def test_imports_do_not_count_as_time_of_a_call(process: IsolatedProcess) -> None:
    assert process.call(repr, LongImport(), limit_s=1.5) == "None"


def told(text: str) -> None:
    raise UserError(text)


def test_failures_of_calls_are_told_apart(process: IsolatedProcess) -> None:
    with pytest.raises(UserError, match="a mistake"):
        process.call(told, "a mistake")
    with pytest.raises(ProcessDiedError, match="SIGUSR1"):
        process.call(signal.raise_signal, signal.SIGUSR1)
    with pytest.raises(UserError, match="can't be sent to another process"):
        process.call(repr, threading.Lock())
    with pytest.raises(CallFailedError, match="its result can't be sent to another process"):
        process.call(threading.Lock)
    assert process.call(lambda: lambda: 7)() == 7, "as the fit of a baseline returns"
    assert process.call(abs, -1) == 1


@pytest.mark.parametrize(
    ("replaced", "by", "said"),
    [
        ("score=NormalisedError(Sim.outputs)", "score=lambda p, r, i: os._exit(6)", "exit code 6"),
        ("epochs=2,", "epochs=2, baselines={'zero': lambda i, r: os.abort()},", "SIGABRT"),
        ("epochs=2,", "epochs=2, host=lambda kernel, rng: os._exit(7),", "exit code 7"),
    ],
)
def test_a_check_tells_which_part_ends_its_process(
    replaced: str, by: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMSTEAD_CACHE", str(tmp_path / "cache"))
    path = written(tmp_path, "pass")
    text = path.read_text().replace("rng.permutation(n).astype(float)", "rng.uniform(4, 9, n)")
    path.write_text(text.replace(replaced, by))
    with IsolatedChecks(locate_problem(str(path)), None, lambda *_: None) as checks:
        results = list(checks.results())
    violations = [message for result in results for message in result.violations]
    assert any("while this was checked, its process died" in message for message in violations)
    assert any(said in message for message in violations)
