"""Classical models of the stability of a system, fitted to the training split.

A criterion is one number. A logistic curve of its logarithm gives the probability of surviving
(Platt 1999). The curve affects the calibration, but not the ranking of systems.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from problems.baselines.library import scikit_learn
from problems.cases.stability.features import log, summary_features
from problems.cases.stability.short_run import ShortRun
from problems.cases.stability.theory import amd_ratios, hill_spacing, system_frame_elements
from problems.cases.stability.time_distribution import (
    LEVELS,
    Followed,
    contact_quantiles,
    log_time,
    survival_outputs,
    unstable_edges,
)
from problems.cases.stability.trios import Trios, innermost_first
from problems.interfaces.types import Array, Batch, Run, Split, n_samples

BOOSTING = {
    "learning_rate": 0.05,
    "max_iter": 150,
    "max_leaf_nodes": 8,
    "l2_regularization": 1.0,
    "early_stopping": False,
    "random_state": 0,
}
"""Settings of boosted trees."""


@dataclass(frozen=True)
class StabilityCriterion:
    """A stability criterion that is fitted with a logistic curve.

    Args:
        horizon_orbits: Horizon that a stable system survives, in innermost orbits.
    """

    horizon_orbits: float

    def fit(self, train: Split) -> Run:
        """Return the criterion with the logistic curve of largest likelihood on the training split.

        Raises:
            UserError: scikit-learn is not installed.
        """
        value, followed = self.evaluate(train.inputs, cached=True)
        intact = ~followed.collided
        curve = scikit_learn("linear_model").LogisticRegression(C=np.inf)
        curve.fit(value[intact, None], train.outputs["stable"][intact])
        return LogisticBaseline(
            self,
            float(curve.intercept_[0]),
            float(curve.coef_[0, 0]),
            unstable_edges(train.outputs, self.horizon_orbits),
        )

    @abstractmethod
    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Followed]:
        """Return the value of the criterion (b,) and how far the systems were followed.

        Args:
            inputs: Systems at the epoch.
            cached: Whether a cached short run of equal systems may be used.
        """


@dataclass(frozen=True)
class LogisticBaseline:
    """A criterion with its logistic curve, 1 / (1 + exp(-(intercept + slope * value))).

    Args:
        criterion: Stability criterion.
        intercept: Intercept of the curve.
        slope: Slope of the curve.
        unstable: Edges (k + 1,) of the times of contact of unstable training systems
            [log10 orbits].
    """

    criterion: StabilityCriterion
    intercept: float
    slope: float
    unstable: Array

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the probability of surviving, and times as those of the training split."""
        value, followed = self.criterion.evaluate(inputs)
        logit = np.clip(self.intercept + self.slope * value, -700.0, 700.0)
        shares = np.ones((len(value), len(self.unstable) - 1))
        horizon = self.criterion.horizon_orbits
        quantiles = contact_quantiles(shares, self.unstable, followed, horizon)
        return survival_outputs(1.0 / (1.0 + np.exp(-logit)), quantiles, followed, horizon)


@dataclass(frozen=True)
class HillSpacing(StabilityCriterion):
    """The smaller spacing of both pairs in Hill radii (Gladman 1993; Chambers et al. 1996)."""

    IDENTITY: ClassVar[str] = "stability/hill-spacing"

    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Followed]:  # noqa: ARG002
        """Return the logarithm of the spacing (b,)."""
        spacing = hill_spacing(inputs["mass"], inputs["elements"]).min(axis=-1)
        return log(spacing), Followed.nowhere(n_samples(inputs))


@dataclass(frozen=True)
class AMD(StabilityCriterion):
    """The larger ratio of AMD to critical AMD (Laskar & Petit 2017; Petit et al. 2018)."""

    IDENTITY: ClassVar[str] = "stability/amd"

    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Followed]:  # noqa: ARG002
        """Return the logarithm of the larger ratio for Hill stability (b,)."""
        mass = inputs["mass"]
        ratio = amd_ratios(mass, system_frame_elements(mass, inputs["elements"]))[1].max(axis=-1)
        return log(ratio), Followed.nowhere(n_samples(inputs))


@dataclass(frozen=True)
class MEGNO(StabilityCriterion):
    """The chaos indicator MEGNO of a short run (Cincotta & Simo 2000).

    Args:
        orbits: Length of the short run in innermost orbits.
    """

    IDENTITY: ClassVar[str] = "stability/megno"

    orbits: int

    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Followed]:
        """Return the logarithm of |MEGNO - 2| (b,) and how far the systems were followed."""
        short = ShortRun(self.orbits, chaos=True)
        short_run = short.cached(inputs) if cached else short.run(inputs)
        return log(np.abs(short_run.megno[:, -1] - 2.0)), short_run.followed


@dataclass(frozen=True)
class BoostedTrees:
    """Gradient-boosted trees on the summary of a short run, as in the classifier of SPOCK.

    Args:
        horizon_orbits: Horizon that a stable system survives, in innermost orbits.
        orbits: Length of the short run in innermost orbits.
    """

    IDENTITY: ClassVar[str] = "stability/boosted-trees"

    horizon_orbits: float
    orbits: int

    def fit(self, train: Split) -> Run:
        """Return the trees fitted to the training split.

        Raises:
            UserError: scikit-learn is not installed.
        """
        ensemble = scikit_learn("ensemble")
        run = ShortRun(self.orbits, chaos=True).cached(train.inputs)
        features = summary_features(train.inputs, run, chaos=True)
        trees = ensemble.HistGradientBoostingClassifier(**BOOSTING)
        trees.fit(features, train.outputs["stable"] > 0.0)
        later = (train.outputs["stable"] < 1.0) & ~run.collided
        times = log_time(train.outputs["survival"][later])
        quantiles = [
            ensemble.HistGradientBoostingRegressor(loss="quantile", quantile=level, **BOOSTING)
            for level in LEVELS
        ]
        fitted = [each.fit(features[later], times) for each in quantiles if later.any()]
        return BoostedTreesBaseline(self, trees, fitted)


@dataclass(frozen=True)
class BoostedTreesBaseline:
    """Fitted trees.

    Args:
        settings: Horizon and length of the short run.
        trees: Classifier of scikit-learn.
        quantiles: Regressors of quantiles of the time of contact [log10 orbits]; none where no
            training system outlives the short run and becomes unstable.
    """

    settings: BoostedTrees
    trees: Any
    quantiles: Sequence[Any]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the probability of surviving, the survival time and quantiles of that of contact.

        Quantiles that cross are sorted (Chernozhukov et al., Econometrica 78 (2010) 1093). Systems
        of more than three planets are those of their least stable trio.
        """
        inputs = innermost_first(inputs)
        trios = Trios.of(inputs)
        whole = ShortRun(self.settings.orbits, chaos=True).run(inputs)
        horizon, run = self.settings.horizon_orbits, trios.short_run(whole)
        features = summary_features(trios.inputs, run, chaos=True)
        times = np.full((len(features), len(LEVELS)), np.log10(horizon))
        if self.quantiles:
            times = np.sort([trees.predict(features) for trees in self.quantiles], axis=0).T
        times = np.clip(10.0**times, run.duration_orbits[:, None], horizon)
        times = np.where(run.collided[:, None], run.duration_orbits[:, None], times)
        probability = self.trees.predict_proba(features)[:, 1]
        return survival_outputs(
            *trios.least_stable(probability, times, horizon), whole.followed, horizon
        )
