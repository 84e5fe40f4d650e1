"""Throughput of the training loop: samples per second of a `Trainer` and of a bare PyTorch loop.

    .venv/bin/python benchmarks/training_throughput.py

All loops have the same network, optimiser (AdamW), schedule and clipping on one thread, and run an
epoch each in turn: the trainer; the trainer with averaged weights and noise; a bare loop on tensors
in memory, with the optimiser's fused kernel as in the trainer, and with its default kernel; and
Lightning with a loader, if it is installed. A fit of Lightning has `LIGHTNING_EPOCHS` epochs, so
that its start hardly counts. The samples per second, and the median over the rounds of the
trainer's speed relative to each other loop, are printed, stored as JSON and plotted. Exits with 1
if the trainer is slower than `TARGET` of a bare loop.
"""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import plotly.graph_objects as go
import torch
from arguments import argument_parser
from results import save_results
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from problems import Layout, Pairs, Settings, Target
from search.timing.slot import exclusive_slot
from search.timing.stopwatch import MedianInterval, TimedCall, time_interleaved
from search.trial.training import MAX_GRADIENT_NORM, WARM_UP_SHARE, Trainer
from spaces.architectures import Shape
from spaces.candidate import Training
from spaces.registered import ARCHITECTURES
from spaces.training_targets import Learner

ROUNDS = 9
TARGET = 0.9
"""Smallest speed of the trainer relative to a bare loop."""

PAIRS = 8192
LIGHTNING_EPOCHS = 20
UNLIMITED_EPOCHS = 10**6
"""More epochs than a measurement runs."""

LAYERS: Settings = {"residual": False, "padding": "zeros", "kernel": 3, "activation": "relu"}


@dataclass(frozen=True)
class Case:
    """A network of typical size, with the shape of its inputs and the batch size."""

    family: str
    layout: Layout
    inputs: tuple[int, ...]
    settings: Settings
    batch: int

    @property
    def name(self) -> str:
        """Family, width and batch size, as text."""
        return f"{self.family} {self.settings['width']} b{self.batch}"

    @property
    def training(self) -> Training:
        """Settings of the training, without averaging and noise."""
        return Training(learning_rate=1e-3, batch_size=self.batch, weight_decay=1e-4)

    def learner(self) -> Learner:
        """Return the learner with initial weights."""
        torch.manual_seed(0)
        shape = Shape(self.layout, Target.VALUE, self.inputs, 12)
        family, settings = ARCHITECTURES[self.family], {**LAYERS, **self.settings}
        return family.learner(family.untrained(shape, settings), shape, settings)

    def pairs(self) -> Pairs:
        """Return random inputs (b, ...) and targets (b, 12)."""
        rng = np.random.default_rng(0)
        return Pairs(
            rng.standard_normal((PAIRS, *self.inputs), dtype=np.float32),
            rng.standard_normal((PAIRS, 12), dtype=np.float32),
        )


CASES = (
    Case("mlp", Layout.FLAT, (24,), {"width": 64, "depth": 2}, 128),
    Case("mlp", Layout.FLAT, (24,), {"width": 128, "depth": 3}, 256),
    Case("lstm", Layout.SEQUENCE, (8, 16), {"width": 64, "layers": 1}, 256),
    Case("conv1d", Layout.GRID1D, (16, 16), {"width": 64, "depth": 2}, 256),
)


def next_epoch(trainer: Iterator[int]) -> Callable[[], object]:
    """Return a function that runs one more epoch."""
    return lambda: next(trainer)


def start_trainer(case: Case, **settings: float) -> Iterator[int]:
    """Return the iterator over the epochs of a trainer."""
    training = case.training.model_copy(update=settings)
    return iter(Trainer(case.learner(), case.pairs(), training, UNLIMITED_EPOCHS, 0))


def make_optimiser(
    parameters: list[nn.Parameter], case: Case, *, fused: bool
) -> torch.optim.Optimizer:
    """Return the optimiser, with its fused or its default kernel.

    Args:
        parameters: Parameters of the network.
        case: The case.
        fused: Whether the kernel is fused.
    """
    training = case.training
    rate, decay = training.learning_rate, training.weight_decay
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=fused or None)


def make_schedule(optimiser: torch.optim.Optimizer, case: Case) -> OneCycleLR:
    """Return PyTorch's schedule of the learning rate."""
    total = UNLIMITED_EPOCHS * (PAIRS // case.batch)
    return OneCycleLR(
        optimiser, case.training.learning_rate, total_steps=total, pct_start=WARM_UP_SHARE
    )


def train_bare_loop(case: Case, *, fused: bool) -> Iterator[int]:
    """Train as the trainer does, in a dozen lines, and yield the epochs."""
    network, pairs, loss_function = case.learner().network, case.pairs(), nn.SmoothL1Loss()
    inputs, targets = torch.from_numpy(pairs.inputs), torch.from_numpy(pairs.targets)
    optimiser = make_optimiser(list(network.parameters()), case, fused=fused)
    schedule = make_schedule(optimiser, case)
    for epoch in range(UNLIMITED_EPOCHS):
        network.train()
        for index in torch.randperm(len(inputs)).split(case.batch):
            optimiser.zero_grad()
            loss = loss_function(network(inputs[index]), targets[index])
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
            optimiser.step()
            schedule.step()
        yield epoch


def lightning_fit(case: Case) -> Callable[[], object]:
    """Return a fit of `LIGHTNING_EPOCHS` epochs, with all optional features off."""
    import lightning  # noqa: PLC0415 - optional
    from torch.utils.data import DataLoader, TensorDataset  # noqa: PLC0415 - only here

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.loss = case.learner().network, nn.SmoothL1Loss()

        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            inputs, targets = batch
            return self.loss(self.network(inputs), targets)

        def configure_optimizers(self) -> dict[str, object]:
            optimiser = make_optimiser(list(self.parameters()), case, fused=True)
            schedule = {"scheduler": make_schedule(optimiser, case), "interval": "step"}
            return {"optimizer": optimiser, "lr_scheduler": schedule}

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    pairs = case.pairs()
    dataset = TensorDataset(torch.from_numpy(pairs.inputs), torch.from_numpy(pairs.targets))
    loader = DataLoader(dataset, batch_size=case.batch, shuffle=True)
    module = Module()

    def fit() -> None:
        lightning.Trainer(
            accelerator="cpu",
            max_epochs=LIGHTNING_EPOCHS,
            gradient_clip_val=MAX_GRADIENT_NORM,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(module, loader)

    return fit


def measure_case(case: Case) -> dict[str, float]:
    """Return the samples per second of every loop, and the trainer's speed relative to each."""
    timed_calls = {
        "trainer": TimedCall(next_epoch(start_trainer(case)), PAIRS),
        "trainer_with_all": TimedCall(
            next_epoch(start_trainer(case, averaging=0.05, input_noise=0.01)), PAIRS
        ),
        "bare": TimedCall(next_epoch(train_bare_loop(case, fused=True)), PAIRS),
        "bare_default": TimedCall(next_epoch(train_bare_loop(case, fused=False)), PAIRS),
    }
    if find_spec("lightning"):
        timed_calls["lightning"] = TimedCall(lightning_fit(case), LIGHTNING_EPOCHS * PAIRS)
    with exclusive_slot():
        seconds = time_interleaved(timed_calls, ROUNDS)
    facts = {
        f"{name}_per_s": MedianInterval.of(1.0 / times).median for name, times in seconds.items()
    }
    for name in timed_calls:
        if name != "trainer":
            ratio = MedianInterval.of(seconds[name] / seconds["trainer"])
            facts |= {
                f"over_{name}": ratio.median,
                f"over_{name}_low": ratio.low,
                f"over_{name}_high": ratio.high,
            }
    return facts


def ratio_names(facts: dict[str, float]) -> list[str]:
    """Return the names of the figures that are ratios of speeds, without their intervals."""
    return [n for n in facts if n.startswith("over_") and not n.endswith(("_low", "_high"))]


def _plot(facts: dict[str, dict[str, float]]) -> go.Figure:
    """Return a plot of the trainer's speed relative to the other loops, with intervals."""
    figure = go.Figure()
    cases = facts.values()
    for over in ratio_names(next(iter(cases))):
        ends = {
            "array": [figures[f"{over}_high"] - figures[over] for figures in cases],
            "arrayminus": [figures[over] - figures[f"{over}_low"] for figures in cases],
        }
        figure.add_scatter(
            x=list(facts), y=[figures[over] for figures in cases], error_y=ends, mode="markers",
            name=over.removeprefix("over_").replace("_", " "),
        )  # fmt: skip
    figure.add_hline(y=TARGET, line_dash="dot", annotation_text="target over a bare loop")
    return figure.update_yaxes(title="samples per second relative to another loop", type="log")


def main() -> int:
    """Measure, print and store the figures; return 1 if the trainer is too slow."""
    argument_parser(__doc__).parse_args()
    torch.set_num_threads(1)
    facts = {case.name: measure_case(case) for case in CASES}
    for name, figures in facts.items():
        ratios = ", ".join(
            f"{figures[other]:.2f} of {other.removeprefix('over_')}"
            for other in ratio_names(figures)
        )
        print(f"{name}: {figures['trainer_per_s']:,.0f} samples/s: {ratios}", flush=True)
    save_results(__file__, facts, _plot(facts))
    slow = [name for name, figures in facts.items() if figures["over_bare"] < TARGET]
    print(f"below {TARGET:.0%} of a bare loop: {', '.join(slow) or 'none'}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
