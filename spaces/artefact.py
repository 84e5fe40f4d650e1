"""A lowered network on disk: what was measured is what is exported.

A folder of the runtime's own files, the encoding's statistics (safetensors) and a manifest with
the hash of each. Nothing in it is pickled. Loading verifies the hashes, which tell damage, not
malice: an AOTInductor package is machine code, so load only artefacts that you trust.
"""

import hashlib
import os
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from problems import Array, Encoding, Field, Pairs, Problem, Surrogate, UserError
from problems.dataset import origin
from problems.provenance import digest
from spaces.architectures import Shape
from spaces.candidate import Candidate, Frozen
from spaces.precision import FORMATS
from spaces.registered import RUNTIMES
from spaces.runtimes import InPortions, Lowering

MANIFEST = "manifest.json"
STATISTICS = "encoding.safetensors"
USAGE = "README.md"
"""A page that an export adds; it isn't part of the artefact."""

FORMAT = 1
LIBRARIES = ("torch", "onnxruntime", "openvino", "nncf", "numpy")


class FieldFacts(Frozen):
    """A field of the problem as the manifest states it."""

    name: str
    shape: tuple[int, ...]
    unit: str


class Manifest(Frozen):
    """What an artefact is.

    Args:
        format: Version of this layout.
        candidate: What was built.
        simulation: Hash of what it stands in for: a simulation's parameters, or files.
        network_inputs: Shape of one sample as the network reads it.
        network_outputs: Number of the network's outputs.
        batch: Samples per call.
        threads: Threads per call.
        tolerance: Largest disagreement that its precision allows.
        disagreement: Relative L2 distance from the float32 network on calibration inputs.
        parameters: Weights of the network that was lowered.
        inputs: Fields that the surrogate reads.
        outputs: Fields that it returns.
        files: SHA-256 of every other file.
        versions: Libraries that wrote it.
        machine: Processor architecture that it was compiled for.
    """

    format: int
    candidate: Candidate
    simulation: str
    network_inputs: tuple[int, ...]
    network_outputs: int
    batch: int
    threads: int
    tolerance: float
    disagreement: float
    parameters: int
    inputs: tuple[FieldFacts, ...]
    outputs: tuple[FieldFacts, ...]
    files: dict[str, str]
    versions: dict[str, str]
    machine: str

    @property
    def lowering(self) -> Lowering:
        """What the runtime needs to load it."""
        shape = Shape(self.network_inputs, self.network_outputs)
        return Lowering(self.candidate, shape, self.batch, self.threads)

    @property
    def hash(self) -> str:
        """One hash over all that decides the numbers: this manifest, files' hashes and all."""
        return digest(self.model_dump(mode="json"))


CALIBRATION_BATCHES = 4
"""How many calls' worth of training inputs quantisation takes its ranges from."""


def calibration_inputs(pairs: Pairs, batch: int) -> Tensor:
    """Return training inputs (n, ...), n a multiple of `batch`, spread evenly over the pairs."""
    n = CALIBRATION_BATCHES * batch
    spread = np.linspace(0, len(pairs.inputs) - 1, n).astype(int)
    return torch.from_numpy(pairs.inputs[spread])


class DisagreementError(Exception):
    """A lowered network is farther from the float32 network than its precision allows."""


class Trained(NamedTuple):
    """A network with what is needed to deploy it: calibration inputs are (n, ...) float32."""

    network: nn.Module
    encoding: Encoding
    calibration: Tensor


def write_artefact(
    trained: Trained, candidate: Candidate, problem: Problem, folder: Path
) -> Manifest:
    """Lower a trained network into `folder`, which then holds all of it or doesn't exist.

    Raises:
        DisagreementError: The lowered network left its precision's tolerance.
    """
    network, encoding, calibration = trained
    network.eval()
    batch, threads = problem.deployment.batch, problem.deployment.threads
    with torch.inference_mode():
        exact = network(calibration).numpy()
    shape = Shape(tuple(calibration.shape[1:]), exact.shape[1])
    lowering = Lowering(candidate, shape, batch, threads)
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        runtime = RUNTIMES[candidate.runtime]
        runtime.lower(network, calibration, lowering, partial)
        save_file(
            {k: np.ascontiguousarray(v) for k, v in encoding.statistics.items()},
            partial / STATISTICS,
        )
        lowered = InPortions(runtime.load(partial, lowering), batch)(calibration.numpy())
        manifest = Manifest(
            format=FORMAT,
            candidate=candidate,
            simulation=origin(problem),
            network_inputs=shape.inputs,
            network_outputs=shape.outputs,
            batch=batch,
            threads=threads,
            tolerance=FORMATS[candidate.precision].tolerance,
            disagreement=relative_distance(lowered, exact),
            parameters=sum(weight.numel() for weight in network.parameters()),
            inputs=_facts(problem.inputs),
            outputs=_facts(problem.outputs),
            files={path.name: _sha256(path) for path in sorted(partial.iterdir())},
            versions={name: version(name) for name in LIBRARIES},
            machine=platform.machine(),
        )
        _check_agreement(manifest)
        (partial / MANIFEST).write_text(manifest.model_dump_json(indent=1))
        _to_disk(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def _check_agreement(manifest: Manifest) -> None:
    distance, tolerance, candidate = manifest.disagreement, manifest.tolerance, manifest.candidate
    if not distance <= tolerance:
        raise DisagreementError(
            f"lowered to {candidate.runtime} in {candidate.precision}, the network is "
            f"{distance:.2g} from float32; {tolerance:g} is allowed"
        )


def _to_disk(folder: Path) -> None:
    """Have every file on the disk before the record that names them is."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def relative_distance(lowered: Array, exact: Array) -> float:
    """Return |lowered - exact| / |exact| in the L2 norm; NaN where a value isn't finite."""
    return float(np.linalg.norm(lowered - exact) / np.linalg.norm(exact))


def read_manifest(folder: Path) -> Manifest:
    """Return an artefact's manifest after verifying every file's hash.

    Raises:
        UserError: Something is missing, altered or from another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is no artefact: it has no {MANIFEST}")
    manifest = Manifest.read(path)
    if manifest.format != FORMAT:
        raise UserError(f"{path} has format {manifest.format}; this simstead reads {FORMAT}")
    there = {file.name for file in folder.iterdir()} - {MANIFEST, USAGE}
    for name in there | manifest.files.keys():
        file = folder / name
        if name not in there or _sha256(file) != manifest.files.get(name):
            raise UserError(f"{file} is missing or was altered; export it again from its run")
    return manifest


def load_surrogate(folder: Path, problem: Problem) -> Surrogate:
    """Return the surrogate that an artefact of this problem holds.

    PyTorch's runtimes set the process's number of threads to the artefact's.

    Raises:
        UserError: The artefact is damaged, or belongs to another problem or kind of machine.
    """
    manifest = read_manifest(folder)
    candidate = manifest.candidate
    if (candidate.problem, candidate.problem_version) != (problem.name, problem.version):
        raise UserError(
            f"{folder} was made for {candidate.problem} version {candidate.problem_version}, "
            f"not {problem.name} version {problem.version}"
        )
    if manifest.simulation != origin(problem):
        raise UserError(
            f"{folder} was made for {candidate.problem} at size {candidate.size}, "
            "whose simulation has other parameters; load that problem"
        )
    if not RUNTIMES[candidate.runtime].portable and manifest.machine != platform.machine():
        raise UserError(f"{folder} was compiled for {manifest.machine}; export on such a machine")
    recipe = problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
    encoding = recipe.restored(load_file(folder / STATISTICS))
    predict = RUNTIMES[candidate.runtime].load(folder, manifest.lowering)
    return Surrogate(encoding, InPortions(predict, manifest.batch))


def _facts(fields: tuple[Field, ...]) -> tuple[FieldFacts, ...]:
    return tuple(FieldFacts(name=f.name, shape=f.shape, unit=f.unit) for f in fields)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
