"""Samples that symmetries make are true ones, and as many as asked for."""

from dataclasses import dataclass

import numpy as np

from problems import Batch, Split, Symmetry
from problems.encodings.augmentation import augment


@dataclass(frozen=True)
class Turn:
    """A quarter turn of the vectors of a field."""

    name: str

    def __call__(self, batch: Batch) -> Batch:
        x, y = batch[self.name].T
        return {**batch, self.name: np.stack([-y, x], axis=1)}


def mirrored(batch: Batch) -> Batch:
    return {name: array * np.array([-1.0, 1.0]) for name, array in batch.items()}


SYMMETRIES = (
    Symmetry("quarter turn", Turn("place"), Turn("force")),
    Symmetry("reflection", mirrored, mirrored),
)


def central(inputs: Batch) -> Batch:
    place = inputs["place"]
    return {"force": -place / np.sum(place**2, axis=1, keepdims=True) ** 1.5}


def split(n: int = 50) -> Split:
    inputs = {"place": np.random.default_rng(0).normal(size=(n, 2))}
    return Split(inputs, central(inputs))


def test_transformed_samples_are_what_the_reference_would_return() -> None:
    more = augment(split(), SYMMETRIES, 3, np.random.default_rng(1))
    assert len(more) == 200
    np.testing.assert_allclose(more.outputs["force"], central(more.inputs)["force"])


def test_the_samples_themselves_come_first_and_stay() -> None:
    before, more = split(), augment(split(), SYMMETRIES, 1, np.random.default_rng(1))
    np.testing.assert_array_equal(more.inputs["place"][:50], before.inputs["place"])


def test_products_of_symmetries_are_met() -> None:
    one = split(1)
    seen = {
        tuple(np.round(place, 9))
        for seed in range(40)
        for place in augment(one, SYMMETRIES, 3, np.random.default_rng(seed)).inputs["place"]
    }
    assert len(seen) == 8  # the whole symmetry group of the square


def test_no_copies_leave_the_split_alone() -> None:
    assert len(augment(split(), SYMMETRIES, 0, np.random.default_rng(0))) == 50
