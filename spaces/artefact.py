"""A lowered network on disk: what was measured is what is exported.

A folder of the runtime's own files, the encoding's statistics and some recorded answers
(safetensors), and a manifest with the hash of each. Nothing in it is pickled. Loading verifies the
hashes, which tell damage, not malice: an AOTInductor package is machine code, so load only
artefacts that you trust.
"""

import math
import os
import platform
import shutil
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from problems import Array, Batch, Encoding, Pairs, Problem, Surrogate
from problems.data.dataset import reference_digest
from problems.interfaces.types import take_samples
from spaces.architectures import Shape
from spaces.candidate import Candidate
from spaces.manifest import FORMAT_VERSION, MANIFEST, FieldSpec, Manifest, sha256
from spaces.precision import NUMBER_FORMATS, relative_distance
from spaces.registered import RUNTIMES
from spaces.runtimes import FixedBatchPredictor, Lowering

STATISTICS = "encoding.safetensors"

EXAMPLES = "examples.safetensors"
"""One call of the network as recorded: inputs (b, ...) and answers (b, o), float32; what is loaded
is held against it."""

PREDICTIONS = "predictions.safetensors"
"""A run of the surrogate as recorded: "inputs." and "outputs." and each field's name. What is drawn
at random is that of `numpy.random.default_rng(0)`."""

RECORDED_SAMPLES = 4
"""Samples whose predictions an artefact carries."""

LIBRARIES = ("simstead", "torch", "onnxruntime", "openvino", "nncf", "tensorrt", "zuko", "numpy")
"""Whose versions an artefact tells, where they are installed."""

CALIBRATION_BATCHES, CALIBRATION_SAMPLES = 4, 256
"""Quantisation takes its ranges from so many calls' worth of training inputs, and no fewer samples:
from four of them a network's int8 was ten times as far off on others as on those."""


def calibration_inputs(pairs: Pairs, batch: int, noise: int = 0) -> Tensor:
    """Return training inputs (n, ...), n a multiple of `batch`, spread evenly over the pairs.

    Where the network reads noise it is drawn beside them, always the same.
    """
    n = batch * max(CALIBRATION_BATCHES, math.ceil(CALIBRATION_SAMPLES / batch))
    spread = np.linspace(0, len(pairs.inputs) - 1, n).astype(int)
    chosen = torch.from_numpy(pairs.inputs[spread])
    if not noise:
        return chosen
    drawn = torch.randn(n, noise, generator=torch.Generator().manual_seed(0))
    return torch.cat([chosen, drawn], dim=1)


class DisagreementError(Exception):
    """A lowered network is farther from the float32 network than its precision allows."""


class TrainedNetwork(NamedTuple):
    """A network with what is needed to deploy it.

    Args:
        network: On the CPU.
        encoding: With its statistics.
        shape: What the network reads and answers.
        noise: How many normal numbers it reads besides.
        calibration: Training inputs (n, ...) float32, noise and all.
        samples: Physical inputs whose predictions are recorded.
    """

    network: nn.Module
    encoding: Encoding
    shape: Shape
    noise: int
    calibration: Tensor
    samples: Batch


class Artefact(NamedTuple):
    """An artefact that was just written, and the surrogate that its files were loaded into."""

    manifest: Manifest
    surrogate: Surrogate


def write_artefact(  # noqa: PLR0913 - what is deployed, whose it is, where
    trained: TrainedNetwork,
    candidate: Candidate,
    problem: Problem,
    folder: Path,
    source: str = "",
    *,
    timing_only: bool = False,
) -> Artefact:
    """Lower a trained network into `folder`, which then holds all of it or doesn't exist.

    What is returned beside the manifest is loaded from the files: loading again may take a compiler
    seconds.

    Args:
        trained: The network and what deploys it.
        candidate: Whose it is.
        problem: What it stands in for.
        folder: Replaced if it exists.
        source: What the user names the problem by, if not by its registered name.
        sketch: Whether its weights are random, so that it is timed and thrown away: what it
            predicts, and how far that is from float32, says nothing and needn't outlast a crash.

    Raises:
        DisagreementError: The lowered network left its precision's tolerance.
    """
    network, encoding, shape, noise, calibration, _ = trained
    network.eval()
    batch, threads = problem.deployment.batch, problem.deployment.threads
    lowering = Lowering(candidate, shape, noise, batch, threads)
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        runtime = RUNTIMES[candidate.runtime]
        runtime.lower(network, calibration, lowering, partial)
        save_file(_contiguous(encoding.statistics), partial / STATISTICS)
        lowered = FixedBatchPredictor(runtime.load(partial, lowering), batch)
        disagreement = _disagreement(trained, lowered)
        surrogate = Surrogate(encoding, lowered, noise)
        _record_answers(trained, lowered, batch, partial)
        if not timing_only:
            _refuse_disagreement(disagreement, candidate)
            _record_predictions(trained, surrogate, partial)
        manifest = Manifest(
            format=FORMAT_VERSION,
            candidate=candidate,
            source=source or candidate.problem,
            simulation=reference_digest(problem),
            network_inputs=shape.inputs,
            network_outputs=shape.outputs,
            noise=noise,
            layout=shape.layout,
            target=shape.target,
            aligned=shape.aligned,
            batch=batch,
            threads=threads,
            tolerance=NUMBER_FORMATS[candidate.precision].tolerance,
            disagreement=disagreement,
            parameters=sum(weight.numel() for weight in network.parameters()),
            zeros=sum(int((weight == 0).sum()) for weight in network.parameters()),
            inputs=FieldSpec.of(problem.inputs),
            outputs=FieldSpec.of(problem.outputs),
            files={path.name: sha256(path) for path in sorted(partial.iterdir())},
            versions=_installed(),
            machine=platform.machine(),
            bound_to=runtime.bound_to(),
        )
        (partial / MANIFEST).write_text(manifest.model_dump_json(indent=1))
        if not timing_only:
            _to_disk(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Artefact(manifest, surrogate)


def _installed() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):  # TensorRT is an extra
            found[name] = version(name)
    return found


def _disagreement(trained: TrainedNetwork, lowered: FixedBatchPredictor) -> float:
    """Return how far the lowered network is from the float32 network on calibration inputs."""
    with torch.inference_mode():
        exact = trained.network(trained.calibration).numpy()
    return relative_distance(lowered(trained.calibration.numpy()), exact)


def _refuse_disagreement(distance: float, candidate: Candidate) -> None:
    tolerance = NUMBER_FORMATS[candidate.precision].tolerance
    if not distance <= tolerance:
        raise DisagreementError(
            f"lowered to {candidate.runtime} in {candidate.precision}, the network is "
            f"{distance:.2g} from float32; {tolerance:g} is allowed"
        )


def _record_answers(
    trained: TrainedNetwork, lowered: FixedBatchPredictor, batch: int, folder: Path
) -> None:
    """Write what the lowered network answers here."""
    inputs = trained.calibration[:batch].numpy()
    save_file(_contiguous({"inputs": inputs, "answers": lowered(inputs)}), folder / EXAMPLES)


def _record_predictions(trained: TrainedNetwork, surrogate: Surrogate, folder: Path) -> None:
    """Write what the surrogate around it predicts here."""
    samples = take_samples(trained.samples, slice(RECORDED_SAMPLES))
    with np.errstate(all="ignore"):  # a network may overflow; that is recorded, too
        outputs = surrogate.run(samples, np.random.default_rng(0))
    named = {f"inputs.{name}": array for name, array in samples.items()}
    named |= {f"outputs.{name}": array for name, array in outputs.items()}
    save_file(_contiguous(named), folder / PREDICTIONS)


def _contiguous(arrays: Batch) -> dict[str, Array]:
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _to_disk(folder: Path) -> None:
    """Have every file on the disk before the record that names them is."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
