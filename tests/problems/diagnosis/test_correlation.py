import numpy as np
import pytest

from problems.diagnosis.correlation import correlations, spearman
from problems.interfaces.types import Field, Split


def test_ties_share_their_mean_rank() -> None:
    # Kendall & Gibbons' rule; by hand: ranks (1.5, 1.5, 3, 4) against (1, 2, 3, 4).
    first = np.array([[1.0], [1.0], [2.0], [9.0]])
    second = np.array([[1.0], [2.0], [3.0], [4.0]])
    assert spearman(first, second)[0, 0] == pytest.approx(4.5 / np.sqrt(4.5 * 5.0))


def test_a_monotone_link_is_seen_and_named() -> None:
    rng = np.random.default_rng(0)
    x, mass = rng.normal(size=300), rng.uniform(1.0, 2.0, (300, 2))
    inputs = {"x": x, "mass": mass, "twin": -(x**3), "fixed": np.ones((300, 2))}
    outputs = {"y": np.exp(3.0 * mass[:, 1]), "wave": x[:, None] * np.sin(np.arange(40.0))}
    found = correlations(
        (Field("x"), Field("mass", (2,)), Field("twin"), Field("fixed", (2,))),
        (Field("y"), Field("wave", (40,))),
        Split(inputs, outputs),
    )
    assert found.inputs == ("x", "mass[0]", "mass[1]", "twin")
    assert found.outputs[:2] == ("y", "wave pc1")
    assert found.constant_inputs == ("fixed",)
    matrix = np.array(found.matrix)
    assert matrix[2, 0] == pytest.approx(1.0)
    assert abs(matrix[0, 1]) == pytest.approx(1.0)
    assert abs(matrix[1, 0]) < 0.2
    assert {found.strongest_inputs[0].first, found.strongest_inputs[0].second} == {"x", "twin"}
    assert found.strongest_inputs[0].value == pytest.approx(-1.0)
    assert abs(found.strongest[0].value) == pytest.approx(1.0)


def test_no_more_columns_than_can_be_read() -> None:
    rng = np.random.default_rng(0)
    fields = tuple(Field(f"x{i}", (5,)) for i in range(6))
    inputs = {each.name: rng.normal(size=(50, 5)) for each in fields}
    found = correlations(fields, (Field("y"),), Split(inputs, {"y": rng.normal(size=50)}))
    assert (len(found.inputs), found.left_out) == (24, 6)
    assert np.array(found.among_inputs).shape == (24, 24)
