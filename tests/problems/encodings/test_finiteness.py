"""The reason of a training that can't begin names the field and its transform."""

import numpy as np
import pytest

from problems import Array, Encoding, Field, FlatEncoding, Split
from problems.encodings.finiteness import explain_not_finite, is_finite

INPUTS = (Field("heat", unit="K", valid=(1e-3, 9.0)), Field("turn", unit="1"))
OUTPUTS = (Field("flux", (3,), "W", ("x",), valid=(0.0, 9.0)), Field("lift", unit="N"))
N = 300


def split_with(**changes: tuple[int, float]) -> Split:
    """Return a split in which one value of some fields is another one."""
    rng = np.random.default_rng(0)

    def drawn(f: Field) -> Array:
        values = rng.uniform(1.0, 2.0, (N, *f.shape))
        if f.name in changes:
            sample, value = changes[f.name]
            values.reshape(N, -1)[sample, 0] = value
        return values

    inputs = {f.name: drawn(f) for f in INPUTS}
    return Split(inputs, {f.name: drawn(f) for f in OUTPUTS})


def fitted(split: Split, **settings: str) -> Encoding:
    with np.errstate(all="ignore"):
        return FlatEncoding(INPUTS, OUTPUTS).configured(settings).fit(split)


CASES = {
    "an input of a logarithm": (
        {"heat": (7, -4.0)},
        "input 'heat' (from -4 to 1.99",
        "K) isn't finite after the transform 'log':",
    ),
    "an output of a power": ({"flux": (9, -1.0)}, "output 'flux'", "the transform 'power 1/4':"),
    "an infinite output": ({"lift": (3, np.inf)}, "output 'lift'", "once it is scaled:"),
    "two fields": ({"heat": (1, 0.0), "lift": (3, np.inf)}, "input 'heat'", "; output 'lift'"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cause_is_named_and_nothing_else(name: str) -> None:
    changes, *words = CASES[name]
    split = split_with(**changes)
    encoding = fitted(split, input_transform="log", output_transform="power 1/4")
    with np.errstate(all="ignore"):
        assert not is_finite(encoding.pairs(split))
    explained = explain_not_finite(encoding, split, INPUTS, OUTPUTS)
    assert all(word in explained for word in words)
    for f in (*INPUTS, *OUTPUTS):
        assert (repr(f.name) in explained) is (f.name in changes)


def test_finite_pairs_are_finite() -> None:
    split = split_with()
    assert is_finite(fitted(split).pairs(split))
