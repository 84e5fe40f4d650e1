"""Results of runs, kept in this process so that the trainings of a search repeat none of them."""

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np

from problems.interfaces.types import Batch

CACHED_RUNS = 16
"""Batches whose results a process keeps: the splits of a few trainings."""

Owner = TypeVar("Owner", bound=Hashable)
Result = TypeVar("Result")


def cached_run(run: Callable[[Owner, Batch], Result], owner: Owner, inputs: Batch) -> Result:
    """Return run(owner, inputs), computed once for equal arrays; it must not be timed.

    Args:
        run: The run, such as a method of a class.
        owner: What it is called with, such as an instance whose fields are its parameters.
        inputs: Inputs of b samples.
    """
    arrays = {name: np.asarray(array) for name, array in inputs.items()}
    contents = tuple(
        (name, array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()
    )
    return _cached(run, owner, contents)


@lru_cache(maxsize=CACHED_RUNS)
def _cached(run: Callable[[Any, Batch], Any], owner: Hashable, contents: tuple[Any, ...]) -> Any:
    inputs = {
        name: np.frombuffer(content, dtype).reshape(shape)
        for name, dtype, shape, content in contents
    }
    return run(owner, inputs)
