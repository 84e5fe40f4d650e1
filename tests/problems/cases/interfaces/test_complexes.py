"""Generated complexes: size and composition tell little, the energy of their contacts much."""

from dataclasses import replace

import numpy as np
import pytest

from problems import Array, Batch, Size, load_problem
from problems.cases.interfaces.descriptors import DESCRIPTORS, N_PAIRS, descriptors_of
from problems.cases.interfaces.generator import SELECTION, draw_sides
from problems.cases.interfaces.geometry import (
    contact_of,
    energies_of,
    interface_frame,
    random_rotations,
)
from problems.cases.interfaces.redocking import docking_gaps, turn_energies
from problems.cases.interfaces.residues import (
    CHARACTER_OF_KIND,
    COMPOSITION,
    CONTACT_ENERGIES_RT,
    KIND_OF_NAME,
    KINDS,
)
from problems.cases.interfaces.simulation import LABEL, DockedComplexes, kinds_of
from problems.interfaces.binary_curves import area_above_roc

SIMULATION = DockedComplexes((14, 20), 20, turns=24)
LARGEST_AUC = 0.65


def area_below(values: Array, positive: Array) -> float:
    """Return the AUC of a feature, whichever class has the larger values."""
    area = area_above_roc(values, positive)
    return max(area, 1.0 - area)


@pytest.fixture(scope="module")
def complexes() -> Batch:
    return SIMULATION.draw(1000, np.random.default_rng(3))


@pytest.fixture(scope="module")
def biological(complexes: Batch) -> Array:
    return SIMULATION.run(complexes, np.random.default_rng(0))[LABEL] > 0.5


def test_no_single_feature_tells_the_classes_apart(complexes: Batch, biological: Array) -> None:
    features = descriptors_of(complexes["contact"], kinds_of(complexes))
    areas = {
        name: area_below(column, biological)
        for name, column in zip(DESCRIPTORS, features.T, strict=True)
    }
    areas["contacts"] = area_below(features[:, :N_PAIRS].sum(axis=1), biological)
    areas["residues"] = area_below((complexes["kind"] > 0).sum(axis=(1, 2)), biological)
    # The standard deviation of an AUC of 1000 samples is 0.018.
    assert max(areas.values()) < LARGEST_AUC, areas
    assert 0.3 < biological.mean() < 0.7


def test_the_energy_of_the_contacts_tells_them_apart(complexes: Batch, biological: Array) -> None:
    energies = energies_of(complexes["contact"], kinds_of(complexes))
    assert area_below(energies, biological) > 0.8


def test_biological_complexes_are_those_that_were_selected() -> None:
    rng = np.random.default_rng(1)
    selected = np.arange(300) % 2 == 0
    sides = draw_sides((14, 24), 24, selected, SELECTION, rng)
    biological = docking_gaps(sides.positions, sides.kinds, 24) > 0.0
    assert selected[biological].mean() > 0.9
    assert biological[~selected].mean() < 0.1


def test_selection_keeps_the_characters_of_contacts() -> None:
    chosen = replace(SELECTION, turns=1)
    drawn = [
        draw_sides((20, 20), 20, np.full(400, flag), chosen, np.random.default_rng(2))
        for flag in (True, False)
    ]
    counts = [
        descriptors_of(contact_of(sides.positions, sides.kinds), sides.kinds)[:, :N_PAIRS]
        for sides in drawn
    ]
    np.testing.assert_array_equal(counts[0], counts[1])
    energies = [
        energies_of(contact_of(sides.positions, sides.kinds), sides.kinds).mean() for sides in drawn
    ]
    assert energies[0] < energies[1] - 3.0


def test_the_composition_is_that_of_proteins() -> None:
    kinds = kinds_of(SIMULATION.draw(1000, np.random.default_rng(0)))
    shares = np.bincount(kinds[kinds > 0], minlength=KINDS + 1)[1:] / (kinds > 0).sum()
    np.testing.assert_allclose(shares, COMPOSITION, atol=0.005)


def test_known_contact_energies() -> None:
    energies = CONTACT_ENERGIES_RT
    np.testing.assert_array_equal(energies, energies.T)
    for pair, energy in {
        ("CYS", "CYS"): -1.34,
        ("LYS", "GLU"): -0.87,
        ("ARG", "ARG"): 0.13,
    }.items():
        first, second = (KIND_OF_NAME[name] for name in pair)
        assert energies[first, second] == energy
    assert not energies[KIND_OF_NAME["THR"]].any()
    assert np.bincount(CHARACTER_OF_KIND).tolist() == [5, 4, 11]


def test_two_pairs_that_fit_are_found_again() -> None:
    # Lysine and glutamate at either end: any pose but those like the complex parts one pair.
    lysine, glutamate, threonine = (KIND_OF_NAME[name] for name in ("LYS", "GLU", "THR"))
    positions = np.array([[[[-15, 0, 0], [15, 0, 0]], [[-15, 0, 6], [15, 0, 6]]]], float)
    kinds = np.array([[[lysine, glutamate], [glutamate, lysine]]])
    assert docking_gaps(positions, kinds, 72) == pytest.approx(0.87)
    for other in ([[lysine, lysine], [glutamate, glutamate]], [[threonine] * 2] * 2):
        assert docking_gaps(positions, np.array([other]), 72) == pytest.approx(0.0)


def test_the_reference_sees_neither_orientation_nor_order_of_the_sides() -> None:
    sides = draw_sides((14, 20), 20, np.arange(30) < 20, SELECTION, np.random.default_rng(6))
    gaps = docking_gaps(sides.positions, sides.kinds, 24)
    turn = random_rotations(1, np.random.default_rng(7))[0]
    present = (sides.kinds > 0)[..., None]
    turned = (sides.positions @ turn.T + np.array([3.0, -40.0, 7.0])) * present
    np.testing.assert_allclose(docking_gaps(turned, sides.kinds, 24), gaps, atol=1e-9)
    exchanged = docking_gaps(sides.positions[:, ::-1], sides.kinds[:, ::-1], 24)
    np.testing.assert_allclose(exchanged, gaps, atol=1e-9)


def test_energies_of_turns_are_those_of_turned_sides() -> None:
    sides = draw_sides((14, 20), 20, np.arange(12) < 6, SELECTION, np.random.default_rng(4))
    contact = contact_of(sides.positions, sides.kinds)
    centred, axis = interface_frame(sides.positions, sides.kinds, contact)
    energies = turn_energies(centred, sides.kinds, axis, 36)
    second = centred[:, 1]
    along = np.einsum("bnx,bx->bn", second, axis)[..., None] * axis[:, None]
    sideways = np.cross(axis[:, None], second)
    for number in range(36):
        angle = 2.0 * np.pi * number / 36
        turned = along + np.cos(angle) * (second - along) + np.sin(angle) * sideways
        moved = contact_of(np.stack([centred[:, 0], turned], axis=1), sides.kinds)
        np.testing.assert_allclose(energies[:, number], energies_of(moved, sides.kinds), atol=1e-9)


def test_all_sizes_have_larger_complexes_in_the_shifted_split() -> None:
    for size in Size:
        problem = load_problem("interfaces", size)
        simulation, shifted = problem.simulation, problem.shifted
        assert isinstance(simulation, DockedComplexes)
        assert isinstance(shifted, DockedComplexes)
        assert simulation.residues[1] < shifted.residues[0] <= shifted.places
