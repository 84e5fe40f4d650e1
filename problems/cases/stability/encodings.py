"""Three ways to ask a network whether a system survives."""

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from problems.cases.stability.features import (
    orbit_angles,
    orbit_shapes,
    scale_free,
    stability_criteria,
    summary_features,
    time_series,
)
from problems.cases.stability.short_run import FRAMES, ShortRun, ShortRunResult
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Encoding,
    Layout,
    Pairs,
    Predict,
    Settings,
    Split,
    Target,
    n_samples,
)

CHANNEL_LIMIT = 8.0
"""Channels are held within so many standard deviations of their mean."""

MAX_MILESTONES = 4
"""Powers of ten up to the horizon, it included, between which a network may be asked where a system
ends: half of the unstable ones last for less than a hundredth of it."""

MIN_DEVIATION = 1e-6
"""A channel that deviates by less never varies but for rounding."""


@dataclass(frozen=True, eq=False)
class StabilityEncoding(Encoding):
    """Numbers of a system, standardised -> the probability that it survives.

    When a system ends says more than that it ends, which is learned from few systems otherwise: a
    network may be asked between which milestones it does. They are classes, of which the last
    survives the horizon.

    Args:
        horizon_orbits: What is to be survived.
        milestones: Searched: times a power of ten apart, the horizon last; it alone is an event.
    """

    horizon_orbits: float
    milestones: int = field(default=1, kw_only=True)

    target: ClassVar[Target] = Target.LABEL

    def settings(self, choose: Choose) -> Settings:
        """Choose how many milestones there are."""
        return {"milestones": choose.categorical("milestones", (1, MAX_MILESTONES))}

    def measure(self, train: Split) -> Batch:
        """Return means and deviations of channels, and how long the unstable ones last."""
        seen = self._seen(train.inputs)
        seen = seen.reshape(-1, seen.shape[-1])
        deviation = seen.std(axis=0)
        return {
            "mean": seen.mean(axis=0),
            "scale": np.where(deviation > MIN_DEVIATION, deviation, 1.0),
            "unstable": mean_unstable_survival(train.outputs),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return one pair for every system: channels (b, ..., c), and its class (b, m + 1).

        Of one milestone it is whether it survives (b, 1).
        """
        stable = split.outputs["stable"]
        labels = stable[:, None]
        if self.milestones > 1:
            before = self.horizon_orbits * 10.0 ** np.arange(1.0 - self.milestones, 0.0)
            passed = np.sum(split.outputs["survival"][:, None] >= before, axis=1) + stable
            labels = passed[:, None] == np.arange(self.milestones + 1)
        return Pairs(self._scaled(self._seen(split.inputs)), labels.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the probability, and the survival time that is to be expected with it."""
        seen, collided = self._looked_at(inputs)
        probability = np.clip(network(self._scaled(seen))[:, -1].astype(float), 0.0, 1.0)
        probability = np.where(collided, 0.0, probability)
        return survival_outputs(probability, self.statistics["unstable"], self.horizon_orbits)

    def _scaled(self, seen: Array) -> Array:
        scaled = (seen - self.statistics["mean"]) / self.statistics["scale"]
        return np.clip(scaled, -CHANNEL_LIMIT, CHANNEL_LIMIT).astype(np.float32)

    @abstractmethod
    def _seen(self, inputs: Batch) -> Array:
        """Return the channels (b, ..., c) to learn from."""

    @abstractmethod
    def _looked_at(self, inputs: Batch) -> tuple[Array, Array]:
        """Return the channels in use, and which systems (b,) were seen to be unstable."""


@dataclass(frozen=True, eq=False)
class InitialEncoding(StabilityEncoding):
    """The system at the epoch, in one row: nothing is integrated.

    Args:
        angles: Searched: whether the network is told phases and directions.
        theory: Searched: whether it is told what criteria say.
    """

    IDENTITY: ClassVar[str] = "stability/initial"

    angles: bool = True
    theory: bool = True

    layout: ClassVar[Layout] = Layout.FLAT

    def settings(self, choose: Choose) -> Settings:
        """Choose what the network is told."""
        return {
            **super().settings(choose),
            "angles": choose.categorical("angles", (False, True)),
            "theory": choose.categorical("theory", (False, True)),
        }

    def _seen(self, inputs: Batch) -> Array:
        parts = [scale_free(inputs), orbit_shapes(inputs)]
        parts += [orbit_angles(inputs)] * self.angles + [stability_criteria(inputs)] * self.theory
        return np.concatenate(parts, axis=-1)

    def _looked_at(self, inputs: Batch) -> tuple[Array, Array]:
        return self._seen(inputs), np.zeros(n_samples(inputs), dtype=bool)


@dataclass(frozen=True, eq=False)
class ShortRunEncoding(StabilityEncoding):
    """What a short run of the reference shows: it is part of the surrogate and of its time.

    A system whose Hill spheres touch meanwhile is answered with 0, whatever the network says.

    Args:
        lengths: Orbits that a short run may last.
        orbits: Searched: one of them.
        chaos: Searched: whether MEGNO is followed, at more than twice the cost.
        remembers: Whether the same systems are integrated once only, as in training.
    """

    run_lengths: tuple[int, ...]
    orbits: int
    chaos: bool = True
    caches_runs: bool = False

    def settings(self, choose: Choose) -> Settings:
        """Choose how long the run is, and whether MEGNO is followed."""
        return {
            **super().settings(choose),
            "orbits": choose.categorical("orbits", self.run_lengths),
            "chaos": choose.categorical("chaos", (False, True)),
        }

    def remembering(self) -> Self:
        """Return this encoding, integrating the same systems once only."""
        return replace(self, caches_runs=True)

    def _seen(self, inputs: Batch) -> Array:
        return self._channels(inputs, self._short.cached(inputs))

    def _looked_at(self, inputs: Batch) -> tuple[Array, Array]:
        run = self._short.cached if self.caches_runs else self._short.run
        short_run = run(inputs)
        return self._channels(inputs, short_run), short_run.collided

    @property
    def _short(self) -> ShortRun:
        return ShortRun(self.orbits, self.chaos)

    @abstractmethod
    def _channels(self, inputs: Batch, short_run: ShortRunResult) -> Array:
        """Return the channels (b, ..., c)."""


@dataclass(frozen=True, eq=False)
class EarlyEncoding(ShortRunEncoding):
    """The short run as a time series, with what criteria say of the epoch.

    Args:
        frames: Searched: how many the network reads.
    """

    IDENTITY: ClassVar[str] = "stability/early"

    frames: int = 32

    layout: ClassVar[Layout] = Layout.SEQUENCE

    def settings(self, choose: Choose) -> Settings:
        """Choose the short run and how closely it is looked at."""
        frames = choose.categorical("frames", (FRAMES // 4, FRAMES // 2, FRAMES))
        return {**super().settings(choose), "frames": frames}

    def _channels(self, inputs: Batch, short_run: ShortRunResult) -> Array:
        return time_series(inputs, short_run, FRAMES // self.frames, chaos=self.chaos)


@dataclass(frozen=True, eq=False)
class SummaryEncoding(ShortRunEncoding):
    """Criteria at the epoch, and extremes, means and spreads over the short run, in one row."""

    IDENTITY: ClassVar[str] = "stability/summary"

    layout: ClassVar[Layout] = Layout.FLAT

    def _channels(self, inputs: Batch, short_run: ShortRunResult) -> Array:
        return summary_features(inputs, short_run, chaos=self.chaos)


def mean_unstable_survival(outputs: Batch) -> Array:
    """Return the mean survival (1,) of the unstable systems, 0 where there are none [orbits]."""
    lost = outputs["stable"] < 1.0
    return np.sum(outputs["survival"] * lost, keepdims=True) / np.maximum(np.sum(lost), 1)


def survival_outputs(probability: Array, unstable: Array | float, horizon_orbits: float) -> Batch:
    """Return the outputs that a probability (b,) stands for.

    The time is the mean to be expected: the horizon by the probability, else that of the unstable.
    """
    survival = probability * horizon_orbits + (1.0 - probability) * unstable
    return {"stable": probability, "survival": survival}
