"""Three encodings of a system: its initial state, a time series and a summary of a short run."""

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
from problems.cases.stability.time_distribution import (
    DECADES,
    Followed,
    contact_quantiles,
    milestone_times,
    survival_outputs,
    unstable_edges,
)
from problems.cases.stability.trios import TRIO, Trios, innermost_first
from problems.errors import UserError
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
"""Channels are clipped to this many standard deviations about their mean."""

MILESTONES = (1, 4, 8)
"""Numbers of milestones: the horizon alone, or times a decade or half a decade apart."""

MIN_DEVIATION = 1e-6
"""Standard deviation below which a channel is constant except for rounding."""


@dataclass(frozen=True, eq=False)
class StabilityEncoding(Encoding):
    """Standardised features of a system -> the probability that it survives.

    The time at which a system becomes unstable contains more information than the fact that it
    does. With several milestones the network predicts between which of them a system becomes
    unstable. The intervals are classes; the last class is that of surviving the horizon. With one
    milestone the network predicts the probability of surviving the horizon alone, and unstable
    systems have the distribution of times of those in the training split.

    Args:
        horizon_orbits: Horizon that a stable system survives, in innermost orbits.
        milestones: Searched: number of milestones, evenly spaced in the logarithm of time.
    """

    horizon_orbits: float
    milestones: int = field(default=1, kw_only=True)

    target: ClassVar[Target] = Target.LABEL

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen number of milestones."""
        return {"milestones": choose.categorical("milestones", MILESTONES)}

    def measure(self, train: Split) -> Batch:
        """Return means and standard deviations of channels, and the edges of times of contact."""
        channels = self._training_channels(_three_planets(train.inputs))
        channels = channels.reshape(-1, channels.shape[-1])
        deviation = channels.std(axis=0)
        return {
            "mean": channels.mean(axis=0),
            "scale": np.where(deviation > MIN_DEVIATION, deviation, 1.0),
            "unstable": unstable_edges(train.outputs, self.horizon_orbits),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return one pair for every system: channels (b, ..., c) and its class (b, m + 1).

        With one milestone the target is whether the system survives (b, 1).
        """
        stable = split.outputs["stable"]
        labels = stable[:, None]
        if self.milestones > 1:
            before = milestone_times(self.milestones, self.horizon_orbits)[:-1]
            passed = np.sum(split.outputs["survival"][:, None] >= before, axis=1) + stable
            labels = passed[:, None] == np.arange(self.milestones + 1)
        channels = self._training_channels(_three_planets(split.inputs))
        return Pairs(self._scaled(channels), labels.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return the probability of surviving, the survival time and quantiles of that of contact.

        Systems of more than three planets are those of their least stable trio.

        Args:
            network: Network: channels (b k, ..., c) of trios -> probabilities of classes (b k, o).
            inputs: Systems at the epoch.
            rng: Not used.
        """
        inputs = innermost_first(inputs)
        trios = Trios.of(inputs)
        channels, followed = self._deployed_channels(inputs, trios)
        classes = network(self._scaled(channels)).astype(float)
        edges = self.statistics["unstable"]
        shares = np.ones((len(classes), len(edges) - 1))
        if self.milestones > 1:
            times = np.log10(milestone_times(self.milestones, self.horizon_orbits))
            first = min(edges[0], times[0] - DECADES / self.milestones)
            edges, shares = np.append(first, times), classes[:, :-1]
        horizon = self.horizon_orbits
        quantiles = contact_quantiles(shares, edges, trios.followed(followed), horizon)
        least = trios.least_stable(classes[:, -1], quantiles, horizon)
        return survival_outputs(*least, followed, horizon)

    def _scaled(self, channels: Array) -> Array:
        scaled = (channels - self.statistics["mean"]) / self.statistics["scale"]
        return np.clip(scaled, -CHANNEL_LIMIT, CHANNEL_LIMIT).astype(np.float32)

    @abstractmethod
    def _training_channels(self, inputs: Batch) -> Array:
        """Return the channels of systems of three planets in training (b, ..., c)."""

    @abstractmethod
    def _deployed_channels(self, inputs: Batch, trios: Trios) -> tuple[Array, Followed]:
        """Return the channels of trios (b k, ..., c) and how far the systems were followed."""


def _three_planets(inputs: Batch) -> Batch:
    """Return training systems, the innermost planet first.

    Raises:
        UserError: They don't have three planets each.
    """
    planets = inputs["mass"].shape[1]
    if planets != TRIO:
        raise UserError(
            f"the networks of `stability` learn from systems of {TRIO} planets, and the training "
            f"systems have {planets}: train on {TRIO}; surrogates then take systems of more"
        )
    return innermost_first(inputs)


@dataclass(frozen=True, eq=False)
class InitialEncoding(StabilityEncoding):
    """The features of a system at the epoch, without an integration.

    Args:
        angles: Searched: whether the network reads phases and directions.
        theory: Searched: whether the network reads stability criteria.
    """

    IDENTITY: ClassVar[str] = "stability/initial"

    angles: bool = True
    theory: bool = True

    layout: ClassVar[Layout] = Layout.FLAT

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen features that the network reads."""
        return {
            **super().settings(choose),
            "angles": choose.categorical("angles", (False, True)),
            "theory": choose.categorical("theory", (False, True)),
        }

    def _training_channels(self, inputs: Batch) -> Array:
        parts = [scale_free(inputs), orbit_shapes(inputs)]
        parts += [orbit_angles(inputs)] * self.angles + [stability_criteria(inputs)] * self.theory
        return np.concatenate(parts, axis=-1)

    def _deployed_channels(self, inputs: Batch, trios: Trios) -> tuple[Array, Followed]:
        return self._training_channels(trios.inputs), Followed.nowhere(n_samples(inputs))


@dataclass(frozen=True, eq=False)
class ShortRunEncoding(StabilityEncoding):
    """Features of a short run of the reference, which is part of the surrogate and of its time.

    A system with Hill contact during the short run has probability 0, regardless of the network.

    Args:
        run_lengths: Lengths of short runs to choose from, in innermost orbits.
        orbits: Searched: length of the short run, one of `run_lengths`.
        chaos: Searched: whether MEGNO is computed, at more than twice the cost.
        caches_runs: Whether equal systems are integrated only once, as in training.
    """

    run_lengths: tuple[int, ...]
    orbits: int
    chaos: bool = True
    caches_runs: bool = False

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen length of the run and whether MEGNO is computed."""
        return {
            **super().settings(choose),
            "orbits": choose.categorical("orbits", self.run_lengths),
            "chaos": choose.categorical("chaos", (False, True)),
        }

    def remembering(self) -> Self:
        """Return this encoding with a cache, which integrates equal systems only once."""
        return replace(self, caches_runs=True)

    def _training_channels(self, inputs: Batch) -> Array:
        return self._channels(inputs, self._short.cached(inputs))

    def _deployed_channels(self, inputs: Batch, trios: Trios) -> tuple[Array, Followed]:
        run = self._short.cached if self.caches_runs else self._short.run
        short_run = run(inputs)
        return self._channels(trios.inputs, trios.short_run(short_run)), short_run.followed

    @property
    def _short(self) -> ShortRun:
        return ShortRun(self.orbits, self.chaos)

    @abstractmethod
    def _channels(self, inputs: Batch, short_run: ShortRunResult) -> Array:
        """Return the channels of systems with their short run (b, ..., c)."""


@dataclass(frozen=True, eq=False)
class EarlyEncoding(ShortRunEncoding):
    """The short run as a time series, with stability criteria at the epoch.

    Args:
        frames: Searched: number of frames that the network reads.
    """

    IDENTITY: ClassVar[str] = "stability/early"

    frames: int = 32

    layout: ClassVar[Layout] = Layout.SEQUENCE

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen short run and its number of frames."""
        frames = choose.categorical("frames", (FRAMES // 4, FRAMES // 2, FRAMES))
        return {**super().settings(choose), "frames": frames}

    def _channels(self, inputs: Batch, short_run: ShortRunResult) -> Array:
        return time_series(inputs, short_run, FRAMES // self.frames, chaos=self.chaos)


@dataclass(frozen=True, eq=False)
class SummaryEncoding(ShortRunEncoding):
    """Criteria at the epoch with extremes, means and standard deviations over the short run."""

    IDENTITY: ClassVar[str] = "stability/summary"

    layout: ClassVar[Layout] = Layout.FLAT

    def _channels(self, inputs: Batch, short_run: ShortRunResult) -> Array:
        return summary_features(inputs, short_run, chaos=self.chaos)
