"""Classical ways to tell a system's fate, each a probability that is fitted to the training split.

A criterion is one number, and a logistic curve of its logarithm the probability (Platt 1999): the
curve has no say in the order, only in the calibration.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from problems.cases.stability.encodings import mean_unstable_survival, survival_outputs
from problems.cases.stability.features import log, summary_features
from problems.cases.stability.short_run import ShortRun
from problems.cases.stability.theory import amd_ratios, hill_spacing, system_frame_elements
from problems.errors import MissingExtraError
from problems.interfaces.types import Array, Batch, Run, Split, n_samples

BOOSTING_SEED = 0


@dataclass(frozen=True)
class StabilityCriterion:
    """One number of a system, fitted as a logistic curve.

    Args:
        horizon_orbits: What is to be survived.
    """

    horizon_orbits: float

    def fit(self, train: Split) -> Run:
        """Return the curve that is most likely on the training split.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        value, collided = self.evaluate(train.inputs, cached=True)
        unknown = ~collided
        curve = _linear().LogisticRegression(C=np.inf)
        curve.fit(value[unknown, None], train.outputs["stable"][unknown])
        return LogisticBaseline(
            self,
            float(curve.intercept_[0]),
            float(curve.coef_[0, 0]),
            float(mean_unstable_survival(train.outputs)[0]),
        )

    @abstractmethod
    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Array]:
        """Return the number (b,), and which systems (b,) were seen to be unstable.

        Args:
            inputs: Systems.
            remembered: Whether a short run of the same systems may be used again.
        """


@dataclass(frozen=True)
class LogisticBaseline:
    """A criterion with its curve: 1 / (1 + exp(-(intercept + slope * number)))."""

    criterion: StabilityCriterion
    intercept: float
    slope: float
    unstable_survival: float

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the probability of surviving."""
        value, collided = self.criterion.evaluate(inputs)
        logit = np.clip(self.intercept + self.slope * value, -700.0, 700.0)
        probability = np.where(collided, 0.0, 1.0 / (1.0 + np.exp(-logit)))
        return survival_outputs(probability, self.unstable_survival, self.criterion.horizon_orbits)


@dataclass(frozen=True)
class HillSpacing(StabilityCriterion):
    """The closer pair's distance in mutual Hill radii (Gladman 1993; Chambers et al. 1996)."""

    IDENTITY: ClassVar[str] = "stability/hill-spacing"

    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Array]:  # noqa: ARG002
        """Return its logarithm."""
        spacing = hill_spacing(inputs["mass"], inputs["elements"]).min(axis=-1)
        return log(spacing), np.zeros(n_samples(inputs), dtype=bool)


@dataclass(frozen=True)
class AMD(StabilityCriterion):
    """The AMD over the critical one of the worse pair (Laskar & Petit 2017, Petit et al. 2018)."""

    IDENTITY: ClassVar[str] = "stability/amd"

    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Array]:  # noqa: ARG002
        """Return the logarithm of the larger ratio, for Hill stability."""
        mass = inputs["mass"]
        ratio = amd_ratios(mass, system_frame_elements(mass, inputs["elements"]))[1].max(axis=-1)
        return log(ratio), np.zeros(n_samples(inputs), dtype=bool)


@dataclass(frozen=True)
class MEGNO(StabilityCriterion):
    """Chaos seen in a short run (Cincotta & Simo 2000).

    Args:
        orbits: Of the short run.
    """

    IDENTITY: ClassVar[str] = "stability/megno"

    orbits: int

    def evaluate(self, inputs: Batch, *, cached: bool = False) -> tuple[Array, Array]:
        """Return the logarithm of MEGNO's departure from 2."""
        short = ShortRun(self.orbits, chaos=True)
        short_run = short.cached(inputs) if cached else short.run(inputs)
        return log(np.abs(short_run.megno[:, -1] - 2.0)), short_run.collided


@dataclass(frozen=True)
class BoostedTrees:
    """Gradient-boosted trees on the summary of a short run, as SPOCK's classifier is.

    Args:
        horizon_orbits: What is to be survived.
        orbits: Of the short run.
    """

    IDENTITY: ClassVar[str] = "stability/boosted-trees"

    horizon_orbits: float
    orbits: int

    def fit(self, train: Split) -> Run:
        """Return the trees that the training split grows.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        short = ShortRun(self.orbits, chaos=True)
        seen = summary_features(train.inputs, short.cached(train.inputs), chaos=True)
        trees = _ensemble().HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=150,
            max_leaf_nodes=8,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=BOOSTING_SEED,
        )
        trees.fit(seen, train.outputs["stable"] > 0.0)
        return BoostedTreesBaseline(self, trees, float(mean_unstable_survival(train.outputs)[0]))


@dataclass(frozen=True)
class BoostedTreesBaseline:
    """Trees that were grown."""

    settings: BoostedTrees
    trees: Any
    unstable_survival: float

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the probability of surviving."""
        short_run = ShortRun(self.settings.orbits, chaos=True).run(inputs)
        answer = self.trees.predict_proba(summary_features(inputs, short_run, chaos=True))[:, 1]
        probability = np.where(short_run.collided, 0.0, answer)
        return survival_outputs(probability, self.unstable_survival, self.settings.horizon_orbits)


def _linear() -> Any:
    try:
        from sklearn import linear_model  # noqa: PLC0415 - an extra, imported where it is used
    except ImportError:
        raise MissingExtraError("scikit-learn", "cases", "baselines of 'stability'") from None
    return linear_model


def _ensemble() -> Any:
    try:
        from sklearn import ensemble  # noqa: PLC0415 - an extra, imported where it is used
    except ImportError:
        raise MissingExtraError("scikit-learn", "cases", "baselines of 'stability'") from None
    return ensemble
