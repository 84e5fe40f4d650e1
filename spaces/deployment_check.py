"""The deployment check: whether lowered networks compute the same outputs as in float32.

Networks of every family, on small shapes and with fresh weights, are lowered, written, and loaded
by a new process, as an artefact is.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from problems import Layout, Size, Target, load_problem
from problems.contract import RandomChoice
from spaces.architectures import Architecture, Shape
from spaces.candidate import Candidate, FrozenModel, Precision, Pruning, Training
from spaces.precision import NUMBER_FORMATS, relative_distance
from spaces.pruning import prune
from spaces.pruning import settings as pruning_settings
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.runtimes import FixedBatchPredictor, Lowering

EXAMPLE_INPUTS: dict[Layout, tuple[int, ...]] = {
    Layout.FLAT: (12,),
    Layout.SEQUENCE: (6, 5),
    Layout.GRID1D: (12, 3),
    Layout.GRID2D: (8, 6, 3),
    Layout.GRID3D: (6, 4, 8, 2),
    Layout.GRAPH: (5, 6, 4),
    Layout.SET: (6, 5),
    Layout.VECTORS: (5, 4),
    Layout.TENSOR: (3, 3),
}
"""Shape of one sample by layout, as in `LAYOUT_SHAPES`; not all extents are powers of two."""

EXAMPLE_OUTPUTS = {Layout.VECTORS: 3, Layout.TENSOR: 6}
"""Number of outputs of layouts that determine it; other layouts have seven."""

EXAMPLE_CHANNELS = 3
"""Outputs at each place where outputs are aligned: a vector's for a layout of vectors."""


def example_shapes(family: type[Architecture]) -> list[Shape]:
    """Return the shapes on which a family is tried, for all layouts and targets that it serves."""
    shapes: list[Shape] = []
    for layout, target in sorted(family.serves):
        outputs = EXAMPLE_OUTPUTS.get(layout, 1 if target is Target.LABEL else 7)
        shape = Shape(layout, target, EXAMPLE_INPUTS[layout], outputs)
        shapes.append(shape)
        if target is Target.LABEL:
            shapes.append(Shape(layout, target, EXAMPLE_INPUTS[layout], EXAMPLE_CHANNELS))
        if shape.places and layout is not Layout.TENSOR:
            outputs = EXAMPLE_CHANNELS * int(np.prod(shape.places))
            shapes.append(Shape(layout, target, EXAMPLE_INPUTS[layout], outputs, aligned=True))
    return shapes


def lowered_shape(family: type[Architecture]) -> Shape:
    """Return the shape with which a family is lowered, that of its first layout.

    Other layouts use the same layers, and a label adds one function at the end.
    """
    shapes = example_shapes(family)
    return next((shape for shape in shapes if shape.target is not Target.LABEL), shapes[0])


def example_inputs(shape: Shape, n: int, noise: int = 0, seed: int = 0) -> Tensor:
    """Return normal random inputs (n, ...); in sets and graphs one place is empty.

    Args:
        shape: Shape of the network's inputs.
        n: Number of samples.
        noise: Normal random numbers that the network reads after the inputs.
        seed: Seed of the random numbers.
    """
    inputs = torch.randn(
        n, *shape.inputs[:-1], shape.inputs[-1] + noise,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    if shape.layout is Layout.SET:
        inputs[..., 0] = 1.0
        inputs[:, -1] = 0.0
    if shape.layout is Layout.GRAPH:
        # Row i holds node i itself, then its edges to all nodes; the last node is empty.
        nodes = shape.inputs[0]
        inputs[..., 0] = 1.0
        inputs[:, range(nodes), range(1, nodes + 1)] = 0.0
        inputs[:, -1] = 0.0
        inputs[:, :, -1] = 0.0
    return inputs


class ExampleNetwork(NamedTuple):
    """A family's network with fresh weights, its candidate and its inputs."""

    network: nn.Module
    candidate: Candidate
    shape: Shape
    noise: int
    calibration: Tensor

    def lowering_for(self, runtime: str, precision: Precision, batch: int) -> Lowering:
        """Return the lowering of the network.

        Args:
            runtime: Name of the runtime.
            precision: Number format.
            batch: Samples per call.
        """
        candidate = self.candidate.model_copy(update={"runtime": runtime, "precision": precision})
        return Lowering(candidate, self.shape, self.noise, batch, threads=1)


BATCH = 4
"""Samples per call."""

EXAMPLE_CALLS = 8
"""Number of calls whose inputs serve for calibration and comparison."""


def example_network(
    family: str, shape: Shape, pruning: Pruning = Pruning.NONE, seed: int = 0
) -> ExampleNetwork:
    """Return a network of a family with random settings, weights and inputs.

    Args:
        family: Registered name of the family.
        shape: One of `example_shapes`.
        pruning: How the network is pruned.
        seed: Seed of settings, weights and inputs.
    """
    architecture = ARCHITECTURES[family]
    choose = RandomChoice(np.random.default_rng(seed))
    settings = dict(architecture.settings(choose))
    torch.manual_seed(seed)
    network = architecture.untrained(shape, settings).eval()
    noise = architecture.noise(shape, settings)
    calibration = example_inputs(shape, EXAMPLE_CALLS * BATCH, noise, seed)
    chosen = pruning_settings(pruning, choose)
    candidate = Candidate(
        problem="example",
        problem_version=1,
        size=Size.TINY,
        encoding=str(shape.layout),
        encoding_settings={},
        architecture=family,
        architecture_settings=settings,
        training=Training(learning_rate=1e-3, batch_size=16, weight_decay=0.0),
        pruning=pruning,
        pruning_settings=chosen,
        precision=Precision.FP32,
        runtime="eager",
        seed=seed,
    )
    network = prune(network, pruning, chosen, calibration[:2]).eval()
    return ExampleNetwork(network, candidate, shape, noise, calibration)


LOWERING_FILE, OUTPUTS_FILE, RELOADED_FILE = (
    "lowering.json",
    "outputs.safetensors",
    "reloaded.safetensors",
)
FAILURE_FILE = "failed.txt"


STDERR_CHARACTERS = 400
"""Number of characters that are kept of the errors of a process that died."""


class LoweredExample(FrozenModel):
    """A lowered example, as it is described to another process."""

    candidate: Candidate
    layout: Layout
    target: Target
    inputs: tuple[int, ...]
    outputs: int
    aligned: bool
    noise: int

    @property
    def lowering(self) -> Lowering:
        """The lowering with which the runtime loads the network."""
        shape = Shape(self.layout, self.target, self.inputs, self.outputs, self.aligned)
        return Lowering(self.candidate, shape, self.noise, BATCH, threads=1)


def lower_example(tried: ExampleNetwork, runtime: str, precision: Precision, folder: Path) -> None:
    """Lower an example into a new folder and write its outputs, with those in float32.

    Args:
        tried: The example.
        runtime: Name of the runtime.
        precision: Number format.
        folder: The folder, which doesn't exist yet.
    """
    folder.mkdir(parents=True)
    lowering = tried.lowering_for(runtime, precision, BATCH)
    RUNTIMES[runtime].lower(tried.network, tried.calibration, lowering, folder)
    inputs = tried.calibration.numpy()
    with torch.inference_mode():
        exact = tried.network(tried.calibration).numpy()
    outputs = FixedBatchPredictor(RUNTIMES[runtime].load(folder, lowering), BATCH)(inputs)
    save_file({"inputs": inputs, "exact": exact, "outputs": outputs}, folder / OUTPUTS_FILE)
    shape = tried.shape
    description = LoweredExample(
        candidate=lowering.candidate,
        layout=shape.layout,
        target=shape.target,
        inputs=shape.inputs,
        outputs=shape.outputs,
        aligned=shape.aligned,
        noise=tried.noise,
    )
    (folder / LOWERING_FILE).write_text(description.model_dump_json())


def predict_reloaded(folder: Path) -> None:
    """Load a lowered example, in another process than the writing one, and write its outputs."""
    lowering = LoweredExample.read(folder / LOWERING_FILE).lowering
    predict = FixedBatchPredictor(
        RUNTIMES[lowering.candidate.runtime].load(folder, lowering), BATCH
    )
    inputs = load_file(folder / OUTPUTS_FILE)["inputs"]
    single_sample = predict(np.ascontiguousarray(inputs[BATCH - 1 : BATCH]))
    save_file({"outputs": predict(inputs), "single_sample": single_sample}, folder / RELOADED_FILE)


class DeploymentAgreement(NamedTuple):
    """The result of the check of a deployment.

    Args:
        distance: Relative L2 distance from the float32 network, in a new process.
        tolerance: Largest distance that the precision allows.
        reproducible: Whether the new process computed the same outputs bit for bit.
        single_sample_difference: Largest difference between the outputs of a sample in a call of
            its own and in a batch, relative to the largest output.
    """

    distance: float
    tolerance: float
    reproducible: bool
    single_sample_difference: float

    @property
    def passed(self) -> bool:
        """Whether all requirements are met."""
        return (
            self.distance <= self.tolerance
            and self.reproducible
            and self.single_sample_difference <= self.tolerance
        )


def measure_agreement(folder: Path) -> DeploymentAgreement:
    """Return the result of the check of an example that a new process has loaded."""
    precision = LoweredExample.read(folder / LOWERING_FILE).candidate.precision
    written, reloaded = load_file(folder / OUTPUTS_FILE), load_file(folder / RELOADED_FILE)
    in_batch = reloaded["outputs"][BATCH - 1 : BATCH]
    return DeploymentAgreement(
        distance=relative_distance(reloaded["outputs"], written["exact"]),
        tolerance=NUMBER_FORMATS[precision].tolerance,
        reproducible=np.array_equal(reloaded["outputs"], written["outputs"]),
        single_sample_difference=float(
            np.abs(reloaded["single_sample"] - in_batch).max() / np.abs(written["exact"]).max()
        ),
    )


def predict_in_new_process(folders: Sequence[Path], source: str = "") -> None:
    """Load lowered examples and write their outputs in a new process.

    Args:
        folders: The examples, of one family or several. For one that can't be loaded, the reason is
            written into a file in its folder.
        source: A user's file or module that registers families among them.
    """
    # Without -P a user's spaces.py in the working directory would be imported in place of ours.
    command = [sys.executable, "-P", "-m", "spaces.deployment_check", source, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - a command of ours
    for folder in folders:
        if not (folder / RELOADED_FILE).exists() and not (folder / FAILURE_FILE).exists():
            (folder / FAILURE_FILE).write_text(
                f"the new process died: {done.stderr[-STDERR_CHARACTERS:]}"
            )


def _main(source: str, *folders: str) -> None:
    if source:
        load_problem(source)
    for folder in map(Path, folders):
        try:
            predict_reloaded(folder)
        except Exception as error:  # noqa: BLE001 - runtimes raise anything
            (folder / FAILURE_FILE).write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
