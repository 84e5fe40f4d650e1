"""The shapes on which laws over families try them, and what is chosen with each."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any, TypeVar

from spaces.architectures import Architecture, Shape
from spaces.deployment_check import example_shapes
from spaces.registered import ARCHITECTURES

Served = tuple[type[Architecture], Shape]
Case = TypeVar("Case", bound=tuple[Any, ...])

SERVED: list[Served] = [
    (ARCHITECTURES[name], shape)
    for name in ARCHITECTURES
    for shape in example_shapes(ARCHITECTURES[name])
]
"""Every family with each shape that it serves."""


NAMED: list[tuple[str, Shape]] = [
    (name, shape) for name in ARCHITECTURES for shape in example_shapes(ARCHITECTURES[name])
]
"""The same by the families' names."""


def combined(served: Iterable[Case], *others: Iterable[object]) -> list[tuple[Any, ...]]:
    """Return families and shapes with every combination of further choices."""
    return [(*each, *further) for each in served for further in product(*others)]


def choices(case: Sequence[Any]) -> tuple[str, ...]:
    """Return what a family, by itself or its name, a shape and what else there may be choose."""
    family, shape, *others = case
    (name,) = (name for name in ARCHITECTURES if family in {name, ARCHITECTURES[name]})
    place = "aligned" if shape.aligned else "whole"
    answers = "one" if shape.head_outputs == 1 else "several"
    return (name, str(shape.layout), str(shape.target), place, answers, *map(str, others))
