"""Positions and contacts of the residues of both sides of an interface."""

import numpy as np

from problems.cases.interfaces.residues import CONTACT_ENERGIES_RT
from problems.interfaces.types import Array

CONTACT_A = 6.5
"""Largest distance of the side chains of residues in contact: Miyazawa & Jernigan, J. Mol. Biol.
256 (1996) 623, for whose reference state the energies are."""


def contact_of(positions: Array, kinds: Array) -> Array:
    """Return 1 where residues of both sides are in contact, or 0 (b, n, n).

    Args:
        positions: Positions (b, 2, n, 3) [A].
        kinds: Kinds (b, 2, n), 0 where there is none.
    """
    apart = positions[:, 0, :, None] - positions[:, 1, None]
    near = np.einsum("bijx,bijx->bij", apart, apart) <= CONTACT_A**2
    present = kinds > 0
    return (near & present[:, 0, :, None] & present[:, 1, None]).astype(float)


def energies_of(contact: Array, kinds: Array) -> Array:
    """Return the energy of the contacts of each interface (b,) [RT].

    Args:
        contact: 1 where residues are in contact, or 0 (b, n, n).
        kinds: Kinds (b, 2, n).
    """
    pair = CONTACT_ENERGIES_RT[kinds[:, 0, :, None], kinds[:, 1, None]]
    return np.sum(contact * pair, axis=(1, 2))


def interface_frame(positions: Array, kinds: Array, contact: Array) -> tuple[Array, Array]:
    """Return positions about the middle of the contacts (b, 2, n, 3), and the axis (b, 3).

    Places without a residue are at the middle. The axis leads from the first side to the second.

    Args:
        positions: Positions (b, 2, n, 3) [A].
        kinds: Kinds (b, 2, n), 0 where there is none.
        contact: 1 where residues are in contact, or 0 (b, n, n).
    """
    weights = np.stack([contact.sum(axis=2), contact.sum(axis=1)], axis=1)
    # Without a contact the middle is that of all residues.
    weights = np.where(weights.sum(axis=2, keepdims=True) > 0.0, weights, 1.0) * (kinds > 0)
    total = np.maximum(weights.sum(axis=2), 1.0)
    centres = np.einsum("bsn,bsnx->bsx", weights, positions) / total[..., None]
    axis = centres[:, 1] - centres[:, 0]
    length = np.linalg.norm(axis, axis=1, keepdims=True)
    centred = positions - centres.mean(axis=1)[:, None, None]
    return centred * (kinds > 0)[..., None], axis / np.where(length > 0.0, length, 1.0)


def random_rotations(n: int, rng: np.random.Generator) -> Array:
    """Return n rotations (n, 3, 3), uniform over all of them (Shoemake 1992)."""
    drawn = rng.standard_normal((n, 4))
    w, x, y, z = np.moveaxis(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)
