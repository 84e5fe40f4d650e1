"""What an artefact says of itself: what was built, what it reads and answers, its files' hashes."""

import hashlib
from pathlib import Path

from problems import Field, Layout, Problem, Target, UserError
from problems.data.dataset import origin
from problems.provenance import digest
from spaces.architectures import Shape
from spaces.candidate import Candidate, FrozenModel
from spaces.runtimes import Lowering

MANIFEST = "manifest.json"

USAGE, USAGE_FOLDER = "README.md", "use"
"""What an export puts beside an artefact's files; it isn't part of the artefact."""

FORMAT_VERSION = 3

NAMED_BY_PATH = 2
"""The format whose hash of the simulation was made with the path of its class: it says nothing now,
so the fields are compared in its place."""


class FieldSpec(FrozenModel):
    """A field of the problem as the manifest states it."""

    name: str
    shape: tuple[int, ...]
    unit: str

    @classmethod
    def of(cls, fields: tuple[Field, ...]) -> "tuple[FieldSpec, ...]":
        """Return the facts of fields."""
        return tuple(cls(name=f.name, shape=f.shape, unit=f.unit) for f in fields)


class Manifest(FrozenModel):
    """What an artefact is.

    Args:
        format: Version of this layout.
        candidate: What was built.
        source: What the user named the problem by: its name, or a file or module.
        simulation: Hash of what it stands in for: a simulation's parameters, or files.
        network_inputs: Shape of one sample as the network reads it, without noise.
        network_outputs: Number of the network's outputs.
        noise: How many normal numbers it reads behind them, to make a sample of a distribution.
        layout: How its inputs lie.
        target: What it is asked for.
        aligned: Whether it answers place by place.
        batch: Samples per call.
        threads: Threads per call.
        tolerance: Largest disagreement that its precision allows.
        disagreement: Relative L2 distance from the float32 network on calibration inputs.
        parameters: Weights of the network that was lowered.
        zeros: How many of them are zero.
        inputs: Fields that the surrogate reads.
        outputs: Fields that it returns.
        files: SHA-256 of every other file.
        versions: Libraries that wrote it.
        machine: Processor architecture that it was lowered on.
        bound_to: Instruction sets, or the kind of GPU, that it was compiled for.
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
    threads: int
    tolerance: float
    disagreement: float
    parameters: int
    zero_parameters: int
    inputs: tuple[FieldSpec, ...]
    outputs: tuple[FieldSpec, ...]
    files: dict[str, str]
    versions: dict[str, str]
    machine: str
    bound_to: tuple[str, ...]

    def stands_in_for(self, problem: Problem) -> bool:
        """Return whether it was made for this simulation, with these parameters, or these files."""
        if self.format == NAMED_BY_PATH:
            fields = FieldSpec.of(problem.inputs), FieldSpec.of(problem.outputs)
            return (self.inputs, self.outputs) == fields
        return self.simulation == origin(problem)

    @property
    def lowering(self) -> Lowering:
        """What the runtime needs to load it."""
        shape = Shape(
            self.layout, self.target, self.network_inputs, self.network_outputs, self.aligned
        )
        return Lowering(self.candidate, shape, self.noise, self.batch, self.threads)

    @property
    def hash(self) -> str:
        """One hash over all that decides the numbers: this manifest, files' hashes and all."""
        return digest(self.model_dump(mode="json"))


def read_manifest(folder: Path) -> Manifest:
    """Return an artefact's manifest after verifying every file's hash.

    Raises:
        UserError: Something is missing, altered or from another format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} is no artefact: it has no {MANIFEST}")
    manifest = Manifest.read(path)
    if manifest.format not in {NAMED_BY_PATH, FORMAT_VERSION}:
        raise UserError(
            f"{path} has format {manifest.format}; this simstead reads {NAMED_BY_PATH} and {FORMAT_VERSION}"
        )
    there = {file.name for file in folder.iterdir()} - {MANIFEST, USAGE, USAGE_FOLDER}
    for name in there | manifest.files.keys():
        file = folder / name
        if name not in there or not file.is_file() or sha256(file) != manifest.files.get(name):
            raise UserError(f"{file} is missing or was altered; export it again from its run")
    return manifest


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
