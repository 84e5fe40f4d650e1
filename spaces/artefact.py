"""Artefacts: lowered networks on disk, which are measured and then exported unchanged.

An artefact is a folder with the files of the runtime, the statistics of the encoding and some
recorded outputs (safetensors), and a manifest with the hash of each file. Nothing is pickled.
Loading verifies the hashes, which reveal damage but not malice: an AOTInductor package is machine
code, so load only artefacts that you trust.
"""

import math
import os
import platform
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor, nn

from problems import Array, Batch, Encoding, Pairs, Problem
from problems.data.dataset import reference_digest
from problems.interfaces.types import EncodedNetwork, take_samples
from spaces.architectures import Shape
from spaces.call_size import call_size, inputs_per_sample
from spaces.candidate import Candidate
from spaces.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    FieldSpec,
    Manifest,
    artefact_files,
    sha256,
)
from spaces.members import EnsembleMembers, write_members
from spaces.precision import NUMBER_FORMATS, relative_distance
from spaces.registered import RUNTIMES
from spaces.runtimes import FixedBatchPredictor, Lowering, whole_calls

STATISTICS = "encoding.safetensors"
RANGES = "ranges.safetensors"
"""The training range of each input field; artefacts of earlier versions have none."""

EXAMPLES = "examples.safetensors"
"""A recorded call of the network: "inputs" (b, ...) and "answers" (b, o), float32. A loaded network
is compared with it."""

PREDICTIONS = "predictions.safetensors"
"""A recorded call of the surrogate: arrays named "inputs." or "outputs." followed by the field's
name. Random numbers are those of `numpy.random.default_rng(0)`."""

RECORDED_SAMPLES = 4
"""Number of samples whose predictions are recorded in an artefact."""

LIBRARIES = ("simstead", "torch", "onnxruntime", "openvino", "nncf", "tensorrt", "zuko", "numpy")
"""Libraries whose versions are recorded in an artefact, if they are installed."""

CALIBRATION_BATCHES, CALIBRATION_SAMPLES = 4, 256
"""Smallest numbers of calls and of samples from which quantisation takes its ranges. With ranges
from four samples, a network's int8 error was ten times as large on other samples as on those."""


def calibration_inputs(pairs: Pairs, batch: int, noise: int = 0) -> Tensor:
    """Return training inputs (n, ...), spread evenly over the pairs, with noise if any.

    Args:
        pairs: The training pairs.
        batch: Samples per call; n is a multiple of it.
        noise: Normal random numbers that the network reads after the inputs; always the same ones.
    """
    n = batch * max(CALIBRATION_BATCHES, math.ceil(CALIBRATION_SAMPLES / batch))
    rows = np.linspace(0, len(pairs.inputs) - 1, n).astype(int)
    inputs = torch.from_numpy(pairs.inputs[rows])
    if not noise:
        return inputs
    numbers = torch.randn(n, noise, generator=torch.Generator().manual_seed(0))
    return torch.cat([inputs, numbers], dim=1)


class DisagreementError(Exception):
    """A lowered network differs more from the float32 network than its precision allows."""


class TrainedNetwork(NamedTuple):
    """A trained network with everything that is needed to deploy it.

    Args:
        network: The network, on the CPU.
        encoding: The encoding with its statistics.
        shape: Shape of the network's inputs and outputs.
        noise: Normal random numbers that the network reads after the inputs.
        calibration: Training inputs (n, ...) float32, including noise.
        samples: Inputs in physical units whose predictions are recorded.
        members: The members of an ensemble, if the network is the mean of some.
        ranges: Smallest and largest training value (2, ...) by name of the input field.
    """

    network: nn.Module
    encoding: Encoding
    shape: Shape
    noise: int
    calibration: Tensor
    samples: Batch
    members: EnsembleMembers | None = None
    ranges: Batch | None = None


class Artefact(NamedTuple):
    """The manifest of an artefact that was just written, and the surrogate from its files."""

    manifest: Manifest
    surrogate: EncodedNetwork


def write_artefact(  # noqa: PLR0913 - the network, its candidate and problem, the folder
    trained: TrainedNetwork,
    candidate: Candidate,
    problem: Problem,
    folder: Path,
    source: str = "",
    *,
    timing_only: bool = False,
) -> Artefact:
    """Lower a trained network into `folder` and return the artefact; on failure write nothing.

    The returned surrogate is loaded from the files, since loading them again may take a compiler
    seconds.

    Args:
        trained: The network with its encoding and shapes.
        candidate: The candidate that the network belongs to.
        problem: The problem.
        folder: The folder of the artefact; replaced if it exists.
        source: How the user names the problem, if not by its registered name.
        timing_only: Whether the weights are random, so that the artefact is timed and then deleted.
            It is lowered for the batch size of the search alone, its predictions aren't recorded or
            compared with float32, the files needn't survive a crash, and no members are stored.

    Raises:
        DisagreementError: The lowered network exceeds the tolerance of its precision.
    """
    network, encoding, shape, noise = (
        trained.network,
        trained.encoding,
        trained.shape,
        trained.noise,
    )
    network.eval()
    deployment = problem.deployment
    per_sample = inputs_per_sample(encoding, trained.samples)
    batch = call_size(deployment.batch, per_sample)
    batches = sorted({call_size(samples, per_sample) for samples in deployment.batches})
    lowering = Lowering(candidate, shape, noise, batch, deployment.threads)
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(exist_ok=True)  # but no run directory, where a machine doesn't see it
    partial.mkdir()
    try:
        runtime = RUNTIMES[candidate.runtime]
        further = () if timing_only else runtime.further_batches(batches, batch)
        lowered = _lower(trained, lowering, further, partial)
        save_file(_contiguous(encoding.statistics), partial / STATISTICS)
        if trained.ranges is not None and not timing_only:
            save_file(_contiguous(trained.ranges), partial / RANGES)
        disagreement = _disagreement(trained, lowered)
        surrogate = EncodedNetwork(encoding, lowered, noise)
        _record_call(trained, lowered, partial)
        if not timing_only:
            _check_disagreement(disagreement, candidate)
            _record_predictions(trained, surrogate, partial)
        spread = None
        if trained.members is not None and not timing_only:
            member_lowering = replace(lowering, batch=max(batch, *further, 1))
            spread = write_members(
                trained.members, surrogate, trained.calibration, member_lowering, partial
            )
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
            further_batches=further,
            threads=deployment.threads,
            tolerance=NUMBER_FORMATS[candidate.precision].tolerance,
            disagreement=disagreement,
            parameters=sum(weight.numel() for weight in network.parameters()),
            zeros=sum(int((weight == 0).sum()) for weight in network.parameters()),
            inputs=FieldSpec.of(problem.inputs),
            outputs=FieldSpec.of(problem.outputs),
            files={name: sha256(path) for name, path in artefact_files(partial).items()},
            versions=_library_versions(),
            spread=spread,
            machine=platform.machine(),
            bound_to=runtime.bound_to(),
        )
        (partial / MANIFEST).write_text(manifest.model_dump_json(indent=1))
        if not timing_only:
            _sync_files(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Artefact(manifest, surrogate)


def _lower(
    trained: TrainedNetwork, lowering: Lowering, further_batches: Sequence[int], folder: Path
) -> FixedBatchPredictor:
    """Write the files of the runtime for every batch size, and return the network they hold."""
    runtime = RUNTIMES[lowering.candidate.runtime]
    network, calibration = trained.network, trained.calibration
    runtime.lower(network, whole_calls(calibration, lowering.batch), lowering, folder)
    for batch in further_batches:
        runtime.lower_further(network, calibration, replace(lowering, batch=batch), folder)
    return runtime.load_all(folder, lowering, further_batches)


def _library_versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):  # TensorRT is an extra
            versions[name] = version(name)
    return versions


def _disagreement(trained: TrainedNetwork, lowered: FixedBatchPredictor) -> float:
    """Return the relative L2 distance from the float32 network on calibration inputs.

    It is the largest of those of all batch sizes.
    """
    with torch.inference_mode():
        exact = trained.network(trained.calibration).numpy()
    inputs = trained.calibration.numpy()
    distances = [relative_distance(network(inputs), exact) for network in lowered.by_batch()]
    return float(np.max(distances))  # NaN if one of them is


def _check_disagreement(distance: float, candidate: Candidate) -> None:
    tolerance = NUMBER_FORMATS[candidate.precision].tolerance
    if not distance <= tolerance:
        raise DisagreementError(
            f"lowered to {candidate.runtime} in {candidate.precision}, the network differs from "
            f"float32 by {distance:.3g} (relative); {tolerance:g} is allowed"
        )


def _record_call(trained: TrainedNetwork, lowered: FixedBatchPredictor, folder: Path) -> None:
    """Write the inputs and outputs of one call of the lowered network."""
    inputs = whole_calls(trained.calibration, lowered.batch)[: lowered.batch].numpy()
    save_file(_contiguous({"inputs": inputs, "answers": lowered(inputs)}), folder / EXAMPLES)


def _record_predictions(trained: TrainedNetwork, surrogate: EncodedNetwork, folder: Path) -> None:
    """Write the inputs and outputs of one call of the surrogate."""
    samples = take_samples(trained.samples, slice(RECORDED_SAMPLES))
    with np.errstate(all="ignore"):  # overflows of a network are recorded, too
        outputs = surrogate.run(samples, np.random.default_rng(0))
    arrays = {f"inputs.{name}": array for name, array in samples.items()}
    arrays |= {f"outputs.{name}": array for name, array in outputs.items()}
    save_file(_contiguous(arrays), folder / PREDICTIONS)


def _contiguous(arrays: Batch) -> dict[str, Array]:
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _sync_files(folder: Path) -> None:
    """Flush every file to disk, before the record that names them is written."""
    for path in (folder / MANIFEST, *artefact_files(folder).values()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
