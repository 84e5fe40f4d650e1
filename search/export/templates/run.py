"""Call an artefact's network without simstead: NumPy and its runtime are all that this needs.

`python run.py` answers the recorded examples, says how far that is from what was recorded where
the artefact was written, and times a call. A host loads the network once and calls it:

    from run import load_network

    network = load_network()
    answers = network(inputs)  # float32: inputs (n, ...) as the network reads them -> (n, o)

Numbers go in and come out scaled as in training, and noise, where the network reads it, is the
last of every sample's inputs. Encoding and decoding are the problem's.
"""

import hashlib
import json
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

HERE = Path(__file__).resolve().parent
ARTEFACT = HERE.parent

Array = np.ndarray[Any, Any]
Call = Callable[[Array], Array]

WARM_UP = 20
"""Calls before any is timed."""

TIMED_S = 0.5
"""How long calls are timed for."""


class Facts(NamedTuple):
    """What the manifest says of a call: samples, what one reads and answers, threads and so on."""

    device: str
    precision: str
    batch: int
    reads: tuple[int, ...]
    outputs: int
    threads: int
    tolerance: float


def read_facts(artefact: Path) -> Facts:
    """Return what an artefact's manifest says of a call."""
    manifest = json.loads((artefact / "manifest.json").read_text(encoding="utf-8"))
    *axes, channels = manifest["network_inputs"]
    return Facts(
        device="cuda" if manifest["candidate"]["runtime"].endswith("-cuda") else "cpu",
        precision=manifest["candidate"]["precision"],
        batch=manifest["batch"],
        reads=(*axes, channels + manifest["noise"]),
        outputs=manifest["network_outputs"],
        threads=manifest["threads"],
        tolerance=manifest["tolerance"],
    )


def refuse_altered(artefact: Path) -> None:
    """Hold the artefact's files against the hashes in its manifest."""
    manifest = json.loads((artefact / "manifest.json").read_text(encoding="utf-8"))
    for name, expected in manifest["files"].items():
        file = artefact / Path(name).name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise ValueError(f"{file} is missing or was altered; export it again")


def load_network(artefact: Path = ARTEFACT) -> Call:
    """Return the network as a function of inputs (n, ...), answers (n, o), float32, n at least one.

    It is called in portions of the batch that it was lowered for, the last one filled with zeros.
    It isn't to be called by two threads at once; PyTorch's runtimes set the process's threads.

    Raises:
        ValueError: A file of the artefact isn't what its manifest says.
    """
    refuse_altered(artefact)
    facts = read_facts(artefact)
    call: Call = runpy.run_path(str(artefact / HERE.name / "runtime.py"))["load"](artefact, facts)

    def network(inputs: Array) -> Array:
        inputs = np.ascontiguousarray(inputs, dtype=np.float32)
        if inputs.shape[1:] != facts.reads:
            raise ValueError(f"inputs are {inputs.shape}, not {('n', *facts.reads)}")
        if len(inputs) == facts.batch:
            return call(inputs)
        answers: list[Array] = []
        for first in range(0, len(inputs), facts.batch):
            portion = inputs[first : first + facts.batch]
            filled = np.zeros((facts.batch, *facts.reads), dtype=np.float32)
            filled[: len(portion)] = portion
            answers.append(call(filled)[: len(portion)])
        return np.concatenate(answers)

    return network


def examples(artefact: Path = ARTEFACT) -> tuple[Array, Array]:
    """Return the inputs of one call (batch, ...) and what was answered to them (batch, o)."""
    facts = read_facts(artefact)
    folder = artefact / HERE.name
    inputs = np.fromfile(folder / "inputs.bin", "<f4").reshape(facts.batch, *facts.reads)
    answers = np.fromfile(folder / "answers.bin", "<f4").reshape(facts.batch, facts.outputs)
    return inputs, answers


def seconds_per_call(network: Call, inputs: Array) -> float:
    """Return the mean time of a call."""
    for _ in range(WARM_UP):
        network(inputs)
    calls, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < TIMED_S:
        network(inputs)
        calls += 1
    return passed / calls


def main() -> int:
    """Answer the examples; return 0 where that is what was recorded, within the tolerance."""
    network = load_network()
    inputs, recorded = examples()
    answers = network(inputs)
    distance = float(np.linalg.norm(answers - recorded) / np.linalg.norm(recorded))
    same = np.array_equal(answers, recorded)
    sys.stdout.write(
        f"{'bit for bit' if same else f'{distance:.3g} away'}, "
        f"{1e6 * seconds_per_call(network, inputs):.2f} us a call of {len(inputs)}\n"
    )
    return 0 if same or distance <= read_facts(ARTEFACT).tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
