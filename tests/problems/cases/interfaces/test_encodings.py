"""Encodings of interfaces: what doesn't matter changes nothing, what turns is known."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import torch

from problems import Batch, Layout, Size, Split, load_problem
from problems.cases.interfaces.canonical import canonical_sides
from problems.cases.interfaces.encodings import ScaledRows
from problems.cases.interfaces.geometry import random_rotations
from problems.cases.interfaces.simulation import LABEL
from problems.cases.interfaces.validation import InterfacePictures, InterfaceScore
from problems.cases.interfaces.voxels import VoxelsEncoding
from problems.contract import RandomChoice
from problems.interfaces.types import EncodedNetwork
from spaces.architectures import Shape
from spaces.registered import ARCHITECTURES

PROBLEM = load_problem("interfaces", Size.TINY)
SAMPLES = 24


@pytest.fixture(scope="module")
def split() -> Split:
    assert PROBLEM.simulation is not None
    inputs = PROBLEM.simulation.draw(SAMPLES, np.random.default_rng(0))
    return Split(inputs, PROBLEM.simulation.run(inputs, np.random.default_rng(0)))


def moved(inputs: Batch, seed: int) -> Batch:
    """Return complexes turned and shifted in space."""
    rng = np.random.default_rng(seed)
    turns = random_rotations(SAMPLES, rng)
    present = (inputs["kind"] > 0)[..., None]
    position = np.einsum("bxy,bsny->bsnx", turns, inputs["position"])
    position = (position + rng.normal(0.0, 30.0, (SAMPLES, 1, 1, 3))) * present
    return {**inputs, "position": position}


def exchanged(inputs: Batch) -> Batch:
    """Return complexes with the second side first."""
    return {
        "position": inputs["position"][:, ::-1],
        "kind": inputs["kind"][:, ::-1],
        "contact": np.swapaxes(inputs["contact"], 1, 2),
    }


def reordered(inputs: Batch) -> Batch:
    """Return complexes with the residues of the first side in another order."""
    order = np.random.default_rng(5).permutation(inputs["kind"].shape[2])
    position, kind = inputs["position"].copy(), inputs["kind"].copy()
    position[:, 0], kind[:, 0] = position[:, 0, order], kind[:, 0, order]
    return {"position": position, "kind": kind, "contact": inputs["contact"][:, order]}


CHANGES: Mapping[str, Callable[[Batch], Batch]] = {
    "moved": lambda inputs: moved(inputs, 7),
    "exchanged": exchanged,
    "reordered": reordered,
}

SETTINGS = {
    "distances": ({"kinds": False}, {"kinds": True, "bins": 4}),
    "graph": ({"residues": "kinds"}, {"residues": "properties"}),
    "beads": ({"residues": "kinds"}, {"residues": "properties"}),
}

INVARIANT = {
    f"{name} {list(settings.values())}": encoding.configured(settings)
    for name, encoding in PROBLEM.encodings.items()
    for settings in SETTINGS.get(name, ({},))
    if encoding.layout is not Layout.GRID3D
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", INVARIANT)
def test_invariant_encodings_answer_the_same(name: str, change: str, split: Split) -> None:
    encoding = INVARIANT[name].fit(split)
    family = ARCHITECTURES["egnn" if encoding.layout is Layout.VECTORS else "mlp"]
    shape = Shape.of(encoding, encoding.pairs(split))
    torch.manual_seed(0)
    settings = dict(family.settings(RandomChoice(np.random.default_rng(0))))
    network = family.untrained(shape, settings).eval()

    def predict(inputs: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return torch.sigmoid(network(torch.from_numpy(inputs))).numpy()

    surrogate = EncodedNetwork(encoding, predict)
    answers = surrogate.run(split.inputs)[LABEL]
    assert answers.std() > 0.0
    other = surrogate.run(CHANGES[change](split.inputs))[LABEL]
    np.testing.assert_allclose(other, answers, atol=1e-5)


def test_voxels_turn_with_the_complex(split: Split) -> None:
    encoding = VoxelsEncoding(cells=8)
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    turned = {**split.inputs, "position": split.inputs["position"] @ quarter.T}
    density = encoding.network_input(split.inputs)
    np.testing.assert_allclose(
        encoding.network_input(turned), np.rot90(density, axes=(1, 2)), atol=1e-5
    )
    np.testing.assert_allclose(encoding.network_input(exchanged(split.inputs)), density, atol=1e-5)


def test_copies_are_orientations_of_the_sample_before(split: Split) -> None:
    encoding = VoxelsEncoding(cells=8, copies=3)
    pairs = encoding.pairs(split)
    assert len(pairs.inputs) == len(pairs.targets) == 3 * SAMPLES
    np.testing.assert_array_equal(pairs.inputs[::3], encoding.network_input(split.inputs))
    np.testing.assert_array_equal(pairs.targets[::3], pairs.targets[2::3])
    # A turn keeps the volume inside the grid but for the cells in which it is counted.
    totals = pairs.inputs.sum(axis=(1, 2, 3)).reshape(SAMPLES, 3, -1)
    np.testing.assert_allclose(totals[:, 1, 1::4], totals[:, 0, 1::4], rtol=0.25)


def test_views_average_the_answers_of_orientations(split: Split) -> None:
    def first_cell(inputs: np.ndarray) -> np.ndarray:
        return 0.1 + 0.01 * inputs[:, 0, 0, 0, :1]

    views = VoxelsEncoding(cells=8, views=4).apply(
        first_cell, split.inputs, np.random.default_rng()
    )
    copies = first_cell(VoxelsEncoding(cells=8, copies=4).pairs(split).inputs)[:, 0]
    np.testing.assert_allclose(views[LABEL], copies.reshape(-1, 4).mean(axis=1), rtol=1e-5)


def test_all_contacts_and_residues_are_in_the_canonical_order(split: Split) -> None:
    sides = canonical_sides(split.inputs)
    np.testing.assert_array_equal(
        sides.contact.sum(axis=(1, 2)), 2.0 * split.inputs["contact"].sum(axis=(1, 2))
    )
    assert not (sides.contact * (sides.on_second[:, :, None] == sides.on_second[:, None])).any()
    np.testing.assert_array_equal(
        np.sort(sides.kinds, axis=1),
        np.sort(split.inputs["kind"].reshape(SAMPLES, -1), axis=1),
    )


def test_histograms_count_every_near_pair_once(split: Split) -> None:
    encoding = PROBLEM.encodings["distances"]
    assert isinstance(encoding, ScaledRows)
    counts = np.square(encoding.rows(split.inputs)).reshape(SAMPLES, -1, 3).sum(axis=1)
    np.testing.assert_allclose(counts[:, 0], split.inputs["contact"].sum(axis=(1, 2)))
    counted = counts[:, 1:].sum(axis=1)
    position, kind = split.inputs["position"], split.inputs["kind"]
    apart = np.linalg.norm(position[:, 0, :, None] - position[:, 1, None], axis=-1)
    present = (kind[:, 0, :, None] > 0) & (kind[:, 1, None] > 0)
    # A pair in the last bin counts the less the nearer it is to the largest distance.
    assert (counted <= (present & (apart < 16.0)).sum(axis=(1, 2)) + 1e-6).all()
    assert (counted >= (present & (apart < 8.0)).sum(axis=(1, 2)) - 1e-6).all()


def test_accuracy_is_that_of_the_worst_size(split: Split) -> None:
    score = InterfaceScore(PROBLEM.outputs)
    exact = split.outputs
    wrong = {LABEL: 1.0 - np.asarray(exact[LABEL])}
    assert score(exact, exact, split.inputs)["worst_size_accuracy"] == 1.0
    assert score(wrong, exact, split.inputs)["accuracy"] == 0.0
    titles = [picture.title for picture in InterfacePictures(score)(exact, exact, split.inputs)]
    assert any("by size" in title for title in titles)
