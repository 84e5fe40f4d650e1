"""A symplectic encoding: the motion of single planets is kept, a network gives what pairs do."""

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
"""Where a network's corrections start: leading order, with first-order resonances, averaged too."""

STARTS = (25, 9, 3)
"""From so many frames of a training system its corrections are learned."""

MAX_FIT_RESIDUAL = 0.1
"""A fit is believed where its residual is below this: elsewhere the motion isn't linear."""

MAX_DEVIATION = 0.1
"""Fitted corrections count within so much of the theory's."""

LINEAR_RANGE = 0.3
"""Corrections beyond this share of the leading order are learned as their logarithm."""

MAX_ANSWER = 4.0
"""Answers are held within so many units: e^4 of them are 8 times the leading order."""

MIN_WEIGHT = 0.1
"""Weight of targets whose coefficients turn nothing within the horizon; others: up to 1 more."""

ERROR_FLOOR = 0.25
"""Of the error. Measured: 0.12 at size tiny, 0.18 at standard (Laplace-Lagrange: 0.13 and 0.42)."""

INPUT_LIMIT = 5.0
"""Inputs are held within so many scales of their mean."""


@dataclass(frozen=True, eq=False)
class KickEncoding(Encoding):
    """Constants of a pair of planets -> what corrects the coefficients of its secular potential.

    Every pair has an orbit-averaged potential (`couplings`) whose four coefficients start from a
    theory and are corrected by one answer of the network. Whatever it answers, the motion is that
    of a sum of quadratic pair potentials: symplectic, the angular momentum deficit conserved to
    rounding, and a permutation of the planets permutes the answer. That holds at the coefficients
    of a run; they read mean squares of e and I, which are constants of the secular motion only
    nearly. Axes are constants; the phase follows from Kepler's third law. The network is asked once
    for all frames.

    What it learns is fitted to each training system: the coefficients with which the linear motion
    follows the reference, from the theory averaged over the orbits, within `FARTHEST` of it.
    Chaotic and resonant systems, which no linear motion follows, teach the theory alone: `floor`
    says what is left.

    Args:
        times_yr: Times of the frames.
        theory: Searched: one of `THEORIES`, where the corrections start.
        starts: Searched: frames of a training system that serve as epochs of their own.
    """

    IDENTITY: ClassVar[str] = "planets/kick"

    times_yr: tuple[float, ...]
    theory: str = RESONANT
    starts: int = 25

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.VALUE

    def settings(self, choose: Choose) -> Settings:
        """Choose the theory and the number of starts."""
        fitting = [starts for starts in STARTS if starts <= len(self.times_yr)]
        return {
            "theory": choose.categorical("theory", THEORIES),
            "starts": choose.categorical("starts", fitting),
        }

    def measure(self, train: Split) -> Batch:
        """Return means and scales of the inputs, and scales of the targets, over all pairs."""
        inputs, targets = self._unscaled_pairs(train)
        scale, answer = inputs.std(axis=0), np.sqrt(np.mean(targets**2, axis=0))
        return {
            "mean": inputs.mean(axis=0),
            "scale": nonzero(scale),
            "answer": nonzero(answer),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return every pair of planets at every start: inputs (n, c), targets (n, 4)."""
        inputs, targets = self._unscaled_pairs(split)
        targets = targets / self.statistics["answer"]
        return Pairs(inputs=self._scaled(inputs), targets=targets.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Ask for every pair's corrections, once, and return elements and states at every frame."""
        system = self._system(inputs)
        correction = system.theory.copy()
        answer = network(self._scaled(system.features)) * self.statistics["answer"]
        correction[system.pairs.exists] += _grown(answer / system.weight)
        return secular_path(inputs, system.pairs, correction, np.array(self.times_yr))

    def _unscaled_pairs(self, split: Split) -> tuple[Array, Array]:
        """Return inputs (n, c) and targets (n, 4) of every existing pair at every start."""
        times = np.array(self.times_yr)
        learned: list[Array] = []
        read: list[Array] = []
        deviation = np.zeros(0)
        for number, frame in enumerate(self._frames):
            inputs = split.inputs if frame < 0 else _begun(split, frame)
            system = self._system(inputs)
            averaged = averaged_theory_correction(inputs, system.pairs, self._horizon)
            if not number:
                fit = fit_corrections(split, averaged, times)
                deviation = np.clip(fit.correction - averaged, -MAX_DEVIATION, MAX_DEVIATION)
                deviation *= (fit.residual < MAX_FIT_RESIDUAL)[:, None, None]
            wanted = (averaged + deviation - system.theory)[system.pairs.exists]
            learned.append(LINEAR_RANGE * np.arcsinh(wanted / LINEAR_RANGE) * system.weight)
            read.append(system.features)
        return np.concatenate(read), np.concatenate(learned)

    @property
    def floor(self) -> float:
        """Return what is left of `element_error` where every fitted coefficient is known."""
        return ERROR_FLOOR

    @property
    def _frames(self) -> list[int]:
        """Frames to start from: -1 is the epoch, always the first."""
        last = len(self.times_yr) - 1
        return [round(place) for place in np.linspace(-1, last, self.starts, endpoint=False)]

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
    """Systems as a network is told of them.

    Args:
        pairs: Their pairs of planets.
        theory: Corrections (b, m, 4) to start from.
        features: What a network reads (n, c) of every existing pair.
        weight: What a target weighs (n, 4): much where its coefficient turns an orbit soon.
    """

    pairs: PlanetPairs
    theory: Array
    features: Array
    weight: Array


def pair_features(inputs: Batch, pairs: PlanetPairs, resonant: Array, places: PairVectors) -> Array:
    """Return what a network reads (b, m, c) of every pair, the inner planet first.

    Masses, gap, place among the resonances, and the mean squares of eccentricities and inclinations
    over the gap: constants of the secular motion, of which none tells a direction.
    """
    ratios = inputs["mass"] / inputs["star_mass"][:, None]
    mass = [np.where(pairs.exists, each, 1.0) for each in pairs.inner_and_outer(ratios)]
    gap = 1.0 - pairs.alpha
    period = pairs.alpha**-1.5
    # Resonances of first order lie at whole numbers of this, of second order at halves.
    order = 1.0 / (period - 1.0)
    nearest = np.maximum(np.rint(order + 1.0), 2.0)
    detuning = (nearest - 1.0) / nearest * period - 1.0
    both = mass[0] + mass[1]
    faded = np.exp(-0.1 * order)
    one, other = places.first, places.second
    size = [np.mean(np.abs(each) ** 2, axis=1) / gap**2 for each in (one, other)]
    mixed = np.mean(np.real(one * other.conj()), axis=1) / gap**2
    tilt = np.mean(np.abs(places.first_tilt - places.second_tilt) ** 2, axis=1) / gap**2
    approach = np.maximum(size[0] + size[1] - 2.0 * mixed, 0.0)
    return np.stack(
        [
            *(np.log10(each) for each in mass),
            np.log(gap),
            np.log(order),
            *(faded * wave(n * np.pi * order) for n in (2, 4) for wave in (np.sin, np.cos)),
            np.arcsinh(detuning / (3.0 * np.sqrt(both))),
            np.log10(both) - 2.0 * np.log10(np.abs(detuning) + 1e-5),
            *(np.log(resonant[..., place] + 1e-3) for place in (0, 1)),
            *(np.sqrt(each) for each in size),
            mixed / np.sqrt(size[0] * size[1] + 1e-12),
            np.sqrt(tilt),
            np.sqrt(approach),
            np.log(approach + 1e-5),
        ],
        axis=-1,
    )


def _begun(split: Split, frame: int) -> Batch:
    """Return inputs that begin at a frame of the reference."""
    exists = (split.inputs["mass"] > 0.0)[..., None]
    elements = np.where(exists, split.outputs["elements"][:, frame], split.inputs["elements"])
    return {**split.inputs, "elements": elements}


def _grown(answer: Array) -> Array:
    """Undo the arcsinh with which corrections are learned."""
    return LINEAR_RANGE * np.sinh(np.clip(answer / LINEAR_RANGE, -MAX_ANSWER, MAX_ANSWER))
