"""Fit AutoEmulate to samples and time its best emulator, in an environment of its own.

    PYTHON benchmarks/autoemulate_worker.py fit FOLDER SECONDS
    PYTHON benchmarks/autoemulate_worker.py time FOLDER

FOLDER/samples.npz holds x and y of the training samples, x_validation and y_validation, x_test and
x_call. `fit` writes predictions.npz with y_test, emulator.joblib, and result.json. AutoEmulate
chooses by the coefficient of determination on the validation samples, which it doesn't fit, and
tunes the parameters of each of its default emulators by cross-validation. They are fitted one after
the other, untuned ones first, so that those that are fitted within the limit count.

`time` answers each line of its standard input with the processor time [s] of a call on x_call.
simstead isn't imported here: benchmarks/emulators.py runs this file with another interpreter.
"""

import json
import math
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import torch
from autoemulate import AutoEmulate
from autoemulate.transforms import PCATransform, StandardizeTransform

MANY_OUTPUTS = 16
"""With more outputs, emulators of their principal components are tried before those of each."""

BLOCK_S = 0.02
"""Time that a block of repeated calls should last."""

Samples = dict[str, torch.Tensor]


class OutOfTimeError(BaseException):
    """The limit is over. AutoEmulate tries again after any `Exception`, but not after this."""


def raise_out_of_time(*_: object) -> None:
    """Handle the alarm."""
    raise OutOfTimeError


def load_samples(folder: Path) -> Samples:
    """Return the samples of a folder by name, in single precision as AutoEmulate's own are."""
    with np.load(folder / "samples.npz") as arrays:
        return {name: torch.tensor(arrays[name], dtype=torch.float32) for name in arrays}


def output_transforms(outputs: int) -> list[list[Any]]:
    """Return the transforms of the outputs that are tried, in the order of their cost."""
    transforms: list[list[Any]] = [[StandardizeTransform()]]
    if outputs > MANY_OUTPUTS:
        transforms.insert(0, [StandardizeTransform(), PCATransform(n_components=MANY_OUTPUTS)])
    return transforms


def fitted(samples: Samples, facts: dict[str, Any]) -> Iterator[tuple[float, str, Any]]:
    """Yield the score, name and emulator of each emulator; failures are noted in the facts.

    All are fitted with their default parameters first, which takes seconds, and then tuned.
    """
    for parameters, title in (({}, ""), (None, " tuned")):
        for transforms in output_transforms(samples["y"].shape[1]):
            for model in AutoEmulate.default_emulators():
                name = model.model_name() + " of components" * (len(transforms) > 1) + title
                started = time.perf_counter()
                try:
                    compared = AutoEmulate(
                        samples["x"],
                        samples["y"],
                        test_data=(samples["x_validation"], samples["y_validation"]),
                        models=[model],
                        y_transforms_list=[transforms],
                        model_params=parameters,
                        random_seed=0,
                        show_progress_bar=False,
                    )
                    result = compared.best_result()
                    score = next(iter(result.test_metrics.values()))[0]
                    facts["scores"][name] = score
                    yield score, name, result.model
                except Exception as error:  # noqa: BLE001 - the others may succeed
                    facts["failures"][name] = f"{type(error).__name__}: {str(error)[:200]}"
                facts["seconds"][name] = time.perf_counter() - started


def predict(emulator: Any, x: torch.Tensor) -> np.ndarray:
    """Return the mean prediction (n, o)."""
    with torch.no_grad():
        return emulator.predict_mean(x).reshape(len(x), -1).numpy()


def fit(folder: Path, limit_s: float) -> None:
    """Fit AutoEmulate's emulators and store the best of them.

    Args:
        folder: Folder with the samples, to which the results are written.
        limit_s: Time after which no emulator is fitted any more [s].
    """
    torch.set_num_threads(1)
    samples = load_samples(folder)
    facts: dict[str, Any] = {"failures": {}, "scores": {}, "seconds": {}, "emulator": None}
    best: tuple[float, str, Any] = (-math.inf, "", None)
    started = time.perf_counter()
    signal.signal(signal.SIGALRM, raise_out_of_time)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        for candidate in fitted(samples, facts):
            best = max(best, candidate, key=lambda scored: scored[0])
    except OutOfTimeError:
        facts["failures"]["all others"] = f"not fitted within {limit_s:.0f} s"
    signal.setitimer(signal.ITIMER_REAL, 0.0)
    facts["found_s"] = time.perf_counter() - started
    if best[2] is not None:
        facts["emulator"] = best[1]
        joblib.dump(best[2], folder / "emulator.joblib")
        np.savez(folder / "predictions.npz", y_test=predict(best[2], samples["x_test"]))
    (folder / "result.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")


def answer_with_times(folder: Path) -> None:
    """Print the processor time of a call [s] for each line of the standard input."""
    torch.set_num_threads(1)
    emulator, call = joblib.load(folder / "emulator.joblib"), load_samples(folder)["x_call"].numpy()

    def block_s(repeats: int) -> float:
        started = time.process_time()
        for _ in range(repeats):
            predict(emulator, torch.from_numpy(call))
        return time.process_time() - started

    block_s(2)
    repeats = max(1, math.ceil(BLOCK_S / max(block_s(1), 1e-6)))
    for _ in sys.stdin:
        print(block_s(repeats) / repeats, flush=True)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")  # of emulators that converge late
    if sys.argv[1] == "fit":
        fit(Path(sys.argv[2]), float(sys.argv[3]))
    else:
        answer_with_times(Path(sys.argv[2]))
