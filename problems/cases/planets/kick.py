"""A symplectic encoding: a network corrects the secular interaction of pairs of planets."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.planets.couplings import PlanetPairs, planet_pairs
from problems.cases.planets.orbit_averaging import PairVectors, averaged_correction
from problems.cases.planets.resonances import resonant_correction
from problems.cases.planets.secular_fit import fit_corrections
from problems.cases.planets.secular_theories import (
    averaged_theory_correction,
    sample_secular_motion,
    secular_path,
)
from problems.encodings.transforms import nonzero
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
)

LAPLACE_LAGRANGE, RESONANT, AVERAGED = "laplace-lagrange", "resonant", "averaged"
THEORIES = (RESONANT, AVERAGED, LAPLACE_LAGRANGE)
"""Theories that the network corrects: with first-order resonances; with these and the average over
both orbits; to leading order."""

STARTS = (25, 9, 3)
"""Searched numbers of frames of a training system that serve as epochs."""

MAX_FIT_RESIDUAL = 0.1
"""Largest residual of a fit that is used: above it the motion isn't linear."""

MAX_DEVIATION = 0.1
"""Largest difference of fitted corrections from those of the theory."""

LINEAR_RANGE = 0.3
"""Share of the leading order above which the targets grow as the logarithm of corrections."""

MAX_ANSWER = 4.0
"""Limit of predictions in units of `LINEAR_RANGE`: a correction of 8 times the leading order."""

MIN_WEIGHT = 0.1
"""Weight of targets whose coefficients have no effect within the horizon; other weights are larger
by up to 1."""

ERROR_FLOOR = 0.25
"""Smallest `element_error` with fitted coefficients. Measured: 0.12 at size tiny, 0.18 at standard
(Laplace-Lagrange: 0.13 and 0.42)."""

INPUT_LIMIT = 5.0
"""Inputs are clipped to this many scales about their mean."""


@dataclass(frozen=True, eq=False)
class KickEncoding(Encoding):
    """Constants of a pair of planets -> corrections of the coefficients of its secular potential.

    Every pair has an orbit-averaged potential (`couplings`) with four coefficients. A theory gives
    their first values, and the network corrects them. For any prediction the motion is that of a
    sum of quadratic pair potentials: it is symplectic, it conserves the angular momentum deficit
    to rounding, and a permutation of the planets permutes the outputs. These properties hold for
    given coefficients. The coefficients depend on mean squares of e and I, which are only nearly
    constants of the secular motion. Axes are constant, and the phase follows from Kepler's third
    law. The network is called once for all frames.

    Targets are fitted to each training system: the coefficients with which the linear motion
    follows the reference, within `MAX_DEVIATION` of the theory averaged over the orbits. Linear
    motion cannot follow chaotic and resonant systems; their targets are those of the averaged
    theory, and `floor` is the error that remains.

    Args:
        times_yr: Times of the frames [yr].
        theory: Searched: one of `THEORIES`, which the network corrects.
        starts: Searched: number of frames of a training system that serve as epochs.
    """

    IDENTITY: ClassVar[str] = "planets/kick"

    times_yr: tuple[float, ...]
    theory: str = RESONANT
    starts: int = 25

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.VALUE

    @property
    def corrects_baseline(self) -> bool:
        """True: zero outputs are the theory."""
        return True

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen theory and number of starts."""
        fitting = [starts for starts in STARTS if starts <= len(self.times_yr)]
        return {
            "theory": choose.categorical("theory", THEORIES),
            "starts": choose.categorical("starts", fitting),
        }

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
        system = self._system(inputs)
        correction = system.theory.copy()
        predicted = network(self._scaled(system.features)) * self.statistics["answer"]
        correction[system.pairs.exists] += _corrections(predicted / system.weight)
        return secular_path(inputs, system.pairs, correction, np.array(self.times_yr))

    def _unscaled_pairs(self, split: Split) -> tuple[Array, Array]:
        """Return inputs (n, c) and targets (n, 4) of every existing pair at every start."""
        times = np.array(self.times_yr)
        targets: list[Array] = []
        features: list[Array] = []
        deviation = np.zeros(0)
        for number, frame in enumerate(self._frames):
            inputs = split.inputs if frame < 0 else _inputs_at_frame(split, frame)
            system = self._system(inputs)
            averaged = averaged_theory_correction(inputs, system.pairs, self._horizon)
            if not number:
                fit = fit_corrections(split, averaged, times)
                deviation = np.clip(fit.correction - averaged, -MAX_DEVIATION, MAX_DEVIATION)
                deviation *= (fit.residual < MAX_FIT_RESIDUAL)[:, None, None]
            correction = (averaged + deviation - system.theory)[system.pairs.exists]
            targets.append(LINEAR_RANGE * np.arcsinh(correction / LINEAR_RANGE) * system.weight)
            features.append(system.features)
        return np.concatenate(features), np.concatenate(targets)

    @property
    def floor(self) -> float:
        """The smallest `element_error`, reached with the fitted coefficients of every pair."""
        return ERROR_FLOOR

    @property
    def _frames(self) -> list[int]:
        """Frames of the starts: -1 is the epoch, which is always the first."""
        last = len(self.times_yr) - 1
        return [round(frame) for frame in np.linspace(-1, last, self.starts, endpoint=False)]

    @property
    def _horizon(self) -> float:
        return self.times_yr[-1]

    def _scaled(self, features: Array) -> Array:
        scaled = (features - self.statistics["mean"]) / self.statistics["scale"]
        return np.clip(scaled, -INPUT_LIMIT, INPUT_LIMIT).astype(np.float32)

    def _system(self, inputs: Batch) -> "_Systems":
        pairs = planet_pairs(inputs)
        resonant = resonant_correction(pairs)
        places = sample_secular_motion(inputs, pairs, resonant, self._horizon)
        theory = np.zeros_like(resonant) if self.theory == LAPLACE_LAGRANGE else resonant
        if self.theory == AVERAGED:
            theory = resonant + averaged_correction(pairs, places)
        phase_advances = pairs.phase_advances(self._horizon)[pairs.exists]
        features = pair_features(inputs, pairs, resonant, places)[pairs.exists]
        return _Systems(
            pairs, theory, features, MIN_WEIGHT + phase_advances / np.sqrt(1.0 + phase_advances**2)
        )


@dataclass(frozen=True)
class _Systems:
    """Pairs of systems with their features, theory and weights.

    Args:
        pairs: Pairs of planets.
        theory: Corrections (b, m, 4) by the theory.
        features: Inputs of the network for every existing pair (n, c).
        weight: Weights of targets (n, 4), larger for coefficients with an early effect.
    """

    pairs: PlanetPairs
    theory: Array
    features: Array
    weight: Array


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


def _inputs_at_frame(split: Split, frame: int) -> Batch:
    """Return inputs whose epoch is a frame of the reference."""
    exists = (split.inputs["mass"] > 0.0)[..., None]
    elements = np.where(exists, split.outputs["elements"][:, frame], split.inputs["elements"])
    return {**split.inputs, "elements": elements}


def _corrections(predicted: Array) -> Array:
    """Return the corrections (n, 4) of predicted targets (n, 4): the inverse of the arcsinh."""
    return LINEAR_RANGE * np.sinh(np.clip(predicted / LINEAR_RANGE, -MAX_ANSWER, MAX_ANSWER))
