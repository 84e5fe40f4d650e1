"""Would networks of one shape train faster together than one after another?

    .venv/bin/python benchmarks/trained_together.py [--members 2 3 10]

The seeds of a network are trained on one core in four ways:

alone       the trainer of simstead, one network after another
one tensor  one after another by a bare loop that holds the parameters of a network in one tensor,
            so that a step clips and updates by one call each, and that calls the function of
            the optimiser instead of its class
vmap        together: `torch.func.vmap` of the network's loss, all parameters in one tensor
stacked     together: batched products and grouped convolutions written by hand, all parameters in
            one tensor

Each member has an order of pairs of its own, and its gradients are clipped by its own norm. Loops
in turn; printed are the median over the rounds of the speed relative to `alone`, with its interval,
and the largest difference of a weight from `alone` after two epochs, as a share of the largest
weight. `products` is the share of a step of `alone` that its matrix products and convolutions take
by themselves: no arrangement of the other calls makes a step faster than this share allows.

A second table gives the share of an epoch that the trainer takes, beside the validation of every
epoch, in trainings of simulators of the suite with 512 samples. Members are validated one by one.

Target: three times as fast as `alone`, in every case. Exits with 1 if the target is missed.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import plotly.graph_objects as go
import torch
from arguments import argument_parser
from results import save_results
from simulators import suite_problem
from spread_coverage import candidate_of
from torch import Tensor, nn
from torch.nn import functional
from ways_to_train import PAIRS, UNLIMITED_EPOCHS, Case, Ways, ways_to_train

from problems.data.dataset import generate
from search.timing.stopwatch import MedianInterval, TimedCall, time_interleaved
from search.trial.preparation import BestWeights, initialise_learner, prepare_training
from spaces.candidate import Training

ROUNDS = 9
TARGET = 3.0
CHECKED_EPOCHS = 2
LOW, HIGH = " low", " high"
SIMULATORS = ("borehole", "oscillator", "epidemic")
CASES = (
    Case("mlp", (8,), 64, 2, 128),
    Case("mlp", (8,), 64, 4, 256),
    Case("mlp", (24,), 128, 3, 128),
    Case("mlp", (24,), 128, 4, 256),
    Case("mlp", (24,), 256, 3, 128),
    Case("mlp", (24,), 256, 3, 256),
    Case("conv1d", (16, 16), 64, 2, 128),
    Case("conv2d", (8, 8, 3), 16, 2, 128),
)


def weight_differences(ways: Ways) -> dict[str, float]:
    """Return the largest difference of a weight from `alone`, by way, and train for some epochs."""
    for way in ways.values():
        for _ in range(CHECKED_EPOCHS):
            way.train_epoch()
    alone = ways["alone"].weights
    return {
        name: float((way.weights - alone).abs().max() / alone.abs().max())
        for name, way in ways.items()
        if name != "alone"
    }


def products(case: Case) -> Callable[[], None]:
    """Return a function that makes the products and convolutions of one step, and nothing else."""
    network, calls = case.learner(0).network, list[Callable[[], object]]()

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        x, gradient = inputs[0], torch.randn_like(output)
        weight = cast("Tensor", layer.weight).detach()
        if isinstance(layer, nn.Linear):
            calls.append(partial(functional.linear, x, weight))
            calls.append(partial(torch.mm, gradient.T, x))
            if len(calls) > 2:  # nothing needs the gradient of the first inputs
                calls.append(partial(torch.mm, gradient, weight))
            return
        settings = (layer.stride, layer.padding, layer.dilation, False, (0,), 1)
        mask = (bool(calls), True, False)
        calls.append(partial(torch.ops.aten.convolution, x, weight, None, *settings))
        backward = torch.ops.aten.convolution_backward
        calls.append(partial(backward, gradient, x, weight, None, *settings, mask))

    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            module.register_forward_hook(keep)
    with torch.no_grad():
        network(torch.from_numpy(case.pairs().inputs[: case.batch]))

    def make_products() -> None:
        with torch.no_grad():
            for call in calls:
                call()

    return make_products


def measure_case(case: Case, members: int) -> dict[str, float]:
    """Return speeds relative to `alone`, differences of weights, and the share of products."""
    ways = ways_to_train(case, members)
    facts = {f"difference of {name}": value for name, value in weight_differences(ways).items()}
    calls = {name: TimedCall(way.train_epoch, members * PAIRS) for name, way in ways.items()}
    calls["products"] = TimedCall(products(case), case.batch)
    seconds = time_interleaved(calls, ROUNDS)
    facts["samples a second"] = MedianInterval.of(1.0 / seconds["alone"]).median
    for name in calls:
        if name == "alone":
            continue
        ratio = MedianInterval.of(seconds["alone"] / seconds[name])
        facts |= {name: ratio.median, name + LOW: ratio.low, name + HIGH: ratio.high}
    return facts


def trainer_share(simulator: str, width: int, cache: Path) -> MedianInterval:
    """Return the share of an epoch that the trainer takes; the other part is its validation."""
    problem = suite_problem(simulator, 512, 0)
    candidate = candidate_of(problem, "flat", 0)
    settings = {**candidate.architecture_settings, "width": width}
    candidate = candidate.model_copy(update={"architecture_settings": settings})
    data = generate(problem, cache)
    task = prepare_training(problem, candidate, data)
    learner = initialise_learner(candidate, task.shape)
    training = Training(learning_rate=1e-3, batch_size=128, weight_decay=1e-4)
    trainer = iter(task.trainer(learner, training, UNLIMITED_EPOCHS, 0))
    best = BestWeights(problem, task, data.validation)
    calls = {
        "trainer": TimedCall(partial(next, trainer), 1),
        "validation": TimedCall(partial(best.update, learner.network), 1),
    }
    seconds = time_interleaved(calls, ROUNDS)
    return MedianInterval.of(seconds["trainer"] / (seconds["trainer"] + seconds["validation"]))


def _plot(facts: dict[str, dict[str, float]]) -> go.Figure:
    """Return a plot of the speeds relative to `alone`."""
    figure = go.Figure()
    for way in ("one tensor", "vmap", "stacked"):
        speeds = [figures[way] for figures in facts.values()]
        figure.add_scatter(x=list(facts), y=speeds, mode="markers", name=way)
    figure.add_hline(y=TARGET, line_dash="dot", annotation_text="target")
    return figure.update_yaxes(title="samples a second relative to one after another")


def main() -> int:
    """Measure, print and store the figures; return 1 if a case misses the target."""
    parser = argument_parser(__doc__)
    parser.add_argument("--members", nargs="+", type=int, default=[2, 3, 10])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    facts: dict[str, dict[str, float]] = {}
    for case in CASES:
        for members in arguments.members:
            name = f"{case.name}, {members} members"
            facts[name] = figures = measure_case(case, members)
            speeds = ", ".join(
                f"{way} {figures[way]:.2f} ({figures[way + LOW]:.2f}-{figures[way + HIGH]:.2f})"
                for way in ("one tensor", "vmap", "stacked")
            )
            largest = max(v for key, v in figures.items() if key.startswith("difference"))
            print(
                f"{name}: {figures['samples a second']:,.0f} samples/s; {speeds}; products "
                f"{1.0 / figures['products']:.0%}; weights within {largest:.1e}",
                flush=True,
            )
    with TemporaryDirectory() as folder:
        for simulator in SIMULATORS:
            for width in (64, 256):
                share = trainer_share(simulator, width, Path(folder))
                print(f"{simulator}, width {width}: trainer {share.median:.0%} of an epoch")
    save_results(__file__, facts, _plot(facts))
    slow = [name for name, f in facts.items() if max(f["vmap"], f["stacked"]) < TARGET]
    print(f"less than {TARGET:g} times as fast: {len(slow)} of {len(facts)} cases")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
