"""Classical ways to tell a system's fate, each a probability that is fitted to the training split.

A criterion is one number, and a logistic curve of its logarithm the probability (Platt 1999): the
curve has no say in the order, only in the calibration.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from problems.cases.stability.encodings import typical_survival, with_survival
from problems.cases.stability.features import log, summary
from problems.cases.stability.short_run import ShortRun
from problems.cases.stability.theory import amd_ratios, hill_spacing, own_elements
from problems.errors import MissingExtraError
from problems.interfaces.types import Array, Batch, Run, Split, n_samples

FOREST_SEED = 0


@dataclass(frozen=True)
class Criterion:
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
        value, met = self.judged(train.inputs, remembered=True)
        unknown = ~met
        curve = _linear().LogisticRegression(C=np.inf)
        curve.fit(value[unknown, None], train.outputs["stable"][unknown])
        return Fitted(
            self,
            float(curve.intercept_[0]),
            float(curve.coef_[0, 0]),
            float(typical_survival(train.outputs)[0]),
        )

    @abstractmethod
    def judged(self, inputs: Batch, *, remembered: bool = False) -> tuple[Array, Array]:
        """Return the number (b,), and which systems (b,) were seen to be unstable.

        Args:
            inputs: Systems.
            remembered: Whether a short run of the same systems may be used again.
        """


@dataclass(frozen=True)
class Fitted:
    """A criterion with its curve: 1 / (1 + exp(-(intercept + slope * number)))."""

    criterion: Criterion
    intercept: float
    slope: float
    unstable: float

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the probability of surviving."""
        value, met = self.criterion.judged(inputs)
        logit = np.clip(self.intercept + self.slope * value, -700.0, 700.0)
        probability = np.where(met, 0.0, 1.0 / (1.0 + np.exp(-logit)))
        return with_survival(probability, self.unstable, self.criterion.horizon_orbits)


@dataclass(frozen=True)
class HillSpacing(Criterion):
    """The closer pair's distance in mutual Hill radii (Gladman 1993; Chambers et al. 1996)."""

    IDENTITY: ClassVar[str] = "stability/hill-spacing"

    def judged(self, inputs: Batch, *, remembered: bool = False) -> tuple[Array, Array]:  # noqa: ARG002
        """Return its logarithm."""
        spacing = hill_spacing(inputs["mass"], inputs["elements"]).min(axis=-1)
        return log(spacing), np.zeros(n_samples(inputs), dtype=bool)


@dataclass(frozen=True)
class AMD(Criterion):
    """The AMD over the critical one of the worse pair (Laskar & Petit 2017, Petit et al. 2018)."""

    IDENTITY: ClassVar[str] = "stability/amd"

    def judged(self, inputs: Batch, *, remembered: bool = False) -> tuple[Array, Array]:  # noqa: ARG002
        """Return the logarithm of the larger ratio, for Hill stability."""
        mass = inputs["mass"]
        ratio = amd_ratios(mass, own_elements(mass, inputs["elements"]))[1].max(axis=-1)
        return log(ratio), np.zeros(n_samples(inputs), dtype=bool)


@dataclass(frozen=True)
class MEGNO(Criterion):
    """Chaos seen in a short run (Cincotta & Simo 2000).

    Args:
        orbits: Of the short run.
    """

    IDENTITY: ClassVar[str] = "stability/megno"

    orbits: int

    def judged(self, inputs: Batch, *, remembered: bool = False) -> tuple[Array, Array]:
        """Return the logarithm of MEGNO's departure from 2."""
        short = ShortRun(self.orbits, chaos=True)
        begun = short.remembered(inputs) if remembered else short.run(inputs)
        return log(np.abs(begun.megno[:, -1] - 2.0)), begun.met


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
        seen = summary(train.inputs, short.remembered(train.inputs), chaos=True)
        trees = _ensemble().HistGradientBoostingClassifier(
            learning_rate=0.05,
            max_iter=150,
            max_leaf_nodes=8,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=FOREST_SEED,
        )
        trees.fit(seen, train.outputs["stable"] > 0.0)
        return Grown(self, trees, float(typical_survival(train.outputs)[0]))


@dataclass(frozen=True)
class Grown:
    """Trees that were grown."""

    recipe: BoostedTrees
    trees: Any
    unstable: float

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the probability of surviving."""
        begun = ShortRun(self.recipe.orbits, chaos=True).run(inputs)
        answer = self.trees.predict_proba(summary(inputs, begun, chaos=True))[:, 1]
        probability = np.where(begun.met, 0.0, answer)
        return with_survival(probability, self.unstable, self.recipe.horizon_orbits)


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
