"""The law of deployments, problems apart: a lowered network answers as the float32 one does.

Every family is tried on small shapes of each layout that it serves, with fresh weights: lowered,
written, and loaded again by a new process, as an artefact is.
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
"""One sample of each layout, as `LAYOUTS` says; extents differ, and not all are powers of two."""

EXAMPLE_OUTPUTS = {Layout.VECTORS: 3, Layout.TENSOR: 6}
"""How many numbers are asked for where a layout says what they are; seven elsewhere."""

EXAMPLE_CHANNELS = 3
"""Numbers asked for at every place: a vector's where the layout is of vectors."""


def example_shapes(family: type[Architecture]) -> list[Shape]:
    """Return the shapes that a family is tried on, for each layout and target that it serves."""
    shapes: list[Shape] = []
    for layout, target in sorted(family.serves):
        outputs = EXAMPLE_OUTPUTS.get(layout, 1 if target is Target.LABEL else 7)
        whole = Shape(layout, target, EXAMPLE_INPUTS[layout], outputs)
        shapes.append(whole)
        if target is Target.LABEL:
            shapes.append(Shape(layout, target, EXAMPLE_INPUTS[layout], EXAMPLE_CHANNELS))
        if whole.places and layout is not Layout.TENSOR:
            asked = EXAMPLE_CHANNELS * int(np.prod(whole.places))
            shapes.append(Shape(layout, target, EXAMPLE_INPUTS[layout], asked, aligned=True))
    return shapes


def lowered_shape(family: type[Architecture]) -> Shape:
    """Return the shape that a family is lowered with, of its first layout.

    Its other layouts run the same layers; a label adds one function behind them.
    """
    shapes = example_shapes(family)
    return next((shape for shape in shapes if shape.target is not Target.LABEL), shapes[0])


def example_inputs(shape: Shape, n: int, noise: int = 0, seed: int = 0) -> Tensor:
    """Return inputs (n, ...) of a shape: normal numbers; in sets and graphs one place is empty."""
    inputs = torch.randn(
        n, *shape.inputs[:-1], shape.inputs[-1] + noise,
        generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    if shape.layout is Layout.SET:
        inputs[..., 0] = 1.0
        inputs[:, -1] = 0.0
    if shape.layout is Layout.GRAPH:
        # In row i node i itself, then its edge to every node; the last node isn't there.
        nodes = shape.inputs[0]
        inputs[..., 0] = 1.0
        inputs[:, range(nodes), range(1, nodes + 1)] = 0.0
        inputs[:, -1] = 0.0
        inputs[:, :, -1] = 0.0
    return inputs


class ExampleNetwork(NamedTuple):
    """A family's network with fresh weights, and what it is tried with."""

    network: nn.Module
    candidate: Candidate
    shape: Shape
    noise: int
    calibration: Tensor

    def lowering_for(self, runtime: str, precision: Precision, batch: int) -> Lowering:
        """Return what a runtime is told of it."""
        candidate = self.candidate.model_copy(update={"runtime": runtime, "precision": precision})
        return Lowering(candidate, self.shape, self.noise, batch, threads=1)


BATCH = 4
"""Samples of a call."""

EXAMPLE_CALLS = 8
"""Calls' worth of inputs that a network is calibrated and tried with."""


def example_network(
    family: str, shape: Shape, pruning: Pruning = Pruning.NONE, seed: int = 0
) -> ExampleNetwork:
    """Return a network of a family, with settings, weights and inputs that the seed draws.

    Args:
        family: Its registered name.
        shape: One of `example_shapes`.
        pruning: What is taken out of it.
        seed: Of all three.
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
    "answers.safetensors",
    "again.safetensors",
)
FAILURE_FILE = "failed.txt"


STDERR_CHARACTERS = 400
"""So many characters of a dying process are kept."""


class LoweredExample(FrozenModel):
    """A lowered example as another process finds it."""

    candidate: Candidate
    layout: Layout
    target: Target
    inputs: tuple[int, ...]
    outputs: int
    aligned: bool
    noise: int

    @property
    def lowering(self) -> Lowering:
        """What the runtime needs to load it."""
        shape = Shape(self.layout, self.target, self.inputs, self.outputs, self.aligned)
        return Lowering(self.candidate, shape, self.noise, BATCH, threads=1)


def lower(tried: ExampleNetwork, runtime: str, precision: Precision, folder: Path) -> None:
    """Lower an example into a new folder, with what it answers here and what it should answer."""
    folder.mkdir(parents=True)
    lowering = tried.lowering_for(runtime, precision, BATCH)
    RUNTIMES[runtime].lower(tried.network, tried.calibration, lowering, folder)
    inputs = tried.calibration.numpy()
    with torch.inference_mode():
        exact = tried.network(tried.calibration).numpy()
    answers = FixedBatchPredictor(RUNTIMES[runtime].load(folder, lowering), BATCH)(inputs)
    save_file({"inputs": inputs, "exact": exact, "answers": answers}, folder / OUTPUTS_FILE)
    shape = tried.shape
    written = LoweredExample(
        candidate=lowering.candidate,
        layout=shape.layout,
        target=shape.target,
        inputs=shape.inputs,
        outputs=shape.outputs,
        aligned=shape.aligned,
        noise=tried.noise,
    )
    (folder / LOWERING_FILE).write_text(written.model_dump_json())


def predict_reloaded(folder: Path) -> None:
    """Load a lowered example, as another process does, and write what it answers now."""
    lowering = LoweredExample.read(folder / LOWERING_FILE).lowering
    predict = FixedBatchPredictor(
        RUNTIMES[lowering.candidate.runtime].load(folder, lowering), BATCH
    )
    inputs = load_file(folder / OUTPUTS_FILE)["inputs"]
    single_sample_difference = predict(np.ascontiguousarray(inputs[BATCH - 1 : BATCH]))
    save_file(
        {"answers": predict(inputs), "alone": single_sample_difference}, folder / RELOADED_FILE
    )


class DeploymentAgreement(NamedTuple):
    """How a deployment did.

    Args:
        distance: Relative L2 distance from the float32 network, in a new process.
        tolerance: The largest that its precision allows.
        repeated: Whether the new process answered bit for bit what the writing one had.
        alone: Largest difference of a sample alone from the same sample in a batch, relative to the
            largest answer.
    """

    distance: float
    tolerance: float
    reproducible: bool
    single_sample_difference: float

    @property
    def passed(self) -> bool:
        """Whether the law does."""
        return (
            self.distance <= self.tolerance
            and self.reproducible
            and self.single_sample_difference <= self.tolerance
        )


def measure_agreement(folder: Path) -> DeploymentAgreement:
    """Return what became of a lowered example that was answered again."""
    precision = LoweredExample.read(folder / LOWERING_FILE).candidate.precision
    first, again = load_file(folder / OUTPUTS_FILE), load_file(folder / RELOADED_FILE)
    batch = again["answers"][BATCH - 1 : BATCH]
    return DeploymentAgreement(
        distance=relative_distance(again["answers"], first["exact"]),
        tolerance=NUMBER_FORMATS[precision].tolerance,
        reproducible=np.array_equal(again["answers"], first["answers"]),
        single_sample_difference=float(
            np.abs(again["alone"] - batch).max() / np.abs(first["exact"]).max()
        ),
    )


def predict_in_new_process(folders: Sequence[Path], source: str = "") -> None:
    """Have lowered examples answered again by a process that has seen none of them before.

    Args:
        folders: Of one family or several; one that can't be answered says why in a file.
        source: A user's file or module whose families are among them.
    """
    # Without -P a user's own spaces.py, where the command is given, would come before ours.
    command = [sys.executable, "-P", "-m", "spaces.deployment_check", source, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
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
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises is its verdict
            (folder / FAILURE_FILE).write_text(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    _main(*sys.argv[1:])
