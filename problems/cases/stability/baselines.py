"""Classical models of the stability of a system, fitted to the training split.

A criterion is one number. A logistic curve of its logarithm gives the probability of surviving
(Platt 1999). The curve affects the calibration, but not the ranking of systems.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from problems.baselines.library import scikit_learn
from problems.cases.stability.encodings import mean_unstable_survival, survival_outputs
from problems.cases.stability.features import log, summary_features
from problems.cases.stability.short_run import ShortRun
from problems.cases.stability.theory import amd_ratios, hill_spacing, system_frame_elements
from problems.interfaces.types import Array, Batch, Run, Split, n_samples

BOOSTING_SEED = 0


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
        value, collided = self.evaluate(train.inputs, cached=True)
        intact = ~collided
        curve = scikit_learn("linear_model").LogisticRegression(C=np.inf)
        curve.fit(value[intact, None], train.outputs["stable"][intact])
        return LogisticBaseline(
            self,
            float(curve.intercept_[0]),
            float(curve.coef_[0, 0]),
            float(mean_unstable_survival(train.outputs)[0]),
        )

    @abstractmethod
    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Array]:
        """Return the value of the criterion (b,) and which systems have collided (b,).

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
        unstable_survival: Mean survival time of unstable training systems [orbits].
    """

    criterion: StabilityCriterion
    intercept: float
    slope: float
    unstable_survival: float

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the probability of surviving and the expected survival time."""
        value, collided = self.criterion.evaluate(inputs)
        logit = np.clip(self.intercept + self.slope * value, -700.0, 700.0)
        probability = np.where(collided, 0.0, 1.0 / (1.0 + np.exp(-logit)))
        return survival_outputs(probability, self.unstable_survival, self.criterion.horizon_orbits)


@dataclass(frozen=True)
class HillSpacing(StabilityCriterion):
    """The smaller spacing of both pairs in Hill radii (Gladman 1993; Chambers et al. 1996)."""

    IDENTITY: ClassVar[str] = "stability/hill-spacing"

    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Array]:  # noqa: ARG002
        """Return the logarithm of the spacing (b,)."""
        spacing = hill_spacing(inputs["mass"], inputs["elements"]).min(axis=-1)
        return log(spacing), np.zeros(n_samples(inputs), dtype=bool)


@dataclass(frozen=True)
class AMD(StabilityCriterion):
    """The larger ratio of AMD to critical AMD (Laskar & Petit 2017; Petit et al. 2018)."""

    IDENTITY: ClassVar[str] = "stability/amd"

    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Array]:  # noqa: ARG002
        """Return the logarithm of the larger ratio for Hill stability (b,)."""
        mass = inputs["mass"]
        ratio = amd_ratios(mass, system_frame_elements(mass, inputs["elements"]))[1].max(axis=-1)
        return log(ratio), np.zeros(n_samples(inputs), dtype=bool)


@dataclass(frozen=True)
class MEGNO(StabilityCriterion):
    """The chaos indicator MEGNO of a short run (Cincotta & Simo 2000).

    Args:
        orbits: Length of the short run in innermost orbits.
    """

    IDENTITY: ClassVar[str] = "stability/megno"

    orbits: int

    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Array]:
        """Return the logarithm of |MEGNO - 2| (b,) and which systems have collided (b,)."""
        short = ShortRun(self.orbits, chaos=True)
        short_run = short.cached(inputs) if cached else short.run(inputs)
        return log(np.abs(short_run.megno[:, -1] - 2.0)), short_run.collided


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
        short = ShortRun(self.orbits, chaos=True)
        features = summary_features(train.inputs, short.cached(train.inputs), chaos=True)
        trees = scikit_learn("ensemble").HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=150,
            max_leaf_nodes=8,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=BOOSTING_SEED,
        )
        trees.fit(features, train.outputs["stable"] > 0.0)
        return BoostedTreesBaseline(self, trees, float(mean_unstable_survival(train.outputs)[0]))


@dataclass(frozen=True)
class BoostedTreesBaseline:
    """Fitted trees.

    Args:
        settings: Horizon and length of the short run.
        trees: Classifier of scikit-learn.
        unstable_survival: Mean survival time of unstable training systems [orbits].
    """

    settings: BoostedTrees
    trees: Any
    unstable_survival: float

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the probability of surviving and the expected survival time."""
        short_run = ShortRun(self.settings.orbits, chaos=True).run(inputs)
        features = summary_features(inputs, short_run, chaos=True)
        probability = self.trees.predict_proba(features)[:, 1]
        probability = np.where(short_run.collided, 0.0, probability)
        return survival_outputs(probability, self.unstable_survival, self.settings.horizon_orbits)
