"""Drawings that a case study asks for, as plain facts: the reports draw them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """A line of a picture; `reference` draws it as the truth."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    reference: bool = False


@dataclass(frozen=True)
class Picture:
    """A drawing that a case study asks for, as plain facts."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    equal_axes: bool = False
