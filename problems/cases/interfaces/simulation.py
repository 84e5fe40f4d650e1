"""The reference: complexes of residues -> whether the interface is biological."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.interfaces.generator import SELECTION, SelectionStrength, draw_sides
from problems.cases.interfaces.geometry import contact_of
from problems.cases.interfaces.redocking import docking_gaps
from problems.cases.interfaces.residues import KINDS
from problems.interfaces.class_fields import ClassField
from problems.interfaces.types import Array, Batch, Field

CLASSES = ("crystal", "biological")

LABEL = "interface"
"""Name of the output."""

LARGEST_COORDINATE_A = 1e4

SMALLEST_GAP_RT = 1e-6
"""Differences of energies below this one are rounding."""


def complex_fields(places: int) -> tuple[Field, ...]:
    """Return the input fields of a complex.

    Args:
        places: Number of residues of a side, padding included.
    """
    return (
        Field(
            "position",
            (2, places, 3),
            "A",
            ("side", "residue", "component"),
            (-LARGEST_COORDINATE_A, LARGEST_COORDINATE_A),
            "mean of the heavy atoms of each side chain; 0 where there is no residue",
        ),
        Field(
            "kind",
            (2, places),
            "1",
            ("side", "residue"),
            (0.0, float(KINDS)),
            "kind of each residue, 1 to 20 in the order ARNDCQEGHILKMFPSTWYV; 0 for none",
        ),
        Field(
            "contact",
            (places, places),
            "1",
            ("first_residue", "second_residue"),
            (0.0, 1.0),
            "1 where residues of first and second side are in contact",
        ),
    )


LABEL_FIELD = ClassField(
    LABEL,
    classes=CLASSES,
    description="probability that the interface is biological, not a contact of the crystal",
)


@dataclass(frozen=True)
class DockedComplexes:
    """Complexes of a generator, and whether docking finds their pose again.

    Args:
        residues: Smallest and largest number of residues of a side.
        places: Number of residues to which sides are padded.
        turns: Turns of the second side at which it is docked anew, and directions of displacements.
        selected_share: Share of the complexes whose partner is docked and selected; the others are
            neighbours in a lattice.
        selection: How strongly partners are selected.
    """

    IDENTITY: ClassVar[str] = "interfaces/docked-complexes"

    residues: tuple[int, int]
    places: int
    turns: int = 72
    selected_share: float = 0.75
    selection: SelectionStrength = SELECTION

    @property
    def inputs(self) -> tuple[Field, ...]:
        """Positions, kinds and contacts of the residues."""
        return complex_fields(self.places)

    @property
    def outputs(self) -> tuple[Field, ...]:
        """Whether the interface is biological."""
        return (LABEL_FIELD,)

    def versions(self) -> Mapping[str, str]:
        """Return the version of NumPy, whose random numbers make the complexes."""
        return {"numpy": np.__version__}

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        """Return n complexes in random orientations."""
        selected = rng.random(n) < self.selected_share
        sides = draw_sides(self.residues, self.places, selected, self.selection, rng)
        return {
            "position": sides.positions,
            "kind": sides.kinds.astype(float),
            "contact": contact_of(sides.positions, sides.kinds),
        }

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:  # noqa: ARG002 - deterministic
        """Return 1 for complexes whose pose docking finds again, as the best of all, or 0."""
        gaps = docking_gaps(inputs["position"], kinds_of(inputs), self.turns)
        return {LABEL: (gaps > SMALLEST_GAP_RT).astype(float)}


def kinds_of(inputs: Batch) -> Array:
    """Return the kinds of residues as whole numbers (b, 2, n)."""
    return np.asarray(inputs["kind"]).astype(int)
