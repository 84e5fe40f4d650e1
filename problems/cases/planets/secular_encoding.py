"""The base class of encodings whose network corrects the secular potential of pairs of planets."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.planets.couplings import PlanetPairs
from problems.cases.planets.orbit_averaging import PairVectors
from problems.cases.planets.secular_theories import secular_path
from problems.encodings.transforms import nonzero
from problems.interfaces.types import (
    Array,
    Batch,
    Encoding,
    Layout,
    Pairs,
    Predict,
    Split,
    Target,
)

MAX_FIT_RESIDUAL = 0.1
"""Largest residual of a fit that is used: above it the motion isn't linear."""

MAX_DEVIATION = 0.1
"""Largest difference of fitted corrections from those that the network corrects."""

LINEAR_RANGE = 0.3
"""Share of the leading order above which the targets grow as the logarithm of corrections."""

MAX_ANSWER = 4.0
"""Limit of predictions in units of `LINEAR_RANGE`: a correction of 8 times the leading order."""

MIN_WEIGHT = 0.1
"""Weight of targets whose coefficients have no effect within the horizon; other weights are larger
by up to 1."""

INPUT_LIMIT = 5.0
"""Inputs are clipped to this many scales about their mean."""


@dataclass(frozen=True)
class PairSystems:
    """Pairs of systems with what a network reads, corrects and is weighted by.

    Args:
        epoch: Systems with the elements (b, p, 6) from which the secular motion starts.
        pairs: Pairs of planets.
        theory: Corrections (b, m, 4) without a network.
        features: Inputs of the network for every existing pair (n, c).
        weight: Weights of targets (n, 4), larger for coefficients with an early effect.
    """

    epoch: Batch
    pairs: PlanetPairs
    theory: Array
    features: Array
    weight: Array

    def targets(self, correction: Array) -> Array:
        """Return the unscaled targets (n, 4) that decode to corrections (b, m, 4)."""
        missing = (correction - self.theory)[self.pairs.exists]
        return LINEAR_RANGE * np.arcsinh(missing / LINEAR_RANGE) * self.weight

    def corrected(self, predicted: Array) -> Array:
        """Return the corrections (b, m, 4) with unscaled predictions (n, 4) of the network."""
        limited = np.clip(predicted / self.weight / LINEAR_RANGE, -MAX_ANSWER, MAX_ANSWER)
        correction = self.theory.copy()
        correction[self.pairs.exists] += LINEAR_RANGE * np.sinh(limited)
        return correction


@dataclass(frozen=True, eq=False)
class SecularEncoding(Encoding):
    """Features of a pair of planets -> corrections of the coefficients of its secular potential.

    Every pair has an orbit-averaged potential (`couplings`) with four coefficients, which the
    network corrects. For any prediction the motion is that of a sum of quadratic pair potentials:
    it is symplectic, it conserves the angular momentum deficit to rounding, and a permutation of
    the planets permutes the outputs. Axes are constant, and the phase follows from Kepler's third
    law. The network is called once for all frames.

    Args:
        times_yr: Times of the frames [yr].
    """

    times_yr: tuple[float, ...]

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.VALUE

    def measure(self, train: Split) -> Batch:
        """Return means and scales of the inputs, and scales of the targets, over all pairs."""
        inputs, targets = self._unscaled_pairs(train)
        scale, target_scale = inputs.std(axis=0), np.sqrt(np.mean(targets**2, axis=0))
        return {
            "mean": inputs.mean(axis=0),
            "scale": nonzero(scale),
            "answer": nonzero(target_scale),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return all pairs of planets at all starts: inputs (n, c), targets (n, 4)."""
        inputs, targets = self._unscaled_pairs(split)
        targets = targets / self.statistics["answer"]
        return Pairs(inputs=self._scaled(inputs), targets=targets.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return elements and states at every frame, with the corrections of one network call.

        Args:
            network: Network: features of pairs (n, c) -> scaled corrections (n, 4).
            inputs: Systems at the epoch.
            rng: Not used.
        """
        systems = self._systems(inputs)
        predicted = network(self._scaled(systems.features)) * self.statistics["answer"]
        correction = systems.corrected(predicted)
        return secular_path(systems.epoch, systems.pairs, correction, np.array(self.times_yr))

    @property
    def _horizon(self) -> float:
        return self.times_yr[-1]

    def _scaled(self, features: Array) -> Array:
        scaled = (features - self.statistics["mean"]) / self.statistics["scale"]
        return np.clip(scaled, -INPUT_LIMIT, INPUT_LIMIT).astype(np.float32)

    @abstractmethod
    def _unscaled_pairs(self, split: Split) -> tuple[Array, Array]:
        """Return inputs (n, c) and targets (n, 4) of every existing pair."""

    @abstractmethod
    def _systems(self, inputs: Batch) -> PairSystems:
        """Return the pairs of b systems."""


def coefficient_weights(pairs: PlanetPairs, horizon_yr: float) -> Array:
    """Return the weights (n, 4) of the coefficients of all existing pairs.

    Args:
        pairs: Pairs of planets.
        horizon_yr: Time up to which coefficients have an effect [yr].
    """
    phase = pairs.phase_advances(horizon_yr)[pairs.exists]
    return MIN_WEIGHT + phase / np.sqrt(1.0 + phase**2)


def pair_features(inputs: Batch, pairs: PlanetPairs, resonant: Array, places: PairVectors) -> Array:
    """Return the features of every pair (b, m, c), with the inner planet first.

    The features are masses, gap, position relative to resonances, and mean squares of
    eccentricities and inclinations relative to the gap. They are constants of the secular motion
    and don't depend on directions.

    Args:
        inputs: Systems at the epoch.
        pairs: Pairs of planets.
        resonant: Corrections by first-order resonances (b, m, 4).
        places: Secular vectors of the pairs at several times.
    """
    ratios = inputs["mass"] / inputs["star_mass"][:, None]
    mass = [np.where(pairs.exists, ratio, 1.0) for ratio in pairs.inner_and_outer(ratios)]
    gap = 1.0 - pairs.alpha
    period = pairs.alpha**-1.5
    # First-order resonances have integer values of this, second-order ones half-integer values.
    order = 1.0 / (period - 1.0)
    nearest = np.maximum(np.rint(order + 1.0), 2.0)
    detuning = (nearest - 1.0) / nearest * period - 1.0
    both = mass[0] + mass[1]
    fading = np.exp(-0.1 * order)
    one, other = places.first, places.second
    size = [np.mean(np.abs(vector) ** 2, axis=1) / gap**2 for vector in (one, other)]
    mixed = np.mean(np.real(one * other.conj()), axis=1) / gap**2
    tilt = np.mean(np.abs(places.first_tilt - places.second_tilt) ** 2, axis=1) / gap**2
    approach = np.maximum(size[0] + size[1] - 2.0 * mixed, 0.0)
    return np.stack(
        [
            *(np.log10(ratio) for ratio in mass),
            np.log(gap),
            np.log(order),
            *(fading * wave(n * np.pi * order) for n in (2, 4) for wave in (np.sin, np.cos)),
            np.arcsinh(detuning / (3.0 * np.sqrt(both))),
            np.log10(both) - 2.0 * np.log10(np.abs(detuning) + 1e-5),
            *(np.log(resonant[..., index] + 1e-3) for index in (0, 1)),
            *(np.sqrt(square) for square in size),
            mixed / np.sqrt(size[0] * size[1] + 1e-12),
            np.sqrt(tilt),
            np.sqrt(approach),
            np.log(approach + 1e-5),
        ],
        axis=-1,
    )
