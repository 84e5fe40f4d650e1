"""The encoding of a short run: a network corrects the secular motion that is fitted to it."""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np

from problems.cases.planets.early_run import ContinuedEarlyRun, EarlyMotion, EarlyRun
from problems.cases.planets.secular_encoding import (
    MAX_DEVIATION,
    MAX_FIT_RESIDUAL,
    PairSystems,
    SecularEncoding,
    coefficient_weights,
    pair_features,
)
from problems.cases.planets.secular_fit import fit_corrections
from problems.interfaces.types import Array, Batch, Choose, Run, Settings, Split

ERROR_FLOOR = 0.4
"""Bound of the `element_error` with exact targets, 0.27 at size standard after 1,000 years: the
motion starts from the vectors of the short run, which no target corrects."""


@dataclass(frozen=True, eq=False)
class EarlyMotionEncoding(SecularEncoding):
    """Features of a pair and of a short run -> corrections of the motion fitted to that run.

    The short run is part of a surrogate, and its time is counted. Without a network the fitted
    motion is continued to the horizon. Its error is that of frequencies, which a short run can't
    tell from short-period and resonant variations: the network learns by how much the fit to the
    whole horizon differs from that to the short run.

    Args:
        times_yr: Times of the frames [yr].
        durations_yr: Lengths of the short run on offer [yr].
        duration_yr: Searched: length of the short run [yr].
    """

    IDENTITY: ClassVar[str] = "planets/early"

    durations_yr: tuple[float, ...]
    duration_yr: float
    cached: bool = field(default=False, kw_only=True)

    @property
    def corrected_baseline(self) -> Run:
        """The motion fitted to the short run, continued to the horizon."""
        return ContinuedEarlyRun(self.times_yr, self.duration_yr)

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen length of the short run."""
        return {"duration_yr": choose.categorical("duration_yr", self.durations_yr)}

    def remembering(self) -> Self:
        """Return this encoding with a cache of short runs."""
        return replace(self, cached=True)

    def _unscaled_pairs(self, split: Split) -> tuple[Array, Array]:
        """Return inputs (n, c) and targets (n, 4) of every existing pair."""
        motion = self._run.cached(split.inputs)
        systems = self._pair_systems(motion)
        whole = Split(motion.epoch, split.outputs)
        fit = fit_corrections(whole, motion.correction, np.array(self.times_yr))
        deviation = np.clip(fit.correction - motion.correction, -MAX_DEVIATION, MAX_DEVIATION)
        deviation *= (fit.residual < MAX_FIT_RESIDUAL)[:, None, None]
        return systems.features, systems.targets(motion.correction + deviation)

    @property
    def floor(self) -> float:
        """The smallest `element_error`, reached with the coefficients fitted to the whole path."""
        return ERROR_FLOOR

    @property
    def _run(self) -> EarlyRun:
        return EarlyRun(self.duration_yr, self._horizon)

    def _systems(self, inputs: Batch) -> PairSystems:
        run = self._run
        return self._pair_systems(run.cached(inputs) if self.cached else run.motion(inputs))

    def _pair_systems(self, motion: EarlyMotion) -> PairSystems:
        pairs = motion.pairs
        features = pair_features(motion.epoch, pairs, motion.resonant, motion.places)
        fitted = np.arcsinh((motion.correction - motion.theory) / MAX_DEVIATION)
        seen = coefficient_weights(pairs, self.duration_yr)
        residual = np.broadcast_to(motion.residual[:, None, None], (*pairs.exists.shape, 1))
        residual = np.log(residual[pairs.exists] + np.finfo(np.float32).eps)
        read = [features[pairs.exists], fitted[pairs.exists], seen, residual]
        weight = coefficient_weights(pairs, self._horizon)
        features = np.concatenate(read, axis=1)
        return PairSystems(motion.epoch, pairs, motion.correction, features, weight)
