"""One order of the sides and residues of an interface, whatever the order in which they are given.

Residues are ordered by their distance from the middle of the contacts, and the first side is that
with the larger sum of the volumes of residues times these distances. Both are the same after
rotations and translations.
"""

from dataclasses import dataclass

import numpy as np

from problems.cases.interfaces.geometry import interface_frame
from problems.cases.interfaces.residues import PROPERTIES, VOLUME
from problems.cases.interfaces.simulation import kinds_of
from problems.interfaces.types import Array, Batch


@dataclass(frozen=True)
class CanonicalSides:
    """The residues of b interfaces, of both sides in one row of p places.

    Args:
        positions: Positions about the middle of the contacts (b, p, 3) [A].
        kinds: Kinds (b, p), 0 where there is no residue.
        on_second: Whether each place is on the second side (b, p).
        contact: 1 where residues of different sides are in contact (b, p, p).
    """

    positions: Array
    kinds: Array
    on_second: Array
    contact: Array

    @property
    def degree(self) -> Array:
        """Number of contacts of each residue (b, p)."""
        return self.contact.sum(axis=2)


def canonical_sides(inputs: Batch) -> CanonicalSides:
    """Return the residues of complexes in an order that doesn't depend on how they are given."""
    kinds, contact = kinds_of(inputs), np.asarray(inputs["contact"], float)
    positions, _ = interface_frame(np.asarray(inputs["position"], float), kinds, contact)
    b, _, n = kinds.shape
    distance = np.linalg.norm(positions, axis=3)
    extent = np.sum(PROPERTIES[kinds, VOLUME] * distance, axis=2)
    swapped = extent[:, 0] < extent[:, 1]
    joined = np.zeros((b, 2 * n, 2 * n))
    joined[:, :n, n:] = contact
    joined[:, n:, :n] = np.swapaxes(contact, 1, 2)
    on_second = (np.arange(2 * n) >= n) != swapped[:, None]
    flat = positions.reshape(b, 2 * n, 3)
    place = np.where(kinds > 0, distance, np.inf).reshape(b, -1)
    order = np.argsort(place, axis=1, kind="stable")
    rows = np.arange(b)[:, None]
    # Empty places have no side: their order isn't that of the residues.
    return CanonicalSides(
        flat[rows, order],
        kinds.reshape(b, -1)[rows, order],
        on_second[rows, order] & (kinds.reshape(b, -1)[rows, order] > 0),
        joined[rows[..., None], order[:, :, None], order[:, None]],
    )
