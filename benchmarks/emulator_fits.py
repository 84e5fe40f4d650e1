"""Emulators with which benchmarks/emulators.py compares a search: fits, predictions and times."""

import json
import math
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from problems import Array, Batch, Dataset, Field, Problem, Run, Split
from problems.interfaces.types import n_samples
from search.timing.reference import timing_slot
from search.timing.stopwatch import BLOCK_S, call_duration_s

ROUNDS = 21
"""Rounds of timing; the median over them is quoted."""

WORKER = Path(__file__).with_name("autoemulate_worker.py")

GRACE_S = 300.0
"""Time that AutoEmulate's process may take beyond its limit, to import and to predict [s]."""

Clock = Callable[[], float]
"""clock(): the seconds of one call of an emulator with the deployment's batch."""


class FailedToolError(Exception):
    """A tool has no emulator; the text says why."""


class AutoEmulateFit(NamedTuple):
    """What AutoEmulate found.

    Args:
        name: Name of its best emulator.
        predicted: Predicted outputs of the test split (b, o), side by side.
        found_s: Seconds to find it.
    """

    name: str
    predicted: Array
    found_s: float


def table(fields: Sequence[Field], batch: Batch) -> Array:
    """Return the fields of a batch side by side (b, c)."""
    n = n_samples(batch)
    return np.concatenate([batch[field.name].reshape(n, -1) for field in fields], axis=1)


def batch_of(fields: Sequence[Field], columns: Array) -> Batch:
    """Return the batch whose fields lie side by side in a table (b, c)."""
    ends = np.cumsum([field.size for field in fields])[:-1]
    parts = zip(fields, np.split(columns, ends, axis=1), strict=True)
    return {field.name: part.reshape(len(columns), *field.shape) for field, part in parts}


def fit_gaussian_process(problem: Problem, train: Split) -> Run:
    """Return scikit-learn's Gaussian process, with a length for each input and white noise.

    Args:
        problem: The problem.
        train: The training samples.
    """
    x, y = table(problem.inputs, train.inputs), table(problem.outputs, train.outputs)
    noise = WhiteKernel(1e-6, noise_level_bounds=(1e-10, 1.0))  # by default no less than 1e-5
    kernel = ConstantKernel() * RBF(np.ones(x.shape[1])) + noise
    model = make_pipeline(StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lengths at the ends of their ranges
        model.fit(x, y)

    def run(inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG001 - deterministic
        predicted = np.asarray(model.predict(table(problem.inputs, inputs)))
        return batch_of(problem.outputs, predicted.reshape(n_samples(inputs), -1))

    return run


def write_samples(problem: Problem, data: Dataset, call: Batch, folder: Path) -> None:
    """Write the samples for AutoEmulate; outputs of the test split aren't among them.

    Args:
        problem: The problem.
        data: Its dataset.
        call: Inputs of a timed call.
        folder: Folder of samples.npz.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs, outputs = problem.inputs, problem.outputs
    np.savez(
        folder / "samples.npz",
        x=table(inputs, data.train.inputs),
        y=table(outputs, data.train.outputs),
        x_validation=table(inputs, data.validation.inputs),
        y_validation=table(outputs, data.validation.outputs),
        x_test=table(inputs, data.test.inputs),
        x_call=table(inputs, call),
    )


def fit_autoemulate(python: Path, folder: Path, limit_s: float) -> None:
    """Fit AutoEmulate to the samples of a folder.

    Args:
        python: Interpreter of the environment in which AutoEmulate is installed.
        folder: Folder with samples.npz; results of an earlier fit there are kept.
        limit_s: Time after which no emulator is fitted any more [s].

    Raises:
        FailedToolError: It fits none.
    """
    if not (folder / "result.json").exists():
        command = [str(python), str(WORKER), "fit", str(folder), str(limit_s)]
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                command,
                env=_one_thread(),
                capture_output=True,
                text=True,
                check=False,
                timeout=limit_s + GRACE_S,
            )
        except subprocess.TimeoutExpired:
            raise FailedToolError(f"not ended {GRACE_S:.0f} s after its limit") from None
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise FailedToolError(lines[-1] if lines else f"exit code {done.returncode}")
    facts = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    for name, reason in facts["failures"].items():
        print(f"    AutoEmulate, {name}: {reason}", file=sys.stderr, flush=True)
    if not facts["emulator"]:
        raise FailedToolError(f"no emulator was fitted ({facts['failures']})")


def read_autoemulate(folder: Path) -> AutoEmulateFit:
    """Return what AutoEmulate found.

    Args:
        folder: Folder with its results.
    """
    facts = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    with np.load(folder / "predictions.npz") as arrays:
        return AutoEmulateFit(facts["emulator"], arrays["y_test"], facts["found_s"])


@contextmanager
def autoemulate_clock(python: Path, folder: Path) -> Generator[Clock]:
    """Time AutoEmulate's emulator in a process of its own that waits between the rounds.

    Args:
        python: Interpreter of the environment in which AutoEmulate is installed.
        folder: Folder with the fitted emulator.

    Raises:
        FailedToolError: The process doesn't answer.
    """
    process = subprocess.Popen(  # noqa: S603 - our own program
        [str(python), str(WORKER), "time", str(folder)],
        env=_one_thread(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    stdin, stdout = process.stdin, process.stdout

    def clock() -> float:
        answer = ""
        with suppress(OSError):  # of a process that has ended
            stdin.write("\n")
            stdin.flush()
            answer = stdout.readline()
        if not answer:
            raise FailedToolError("its process has ended; start it by hand to see why")
        return float(answer)

    try:
        clock()  # so that a process that doesn't start fails here
        yield clock
    finally:
        with suppress(OSError):
            stdin.close()
        process.wait(GRACE_S)


def clock_of(run: Run, inputs: Batch) -> Clock:
    """Return a clock of a run in this process, warmed up.

    Args:
        run: The emulator.
        inputs: A batch of the deployment's size.
    """
    rng = np.random.default_rng(0)

    def function() -> None:
        run(inputs, rng)

    call_duration_s(function, 3)
    repeats = max(1, math.ceil(BLOCK_S / call_duration_s(function, 3) * 3))
    return lambda: call_duration_s(function, repeats) / repeats


def time_in_turn(problem: Problem, clocks: Mapping[str, Clock]) -> dict[str, float]:
    """Return the median seconds per sample of each emulator, timed in turn on one thread.

    Args:
        problem: The problem with the deployment.
        clocks: Clocks by the names of the emulators.
    """
    seconds: dict[str, list[float]] = {name: [] for name in clocks}
    with timing_slot(problem):
        for _ in range(ROUNDS):
            for name, clock in clocks.items():
                seconds[name].append(clock())
    batch = problem.deployment.batch
    return {name: float(np.median(values)) / batch for name, values in seconds.items()}


def _one_thread() -> dict[str, str]:
    """Return the environment of a process with one thread."""
    return {**os.environ, "OMP_NUM_THREADS": "1"}
