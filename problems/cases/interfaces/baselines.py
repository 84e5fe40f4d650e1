"""Classical models beside those that every problem gets: one number, and support vectors."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from problems.baselines.library import scikit_learn
from problems.cases.interfaces.descriptors import DESCRIPTORS
from problems.cases.interfaces.encodings import DescriptorsEncoding, descriptor_table
from problems.cases.interfaces.simulation import LABEL
from problems.interfaces.types import Array, Batch, Run, Split

APOLAR = DESCRIPTORS.index("AA")

FOLDS = 5
"""Folds by which distances from the separating surface become probabilities."""


@dataclass(frozen=True)
class DescriptorClassifier(ABC):
    """A classifier of scikit-learn on the descriptors.

    Args:
        label: Name of the output.
    """

    label: str = LABEL

    def fit(self, train: Split) -> Run:
        """Return the model fitted to the training split.

        Raises:
            UserError: scikit-learn is not installed.
        """
        rows, model = self.untrained(train)
        model.fit(rows(train.inputs), np.asarray(train.outputs[self.label]) > 0.5)
        return FittedClassifier(self.label, model, rows)

    @abstractmethod
    def untrained(self, train: Split) -> tuple[Callable[[Batch], Array], Any]:
        """Return the function that gives rows (b, c) of inputs, and the classifier.

        Args:
            train: Training samples, by which rows are scaled.
        """


@dataclass(frozen=True)
class ApolarContacts(DescriptorClassifier):
    """A logistic function of the number of contacts between apolar residues."""

    IDENTITY: ClassVar[str] = "interfaces/apolar-contacts"

    def untrained(self, train: Split) -> tuple[Callable[[Batch], Array], Any]:  # noqa: ARG002
        """Return the square root of the number (b, 1), and the logistic function."""
        return apolar_contacts, scikit_learn("linear_model").LogisticRegression(C=np.inf)


@dataclass(frozen=True)
class SupportVectors(DescriptorClassifier):
    """Support vectors with a Gaussian kernel on the descriptors, counts as square roots.

    Sources: Cortes & Vapnik, Mach. Learn. 20 (1995) 273; Platt 1999 (probabilities).
    """

    IDENTITY: ClassVar[str] = "interfaces/support-vectors"

    def untrained(self, train: Split) -> tuple[Callable[[Batch], Array], Any]:
        """Return the standardised descriptors (b, 27), and the classifier."""
        encoding = DescriptorsEncoding(self.label).fit(train)
        classifier = scikit_learn("svm").SVC(gamma="scale", C=1.0)
        calibration = scikit_learn("calibration").CalibratedClassifierCV
        model = calibration(classifier, method="sigmoid", cv=FOLDS, ensemble=False)
        return encoding.network_input, model


@dataclass(frozen=True)
class FittedClassifier:
    """A fitted classifier.

    Args:
        label: Name of the output.
        model: Classifier of scikit-learn.
        rows: Function of the inputs that gives the rows (b, c) which the model reads.
    """

    label: str
    model: Any
    rows: Callable[[Batch], Array]

    def __call__(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return the probability of being biological (b,)."""
        return {self.label: self.model.predict_proba(self.rows(inputs))[:, 1]}


def apolar_contacts(inputs: Batch) -> Array:
    """Return the square root of the number of contacts between apolar residues (b, 1)."""
    return np.sqrt(descriptor_table(inputs)[:, APOLAR : APOLAR + 1])
