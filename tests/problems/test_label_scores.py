"""The score of labels agrees with scikit-learn, and its pictures with the counts."""

import math

import numpy as np
import pytest
from sklearn import metrics

from problems import Array, ClassField, LabelScore
from problems.interfaces.label_pictures import LabelPictures

TWO = ClassField("kind", classes=("no", "yes"))
THREE = ClassField("kind", classes=("s", "p", "d"))


def example(field: ClassField, n: int = 400) -> tuple[Array, Array, Array]:
    """Return probabilities, classes as values, and the numbers of the classes."""
    rng = np.random.default_rng(3)
    classes = len(field.classes)
    numbers = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes)) + 1.5 * (numbers[:, None] == np.arange(classes))
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return chance if field.shape else chance[:, 1], field.encoded(numbers * 1.0), numbers


@pytest.mark.parametrize("field", [TWO, THREE], ids=["two", "three"])
def test_the_metrics_are_those_of_scikit_learn(field: ClassField) -> None:
    chance, exact, numbers = example(field)
    found = LabelScore((field,))({"kind": chance}, {"kind": exact}, {})
    chosen = field.class_numbers(chance)
    both = field.probabilities(chance)
    brier = np.sum((both - field.probabilities(exact)) ** 2, axis=1).mean()
    expected = {
        "ranking_error": 1.0 - metrics.roc_auc_score(numbers, chance, multi_class="ovr"),
        "log_loss": metrics.log_loss(numbers, both),
        "brier": brier if field.shape else metrics.brier_score_loss(numbers, chance),
        "mcc": metrics.matthews_corrcoef(numbers, chosen),
        "balanced_accuracy": metrics.balanced_accuracy_score(numbers, chosen),
    }
    assert found == pytest.approx(expected, abs=1e-12)
    assert list(found) == [metric.name for metric in LabelScore((field,)).metrics]


@pytest.mark.parametrize("field", [TWO, THREE], ids=["two", "three"])
def test_the_reference_scores_zero_even_where_one_class_is_alone(field: ClassField) -> None:
    for numbers in (np.arange(6.0) % len(field.classes), np.ones(6)):
        exact = field.encoded(numbers)
        found = LabelScore((field,))({"kind": exact}, {"kind": exact}, {})
        assert found["ranking_error"] == found["log_loss"] == found["brier"] == 0.0
        half = LabelScore((field,))({"kind": np.full_like(exact, 0.5)}, {"kind": exact}, {})
        assert all(map(math.isfinite, half.values()))
        assert half["ranking_error"] > 0.0


@pytest.mark.parametrize("field", [TWO, THREE], ids=["two", "three"])
def test_the_pictures_show_every_class_and_count_every_sample(field: ClassField) -> None:
    chance, exact, numbers = example(field)
    pictures = LabelPictures((field,))({"kind": chance}, {"kind": exact}, {})
    roc, calibration, confusion = pictures
    curves = len(field.classes) if field.shape else 1
    assert len(roc.curves) == len(calibration.curves) == curves + 1
    assert confusion.pixels
    counts = np.array(confusion.pixels.values)
    assert counts.sum() == len(numbers)
    assert np.array_equal(counts, metrics.confusion_matrix(numbers, field.class_numbers(chance)))
    assert all("n = 400" in picture.title for picture in pictures)
