"""Calls of lowered networks hold the inputs of whole samples, where these have several."""

import numpy as np
import pytest

from problems import Array, Dataset, Problem
from problems.interfaces.types import EncodedNetwork, Split, take_samples
from spaces.call_size import MAX_INPUTS, call_size, inputs_per_sample


class Called(Exception):  # noqa: N818 - it ends a run and is no error
    """The network was called."""


def test_a_sample_has_as_many_inputs_as_one_of_several(problem: Problem, data: Dataset) -> None:
    train = data.train
    some = Split(take_samples(train.inputs, slice(8)), take_samples(train.outputs, slice(8)))
    for encoding in problem.encodings.values():
        fitted = encoding.fit(some)
        seen: list[int] = []

        def network(inputs: Array, seen: list[int] = seen) -> Array:
            seen.append(len(inputs))
            raise Called

        inputs = take_samples(some.inputs, slice(2))
        with pytest.raises(Called):
            EncodedNetwork(fitted, network).run(inputs, np.random.default_rng(0))
        assert seen == [2 * inputs_per_sample(fitted, some.inputs)]


@pytest.mark.parametrize("samples", [1, 16, 1000, 5000])
@pytest.mark.parametrize("per_sample", [1, 60, 13_824])
def test_calls_are_even_and_not_too_large(samples: int, per_sample: int) -> None:
    size = call_size(samples, per_sample)
    calls = -(-samples * per_sample // size)
    assert size <= max(samples, MAX_INPUTS)
    assert 0 <= calls * size - samples * per_sample < calls
    if per_sample == 1:
        assert size == samples
