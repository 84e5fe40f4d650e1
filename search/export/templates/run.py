"""Call the network of an artefact without simstead: only NumPy and the runtime are needed.

`python run.py` calls the network with the recorded inputs, compares its outputs with the recorded
ones, and times a call. A host loads the network once and calls it:

    from run import load_network

    network = load_network()
    outputs = network(inputs)  # float32: inputs (n, ...) -> outputs (n, o)

Inputs and outputs are scaled as in training; encoding and decoding are left to the host. A sample
with an input that isn't finite has NaN as its outputs. Noise, if
the network reads any, comes last in the inputs of each sample. An ensemble is the mean of networks;
`load_members()` returns each of these, from whose decoded outputs a host computes the spread.
"""

import hashlib
import json
import math
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
"""Calls before the timing."""

TIMED_S = 0.5
"""Duration of the timing [s]."""


class CallSizes(NamedTuple):
    """Properties of a call.

    Args:
        device: "cpu" or "cuda".
        precision: Number format of the network.
        batch: Samples in a call.
        further_batches: Numbers of samples for which the artefact has files of their own.
        inputs: Shape of the inputs of one sample.
        outputs: Outputs of one sample.
        threads: Threads of a call.
        tolerance: Largest relative distance between recorded and computed outputs.
        members: Number of stored members of an ensemble.
        members_batch: Samples in a call of a member.
    """

    device: str
    precision: str
    batch: int
    further_batches: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: int
    threads: int
    tolerance: float
    members: int = 0
    members_batch: int = 0


def read_call_sizes(artefact: Path) -> CallSizes:
    """Return the properties of a call, from the manifest of an artefact."""
    manifest = json.loads((artefact / "manifest.json").read_text(encoding="utf-8"))
    *axes, channels = manifest["network_inputs"]
    spread = manifest.get("spread")
    return CallSizes(
        device="cuda" if manifest["candidate"]["runtime"].endswith("-cuda") else "cpu",
        precision=manifest["candidate"]["precision"],
        batch=manifest["batch"],
        further_batches=tuple(
            batch
            for batch in manifest.get("further_batches", ())
            if (artefact / f"batch-{batch}").is_dir()
        ),
        inputs=(*axes, channels + manifest["noise"]),
        outputs=manifest["network_outputs"],
        threads=manifest["threads"],
        tolerance=manifest["tolerance"],
        members=len(manifest["candidate"]["ensemble_seeds"]) if spread else 0,
        members_batch=spread["batch"] if spread else 0,
    )


def verify(artefact: Path) -> None:
    """Compare the files of an artefact with the hashes in its manifest.

    Raises:
        ValueError: A file is missing or was altered.
    """
    manifest = json.loads((artefact / "manifest.json").read_text(encoding="utf-8"))
    for name, expected in manifest["files"].items():
        file = artefact / name
        if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            raise ValueError(f"{file} is missing or was altered; export it again")


def load_network(artefact: Path = ARTEFACT) -> Call:
    """Return the network as a function from inputs (n, ...) to outputs (n, o), in float32.

    The function calls the network with the batches for which it was lowered: samples that are left
    over go into the smallest batch that fits, filled with zeros. It must not be called by two
    threads at once. PyTorch's runtimes set the number of threads of the process.

    Raises:
        ValueError: A file of the artefact is missing or was altered.
    """
    verify(artefact)
    call_sizes = read_call_sizes(artefact)
    load = runpy.run_path(str(artefact / HERE.name / "runtime.py"))["load"]
    calls: dict[int, Call] = {
        batch: load(artefact / f"batch-{batch}", call_sizes._replace(batch=batch))
        for batch in call_sizes.further_batches
    }
    calls[call_sizes.batch] = load(artefact, call_sizes)
    return for_any_batch(calls, call_sizes)


def load_members(artefact: Path = ARTEFACT) -> list[Call]:
    """Return the members of an ensemble, each as `load_network` returns the mean.

    Raises:
        ValueError: A file of the artefact is missing or was altered, or it has no members.
    """
    verify(artefact)
    call_sizes = read_call_sizes(artefact)
    if not call_sizes.members:
        raise ValueError(f"{artefact} is one network, or an ensemble without its members")
    load = runpy.run_path(str(artefact / HERE.name / "runtime.py"))["load"]
    call_sizes = call_sizes._replace(batch=call_sizes.members_batch)
    members: list[Call] = []
    for number in range(call_sizes.members):
        program = artefact / HERE.name / "members" / str(number)
        folder = program if program.is_dir() else artefact / "members" / str(number)
        members.append(for_any_batch({call_sizes.batch: load(folder, call_sizes)}, call_sizes))
    return members


def for_any_batch(calls: dict[int, Call], call_sizes: CallSizes) -> Call:
    """Return a function of inputs (n, ...) that calls a network with the batches it was made for.

    Outputs are NaN for samples of which an input isn't finite.

    Args:
        calls: Functions of exactly one batch, by its number of samples.
        call_sizes: Shapes of inputs and outputs.
    """
    batches = sorted(calls)

    def network(inputs: Array) -> Array:
        if np.asarray(inputs).dtype.kind not in "fiub":
            raise ValueError(f"inputs are {np.asarray(inputs).dtype}; give real numbers")
        inputs = np.asarray(inputs, dtype=np.float32, order="C")
        if not inputs.ndim or inputs.shape[1:] != call_sizes.inputs:
            raise ValueError(f"inputs are {inputs.shape}, not {('n', *call_sizes.inputs)}")
        # A NaN or an infinity is in the sum of squares, too, which is the fastest test of all.
        if math.isfinite(np.vdot(inputs, inputs)):
            return finite_network(inputs)
        valid = np.asarray(np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1))
        shape = (len(inputs), *[1] * (inputs.ndim - 1))
        outputs = finite_network(np.where(valid.reshape(shape), inputs, np.float32(0.0)))
        return np.where(valid[:, None], outputs, np.float32(np.nan))

    def finite_network(inputs: Array) -> Array:
        if len(inputs) in calls:
            return calls[len(inputs)](inputs)
        outputs = [np.empty((0, call_sizes.outputs), dtype=np.float32)]
        first = 0
        while first < len(inputs):
            size = next((n for n in batches if n >= len(inputs) - first), batches[-1])
            chunk = inputs[first : first + size]
            batch = np.zeros((size, *call_sizes.inputs), dtype=np.float32)
            batch[: len(chunk)] = chunk
            outputs.append(calls[size](batch)[: len(chunk)])
            first += size
        return np.concatenate(outputs)

    return network


def examples(artefact: Path = ARTEFACT) -> tuple[Array, Array]:
    """Return the recorded inputs (batch, ...) and outputs (batch, o) of one call."""
    call_sizes = read_call_sizes(artefact)
    folder = artefact / HERE.name
    inputs = np.fromfile(folder / "inputs.bin", "<f4").reshape(call_sizes.batch, *call_sizes.inputs)
    outputs = np.fromfile(folder / "answers.bin", "<f4").reshape(
        call_sizes.batch, call_sizes.outputs
    )
    return inputs, outputs


def seconds_per_call(network: Call, inputs: Array) -> float:
    """Return the mean time of a call [s]."""
    for _ in range(WARM_UP):
        network(inputs)
    calls, started = 0, time.perf_counter()
    while (elapsed_s := time.perf_counter() - started) < TIMED_S:
        network(inputs)
        calls += 1
    return elapsed_s / calls


def main() -> int:
    """Call the network with the recorded inputs; return 0 if the outputs agree, else 1."""
    network = load_network()
    inputs, recorded = examples()
    outputs = network(inputs)
    distance = float(np.linalg.norm(outputs - recorded) / np.linalg.norm(recorded))
    identical = np.array_equal(outputs, recorded)
    sys.stdout.write(
        f"{'bit for bit' if identical else f'{distance:.3g} away'}, "
        f"{1e6 * seconds_per_call(network, inputs):.2f} us a call of {len(inputs)}\n"
    )
    return 0 if identical or distance <= read_call_sizes(ARTEFACT).tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
