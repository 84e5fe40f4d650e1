"""The manifest of an artefact: its candidate, fields and shapes, and the hashes of its files."""

import hashlib
from pathlib import Path

from problems import Field, Layout, Problem, Target, UserError
from problems.data.dataset import reference_digest
from problems.provenance import digest
from spaces.architectures import Shape
from spaces.candidate import Candidate, FrozenModel
from spaces.runtimes import Lowering
from spaces.spread import SpreadCalibration

MANIFEST = "manifest.json"

USAGE, USAGE_FOLDER = "README.md", "use"
"""A file and a folder that an export adds to an artefact; they aren't part of the artefact."""

FORMAT_VERSION = 5

WITHOUT_MEMBERS = 4
"""A format of ensembles that are stored without their members, and so have no spread."""

ONE_BATCH = 3
"""A format of artefacts that are lowered for one batch size."""

NAMED_BY_PATH = 2
"""A format whose hash of the simulation included the path of its class. That hash is useless now,
so the fields are compared in its place."""


class FieldSpec(FrozenModel):
    """Name, shape and unit of a field of the problem."""

    name: str
    shape: tuple[int, ...]
    unit: str

    @classmethod
    def of(cls, fields: tuple[Field, ...]) -> "tuple[FieldSpec, ...]":
        """Return the specifications of fields."""
        return tuple(cls(name=field.name, shape=field.shape, unit=field.unit) for field in fields)


class Manifest(FrozenModel):
    """The description of an artefact.

    Args:
        format: Version of the manifest's format.
        candidate: The candidate that was built.
        source: How the user named the problem: its registered name, or a file or module.
        simulation: Hash of the reference: of a simulation's parameters, or of files.
        network_inputs: Shape of one sample as the network reads it, without noise.
        network_outputs: Number of the network's outputs.
        noise: Normal random numbers read after the inputs, to draw a sample of a distribution.
        layout: Layout of the network's inputs.
        target: What the network predicts.
        aligned: Whether the outputs lie on the places of the inputs.
        batch: Inputs of the network per call, as in the timing of the search: those of the samples
            of a call, or an even part of them.
        further_batches: Further batch sizes for which the network is lowered.
        threads: Threads per call.
        tolerance: Largest disagreement that the precision allows.
        disagreement: Relative L2 distance from the float32 network on calibration inputs.
        parameters: Number of weights of the lowered network.
        zeros: Number of weights that are zero.
        inputs: Fields that the surrogate reads.
        outputs: Fields that the surrogate returns.
        files: SHA-256 of every other file, by name.
        versions: Versions of the libraries that wrote the artefact, by name.
        spread: Calibration of the spread between the members of an ensemble; None for one network.
        machine: Processor architecture on which the network was lowered.
        bound_to: Instruction sets, or the kind of GPU, for which the network was compiled.
    """

    format: int
    candidate: Candidate
    source: str
    simulation: str
    network_inputs: tuple[int, ...]
    network_outputs: int
    noise: int
    layout: Layout
    target: Target
    aligned: bool
    batch: int
    further_batches: tuple[int, ...] = ()
    threads: int
    tolerance: float
    disagreement: float
    parameters: int
    zeros: int
    inputs: tuple[FieldSpec, ...]
    outputs: tuple[FieldSpec, ...]
    files: dict[str, str]
    versions: dict[str, str]
    spread: SpreadCalibration | None = None
    machine: str
    bound_to: tuple[str, ...]

    def stands_in_for(self, problem: Problem) -> bool:
        """Return whether the artefact was made for this simulation or these recorded files."""
        if self.format == NAMED_BY_PATH:
            fields = FieldSpec.of(problem.inputs), FieldSpec.of(problem.outputs)
            return (self.inputs, self.outputs) == fields
        return self.simulation == reference_digest(problem)

    @property
    def lowering(self) -> Lowering:
        """The lowering with which the runtime loads the network."""
        shape = Shape(
            self.layout, self.target, self.network_inputs, self.network_outputs, self.aligned
        )
        return Lowering(self.candidate, shape, self.noise, self.batch, self.threads)

    @property
    def hash(self) -> str:
        """Hash of the manifest, and so of all files whose hashes it holds."""
        added = {"spread"} if self.format <= WITHOUT_MEMBERS else set[str]()
        if self.format <= ONE_BATCH:
            added.add("further_batches")
        return digest(self.model_dump(mode="json", exclude=added))


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of an artefact after verifying the hash of every file.

    Raises:
        UserError: A file is missing, altered or added, or the format is unknown.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is not an artefact: it has no {MANIFEST}")
    manifest = Manifest.read(path)
    if manifest.format not in range(NAMED_BY_PATH, FORMAT_VERSION + 1):
        raise UserError(
            f"{path} has format {manifest.format}; this simstead reads {NAMED_BY_PATH} to "
            f"{FORMAT_VERSION}"
        )
    present = artefact_files(folder)
    for name in present.keys() | manifest.files.keys():
        if name not in present or sha256(present[name]) != manifest.files.get(name):
            raise UserError(
                f"{folder / name} is missing or was altered; export it again from its run"
            )
    return manifest


def artefact_files(folder: Path) -> dict[str, Path]:
    """Return the files of an artefact except its manifest, by their names within its folder."""
    files = {
        file.relative_to(folder).as_posix(): file
        for file in sorted(folder.rglob("*"))
        if not file.is_dir() and file.relative_to(folder).parts[0] != USAGE_FOLDER
    }
    return {name: file for name, file in files.items() if name not in {MANIFEST, USAGE}}


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
