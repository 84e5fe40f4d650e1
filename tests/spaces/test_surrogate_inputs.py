"""A surrogate refuses inputs that it doesn't have, by name, and answers nothing with nothing."""

from typing import Any

import numpy as np
import pytest

from problems import Array, Batch, Field, FlatEncoding, Split, UserError
from spaces.runtimes import FixedBatchPredictor
from spaces.surrogate import Surrogate

INPUTS = (Field("heat", unit="K"), Field("wind", (3,), "m/s", ("x",)))
OUTPUTS = (Field("flux", (2,), "W", ("z",)), Field("lift", unit="N"))
BATCH = 4


def drawn(n: int) -> Batch:
    rng = np.random.default_rng(0)
    return {f.name: rng.uniform(1.0, 2.0, (n, *f.shape)) for f in (*INPUTS, *OUTPUTS)}


def network(rows: Array) -> Array:
    assert rows.shape == (BATCH, 4)
    return rows[:, :3]


@pytest.fixture(scope="module")
def surrogate() -> Surrogate:
    batch = drawn(20)
    inputs, outputs = ({f.name: batch[f.name] for f in fields} for fields in (INPUTS, OUTPUTS))
    split = Split(inputs, outputs)
    encoding = FlatEncoding(INPUTS, OUTPUTS).fit(split)
    return Surrogate(encoding, FixedBatchPredictor(network, BATCH), 0, INPUTS, OUTPUTS)


def ordinary(n: int) -> dict[str, Any]:
    return {f.name: drawn(n)[f.name] for f in INPUTS}


@pytest.mark.parametrize("n", [0, 1, BATCH, 7])
def test_any_number_of_samples_has_outputs_of_the_declared_shapes(
    surrogate: Surrogate, n: int
) -> None:
    outputs = surrogate.run(ordinary(n))
    assert {name: array.shape for name, array in outputs.items()} == {
        f.name: (n, *f.shape) for f in OUTPUTS
    }
    rows = surrogate.network(np.zeros((n, 4), dtype=np.float32))
    assert rows.shape == (n, 3)


@pytest.mark.parametrize("kind", [np.float32, np.float16, int, bool, list])
def test_real_numbers_of_any_type_are_inputs(surrogate: Surrogate, kind: type) -> None:
    inputs = {name: np.ones_like(array) for name, array in ordinary(3).items()}
    other = {k: a.tolist() if kind is list else a.astype(kind) for k, a in inputs.items()}
    for name, array in surrogate.run(inputs).items():
        np.testing.assert_array_equal(surrogate.run(other)[name], array)


WRONG: dict[str, tuple[Any, str]] = {
    "no batch": ([1.0], "the inputs are a list; give a dictionary with an array for each of heat"),
    "nothing": ({}, "input 'heat' is missing; add an array of shape (n,)"),
    "a missing field": ({"heat": np.ones(2)}, "'wind' is missing; add an array of shape (n, 3)"),
    "a field too many": ({**ordinary(2), "rain": np.ones(2)}, "'rain' is no input"),
    "a number": ({**ordinary(1), "heat": 1.0}, "'heat' has shape (), not (n,)"),
    "an array without an axis": (
        {**ordinary(1), "heat": np.array(1.0)},
        "write np.asarray(heat)[N",
    ),
    "one sample": ({**ordinary(1), "wind": np.ones(3)}, "write np.asarray(wind)[None] for one"),
    "another shape": ({**ordinary(2), "wind": np.ones((2, 4))}, "(2, 4), not (n, 3)"),
    "other numbers of samples": ({**ordinary(2), "heat": np.ones(3)}, "(heat has 3, wind has 2)"),
    "text": ({**ordinary(1), "heat": np.array(["1"])}, "has type <U1; give real numbers"),
    "complex numbers": ({**ordinary(1), "heat": np.ones(1, complex)}, "type complex128"),
    "objects": ({**ordinary(1), "heat": np.array([None])}, "has type object"),
    "ragged lists": ({**ordinary(2), "heat": [[1.0], [1.0, 2.0]]}, "'heat' is no array"),
    "masked values": (
        {**ordinary(2), "heat": np.ma.masked_array([1.0, 2.0], [True, False])},
        "'heat' has masked values",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_inputs_of_another_kind_are_refused_by_name(surrogate: Surrogate, name: str) -> None:
    inputs, words = WRONG[name]
    with pytest.raises(UserError) as told:
        surrogate.run(inputs)
    assert words in str(told.value)
