"""Classifiers for labels: probabilities of an event, or of each class."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from problems.baselines.library import scikit_learn
from problems.baselines.training_rows import FittedModel, InputScaling, TrainingRows, subset_note
from problems.baselines.trees import MAX_LEAVES, forest_trees, leaf_rows
from problems.errors import UserError
from problems.interfaces.types import Array

MAX_ROWS = 50_000
MAX_ITERATIONS = 1_000
FOLDS = 5
CLASSIFIER_NEIGHBOURS = (5, 15, 45)
PROCESS_ROWS = 400
"""Rows of a Gaussian process; the cost of its fit grows as their cube, for each class."""

STRENGTHS = (0.01, 0.1, 1.0, 10.0, 100.0)
BOOSTING_ROUNDS = 100


@dataclass(frozen=True)
class ClassProbabilities:
    """A classifier of scikit-learn as a network of labels, (b, ...) -> (b, o).

    Args:
        scaling: Standardises the inputs.
        classifier: Has `predict_proba` and `classes_`.
        classes: Number of outputs; with 1 it is the probability of the event.
    """

    scaling: InputScaling
    classifier: Any
    classes: int

    def __call__(self, inputs: Array) -> Array:
        """Return the probability of the event (b, 1), or of each class (b, o)."""
        rows = self.scaling(inputs)
        every = np.zeros((len(rows), max(self.classes, 2)), dtype=np.float32)
        every[:, self.classifier.classes_] = self.classifier.predict_proba(rows)
        return every[:, 1:] if self.classes == 1 else every


def fit_logistic_regression(rows: TrainingRows) -> FittedModel:
    """Return the logistic regression whose penalty cross-validation chooses.

    Source: Cox, J. R. Stat. Soc. B 20 (1958) 215.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the labels aren't classes.
    """

    def classifier(used: TrainingRows, classes: Array) -> tuple[Any, str]:
        plain = scikit_learn("linear_model").LogisticRegression(max_iter=MAX_ITERATIONS)
        return _chosen(plain, {"C": STRENGTHS}, used, classes)

    return _fitted(rows, classifier)


def fit_neighbour_classifier(rows: TrainingRows) -> FittedModel:
    """Return the share of each class among the nearest neighbours, weighted by inverse distances.

    Source: Cover & Hart, IEEE Trans. Inf. Theory 13 (1967) 21.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the labels aren't classes.
    """

    def classifier(used: TrainingRows, classes: Array) -> tuple[Any, str]:
        plain = scikit_learn("neighbors").KNeighborsClassifier(1, weights="distance")
        fewest = len(used) - len(used) // FOLDS - 1
        options = [k for k in CLASSIFIER_NEIGHBOURS if k <= fewest] or [1]
        return _chosen(plain, {"n_neighbors": tuple(options)}, used, classes)

    return _fitted(rows, classifier)


def fit_process_classifier(rows: TrainingRows) -> FittedModel:
    """Return the Gaussian process with the largest marginal likelihood, by Laplace's method.

    Source: Rasmussen & Williams, Gaussian Processes for Machine Learning (2006), section 3.4.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the labels aren't classes.
    """

    def classifier(used: TrainingRows, classes: Array) -> tuple[Any, str]:
        processes = scikit_learn("gaussian_process")
        inputs = used.inputs.shape[1]
        lengths = np.full(inputs, np.sqrt(2.0 * inputs))
        kernel = processes.kernels.ConstantKernel() * processes.kernels.RBF(lengths)
        process = processes.GaussianProcessClassifier(kernel, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a length scale at its bound: that input doesn't count
            return process.fit(used.inputs, classes), "squared exponential kernel"

    return _fitted(rows, classifier, PROCESS_ROWS)


def fit_boosted_classifier(rows: TrainingRows) -> FittedModel:
    """Return gradient-boosted trees on histograms.

    Sources: Friedman, Ann. Stat. 29 (2001) 1189; Ke et al., NeurIPS 2017 (histograms).

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the labels aren't classes.
    """

    def classifier(used: TrainingRows, classes: Array) -> tuple[Any, str]:
        trees = scikit_learn("ensemble").HistGradientBoostingClassifier(
            max_iter=BOOSTING_ROUNDS,
            min_samples_leaf=leaf_rows(len(used)),
            early_stopping=False,
            random_state=0,
        )
        return trees.fit(used.inputs, classes), f"{BOOSTING_ROUNDS} rounds"

    return _fitted(rows, classifier)


def fit_forest_classifier(rows: TrainingRows) -> FittedModel:
    """Return the mean of trees, each grown on a bootstrap sample.

    Source: Breiman, Machine Learning 45 (2001) 5.

    Args:
        rows: The training rows.

    Raises:
        UserError: scikit-learn is not installed, or the labels aren't classes.
    """

    def classifier(used: TrainingRows, classes: Array) -> tuple[Any, str]:
        trees = forest_trees(len(used))
        forest = scikit_learn("ensemble").RandomForestClassifier(
            trees, max_leaf_nodes=MAX_LEAVES, random_state=0
        )
        return forest.fit(used.inputs, classes), f"{trees} trees"

    return _fitted(rows, classifier)


def _fitted(
    rows: TrainingRows,
    classifier: Callable[[TrainingRows, Array], tuple[Any, str]],
    max_rows: int = MAX_ROWS,
) -> FittedModel:
    used = rows.subset(max_rows)
    fitted, note = classifier(used, _classes(used.targets))
    model = ClassProbabilities(rows.scaling, fitted, rows.targets.shape[1])
    return FittedModel(model, (note, *subset_note(len(used), len(rows))))


def _classes(targets: Array) -> Array:
    """Return the number of the class of each row (n,), from labels (n, o).

    Raises:
        UserError: The labels aren't classes, or all rows are of one class.
    """
    if not np.isin(targets, (0.0, 1.0)).all():
        raise UserError("the labels are probabilities, and a classifier is fitted to classes")
    classes = targets[:, 0] if targets.shape[1] == 1 else np.argmax(targets, axis=1)
    classes = classes.astype(int)
    if len(np.unique(classes)) == 1:
        raise UserError("all training samples are of one class")
    return classes


def _chosen(
    plain: Any, options: dict[str, tuple[Any, ...]], used: TrainingRows, classes: Array
) -> tuple[Any, str]:
    """Return the classifier with the smallest cross-validated log loss, and what was chosen.

    A class with fewer rows than folds can't be in every fold; the middle option is taken then.

    Args:
        plain: The classifier.
        options: Values of one of its parameters.
        used: The rows.
        classes: Class of each row (n,).
    """
    ((name, values),) = options.items()
    if len(values) > 1 and np.bincount(classes)[np.unique(classes)].min() >= FOLDS:
        search = scikit_learn("model_selection").GridSearchCV(
            plain, {name: values}, scoring="neg_log_loss", cv=FOLDS
        )
        fitted = search.fit(used.inputs, classes).best_estimator_
    else:
        fitted = plain.set_params(**{name: values[len(values) // 2]}).fit(used.inputs, classes)
    return fitted, f"{name} {fitted.get_params()[name]:g}"
