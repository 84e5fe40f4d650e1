"""Interfaces of a crystal: contacts of a chain with the images of chains by its symmetry.

Two residues are in contact if two of their heavy atoms are within 5 A. Images of a chain are found
by all operations of the space group and all shifts of the lattice that bring it near. Of a chain
with its own images, an operation and its inverse give the same interface, which is counted once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import KDTree

from problems.cases.interfaces.chains import Chain, Crystal
from problems.interfaces.types import Array

CONTACT_DISTANCE_A = 5.0
"""Largest distance of two heavy atoms of residues in contact (PRODIGY; Vangone & Bonvin, eLife 4
(2015) e07454, take 5.5 A; Elez et al. 2018 take 5 A)."""

SMALLEST_INTERFACE = 10
"""Interfaces with fewer contacts aren't listed."""

SAME_PLACE = 1e-3
"""Largest difference of operations that are the same, in units of the cell."""


@dataclass(frozen=True)
class LatticeInterface:
    """An interface of a chain with an image of a chain.

    Args:
        entry: Name of the entry.
        first: The chain of the file.
        second: The other chain, where its image is.
        contacts: Indices of the residues of first and second chain in each contact (k, 2).
    """

    entry: str
    first: Chain
    second: Chain
    contacts: Array

    @property
    def chains(self) -> str:
        """Names of both chains."""
        return f"{self.first.name}/{self.second.name}"


def lattice_interfaces(
    crystal: Crystal, smallest: int = SMALLEST_INTERFACE
) -> list[LatticeInterface]:
    """Return the interfaces of a crystal, those with the most contacts first.

    Args:
        crystal: Chains and symmetry.
        smallest: Smallest number of contacts.
    """
    found: list[LatticeInterface] = []
    for i, first in enumerate(crystal.chains):
        tree = KDTree(first.atoms)
        for second in crystal.chains[i:]:
            for image in _images(crystal, first, second):
                contacts = _contacts(tree, first, image)
                if len(contacts) >= smallest:
                    found.append(LatticeInterface(crystal.entry, first, image, contacts))
    return sorted(found, key=lambda each: -len(each.contacts))


def _images(crystal: Crystal, first: Chain, second: Chain) -> Iterator[Chain]:
    """Yield the images of the second chain that may touch the first one."""
    if not crystal.repeats:
        if first is not second:
            yield second
        return
    inverse = np.linalg.inv(crystal.cell)
    centre, radius = _sphere(first)
    other, other_radius = _sphere(second)
    reach = radius + other_radius + CONTACT_DISTANCE_A
    # A sphere reaches this far along each axis of the cell, in units of the cell.
    shares = reach * np.linalg.norm(inverse, axis=1)
    seen: list[Array] = []
    for rotation, translation in zip(crystal.rotations, crystal.translations, strict=True):
        from_first = rotation @ (inverse @ other) + translation - inverse @ centre
        for shift in _shifts(-from_first - shares, -from_first + shares):
            if np.linalg.norm(crystal.cell @ (from_first + shift)) > reach:
                continue
            operation = np.column_stack([rotation, translation + shift])
            if first is second and (_is_identity(operation) or _is_seen(operation, seen)):
                continue
            seen.append(operation)
            yield _moved(second, crystal.cell, inverse, operation)


def _sphere(chain: Chain) -> tuple[Array, float]:
    """Return centre (3,) and radius of a sphere around all atoms [A]."""
    centre = 0.5 * (chain.atoms.min(axis=0) + chain.atoms.max(axis=0))
    return centre, float(np.linalg.norm(chain.atoms - centre, axis=1).max())


def _shifts(lowest: Array, highest: Array) -> Array:
    """Return all whole shifts (n, 3) between two corners (3,)."""
    ranges = [
        np.arange(np.ceil(low), np.floor(high) + 1.0)
        for low, high in zip(lowest, highest, strict=True)
    ]
    return np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, 3)


def _is_identity(operation: Array) -> bool:
    return bool(np.abs(operation - np.eye(3, 4)).max() < SAME_PLACE)


def _is_seen(operation: Array, seen: list[Array]) -> bool:
    """Return whether the inverse of an operation (3, 4) is among those seen."""
    turned = np.linalg.inv(operation[:, :3])
    inverse = np.column_stack([turned, -turned @ operation[:, 3]])
    return any(np.abs(inverse - each).max() < SAME_PLACE for each in seen)


def _moved(chain: Chain, cell: Array, inverse: Array, operation: Array) -> Chain:
    """Return a chain moved by an operation (3, 4) of fractional coordinates."""
    matrix, shift = cell @ operation[:, :3] @ inverse, cell @ operation[:, 3]
    return Chain(
        chain.name,
        chain.kinds,
        chain.beads @ matrix.T + shift,
        chain.atoms @ matrix.T + shift,
        chain.residue_of_atom,
    )


def _contacts(tree: KDTree, first: Chain, second: Chain) -> Array:
    """Return the indices of both residues of each contact (k, 2)."""
    near = tree.query_ball_point(second.atoms, CONTACT_DISTANCE_A)
    counts = np.fromiter(map(len, near), int, len(near))
    if not counts.any():
        return np.zeros((0, 2), dtype=int)
    firsts = first.residue_of_atom[np.concatenate([np.asarray(n, int) for n in near if n])]
    seconds = np.repeat(second.residue_of_atom, counts)
    return np.unique(np.stack([firsts, seconds], axis=1), axis=0)
