"""A symplectic encoding: a network corrects the secular interaction of pairs of planets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.planets.baselines import AveragedSecular, LaplaceLagrange, ResonantSecular
from problems.cases.planets.couplings import planet_pairs
from problems.cases.planets.orbit_averaging import averaged_correction
from problems.cases.planets.resonances import resonant_correction
from problems.cases.planets.secular_encoding import (
    MAX_DEVIATION,
    MAX_FIT_RESIDUAL,
    PairSystems,
    SecularEncoding,
    coefficient_weights,
    pair_features,
)
from problems.cases.planets.secular_fit import fit_corrections
from problems.cases.planets.secular_theories import (
    averaged_theory_correction,
    sample_secular_motion,
)
from problems.interfaces.types import Array, Batch, Choose, Run, Settings, Split

LAPLACE_LAGRANGE, RESONANT, AVERAGED = "laplace-lagrange", "resonant", "averaged"
THEORIES = (RESONANT, AVERAGED, LAPLACE_LAGRANGE)
"""Theories that the network corrects: with first-order resonances; with these and the average over
both orbits; to leading order."""

BASELINES: dict[str, Callable[[tuple[float, ...]], Run]] = {
    LAPLACE_LAGRANGE: LaplaceLagrange,
    RESONANT: ResonantSecular,
    AVERAGED: AveragedSecular,
}
"""The theories as baselines, made from the times of the frames [yr]."""

STARTS = (25, 9, 3)
"""Searched numbers of frames of a training system that serve as epochs."""

ERROR_FLOOR = 0.25
"""Smallest `element_error` with fitted coefficients. Measured: 0.12 at size tiny, 0.18 at standard
(Laplace-Lagrange: 0.13 and 0.42)."""


@dataclass(frozen=True, eq=False)
class KickEncoding(SecularEncoding):
    """Constants of a pair of planets -> corrections of the coefficients of its secular potential.

    A theory gives the first values of the coefficients, and the network corrects them. The motion
    is symplectic for given coefficients. They depend on mean squares of e and I, which are only
    nearly constants of the secular motion.

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

    theory: str = RESONANT
    starts: int = 25

    @property
    def corrected_baseline(self) -> Run:
        """The theory that the network corrects."""
        return BASELINES[self.theory](self.times_yr)

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen theory and number of starts."""
        fitting = [starts for starts in STARTS if starts <= len(self.times_yr)]
        return {
            "theory": choose.categorical("theory", THEORIES),
            "starts": choose.categorical("starts", fitting),
        }

    def _unscaled_pairs(self, split: Split) -> tuple[Array, Array]:
        """Return inputs (n, c) and targets (n, 4) of every existing pair at every start."""
        times = np.array(self.times_yr)
        targets: list[Array] = []
        features: list[Array] = []
        deviation = np.zeros(0)
        for number, frame in enumerate(self._frames):
            inputs = split.inputs if frame < 0 else _inputs_at_frame(split, frame)
            systems = self._systems(inputs)
            averaged = averaged_theory_correction(inputs, systems.pairs, self._horizon)
            if not number:
                fit = fit_corrections(split, averaged, times)
                deviation = np.clip(fit.correction - averaged, -MAX_DEVIATION, MAX_DEVIATION)
                deviation *= (fit.residual < MAX_FIT_RESIDUAL)[:, None, None]
            targets.append(systems.targets(averaged + deviation))
            features.append(systems.features)
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

    def _systems(self, inputs: Batch) -> PairSystems:
        pairs = planet_pairs(inputs)
        resonant = resonant_correction(pairs)
        places = sample_secular_motion(inputs, pairs, resonant, self._horizon)
        theory = np.zeros_like(resonant) if self.theory == LAPLACE_LAGRANGE else resonant
        if self.theory == AVERAGED:
            theory = resonant + averaged_correction(pairs, places)
        features = pair_features(inputs, pairs, resonant, places)[pairs.exists]
        weight = coefficient_weights(pairs, self._horizon)
        return PairSystems(inputs, pairs, theory, features, weight)


def _inputs_at_frame(split: Split, frame: int) -> Batch:
    """Return inputs whose epoch is a frame of the reference."""
    exists = (split.inputs["mass"] > 0.0)[..., None]
    elements = np.where(exists, split.outputs["elements"][:, frame], split.inputs["elements"])
    return {**split.inputs, "elements": elements}
