"""Whether a complex would form in solution: its second side is docked anew, in many poses.

The second side is displaced in the plane of the interface and turned about its axis, and the
energy of the contacts of each pose is summed. Where the best of all poses is that of the complex,
the sides are partners; a neighbour of the crystal is as well off or better elsewhere. Displacements
have the directions of the turns, so that the poses are the same ones if the first side is moved in
place of the second.

The squared distance of two residues is a constant and a cosine of the turn. A pair is thus in
contact over one interval of turns, and the energies of all turns are a running sum over the ends
of these intervals.
"""

import numpy as np

from problems.cases.interfaces.geometry import CONTACT_A, contact_of, interface_frame
from problems.cases.interfaces.residues import CONTACT_ENERGIES_RT, PROPERTIES, VOLUME
from problems.interfaces.types import Array

DISPLACEMENTS_A = (2.8, 5.6, 8.4)
"""Lengths of the displacements: steps of half the distance of neighbours on a surface."""

NATIVE_DISPLACEMENT_A, NATIVE_TURN_DEG = 3.0, 17.0
"""Displacements and turns up to these are those of the complex: they move a residue by less than
the distance of two neighbours, up to 15 A from the axis."""

SMALLEST_AMPLITUDE_A2 = 1e-12
"""Pairs whose distance changes less are those of a residue on the axis."""

SMALLEST_LENGTH_A = 1e-6
"""Shorter vectors have no direction but that of rounding."""


def docking_gaps(positions: Array, kinds: Array, turns: int) -> Array:
    """Return the energies of the best other poses less those of the best native ones (b,) [RT].

    Args:
        positions: Positions (b, 2, n, 3) [A].
        kinds: Kinds (b, 2, n), 0 where there is none.
        turns: Number of turns of the full circle, and of directions of displacements.
    """
    centred, axis = interface_frame(positions, kinds, contact_of(positions, kinds))
    directions = _directions(centred, kinds, axis, turns)
    poses = [(0.0, np.zeros_like(axis))]
    poses += [(length, length * each) for length in DISPLACEMENTS_A for each in directions]
    energies = np.stack(
        [
            turn_energies(_displaced(centred, kinds, shift), kinds, axis, turns)
            for _, shift in poses
        ],
        axis=1,
    )
    angles = 360.0 * np.arange(turns) / turns
    turned = np.minimum(angles, 360.0 - angles) <= NATIVE_TURN_DEG
    displaced = np.array([length <= NATIVE_DISPLACEMENT_A for length, _ in poses])
    native = displaced[:, None] & turned
    best = np.where(native, energies, np.inf).min(axis=(1, 2))
    return np.where(native, np.inf, energies).min(axis=(1, 2)) - best


def _directions(centred: Array, kinds: Array, axis: Array, number: int) -> Array:
    """Return unit vectors across the axis (k, b, 3), one of them towards the larger residues."""
    volume = PROPERTIES[kinds, VOLUME]
    towards = np.einsum("bsn,bsnx->bx", volume, centred)
    across = towards - np.sum(towards * axis, axis=1, keepdims=True) * axis
    # Of a symmetric interface any direction is as good: that of a coordinate axis.
    least = np.eye(3)[np.argmin(np.abs(axis), axis=1)]
    symmetric = np.linalg.norm(across, axis=1, keepdims=True) < SMALLEST_LENGTH_A
    across = np.where(symmetric, np.cross(axis, least), across)
    first = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), SMALLEST_LENGTH_A)
    second = np.cross(axis, first)
    angles = 2.0 * np.pi * np.arange(number)[:, None, None] / number
    return np.cos(angles) * first + np.sin(angles) * second


def _displaced(centred: Array, kinds: Array, shift: Array) -> Array:
    """Return positions with the second side displaced by a shift (b, 3) [A]."""
    moved = centred.copy()
    moved[:, 1] += shift[:, None] * (kinds[:, 1] > 0)[..., None]
    return moved


def turn_energies(centred: Array, kinds: Array, axis: Array, turns: int) -> Array:
    """Return the energy of the contacts at each turn of the second side (b, k) [RT].

    Args:
        centred: Positions about a point of the axis (b, 2, n, 3) [A].
        kinds: Kinds (b, 2, n), 0 where there is none.
        axis: Axis of the turns (b, 3), of unit length.
        turns: Number of turns k of the full circle; the first is none.
    """
    first, second = centred[:, 0], centred[:, 1]
    heights = np.einsum("bsnx,bx->bsn", centred, axis)
    along = heights[:, 0, :, None] * heights[:, 1, None]
    cosine = np.einsum("bix,bjx->bij", first, second) - along
    sine = np.einsum("bix,bjx->bij", first, np.cross(axis[:, None], second))
    squares = np.einsum("bsnx,bsnx->bsn", centred, centred)
    constant = squares[:, 0, :, None] + squares[:, 1, None] - 2.0 * along
    # In contact where the cosine of the turn from the nearest one is at least this threshold.
    amplitude = np.maximum(np.hypot(cosine, sine), SMALLEST_AMPLITUDE_A2)
    threshold = 0.5 * (constant - CONTACT_A**2) / amplitude
    present = (kinds[:, 0, :, None] > 0) & (kinds[:, 1, None] > 0)
    sample, i, j = np.nonzero(present & (threshold <= 1.0))
    threshold = np.maximum(threshold[sample, i, j], -1.0)
    nearest = np.arctan2(sine[sample, i, j], cosine[sample, i, j])
    half, step = np.arccos(threshold), 2.0 * np.pi / turns
    begin = np.ceil((nearest - half) / step).astype(int)
    count = np.floor((nearest + half) / step).astype(int) - begin + 1
    energy = CONTACT_ENERGIES_RT[kinds[sample, 0, i], kinds[sample, 1, j]]
    return _running_sums(sample, begin % turns, np.minimum(count, turns), energy, len(kinds), turns)


def _running_sums(  # noqa: PLR0913, PLR0917 - the columns of a table of intervals
    sample: Array, begin: Array, count: Array, energy: Array, b: int, turns: int
) -> Array:
    """Return the sums (b, k) of the energies of intervals of turns, which may pass the last turn.

    Args:
        sample: Sample of each interval (m,).
        begin: Its first turn (m,).
        count: Its number of turns (m,).
        energy: Its energy (m,).
        b: Number of samples.
        turns: Number of turns k.
    """
    width = 2 * turns + 1
    row = sample * width + begin
    changes = np.bincount(row, energy, b * width) - np.bincount(row + count, energy, b * width)
    sums = np.cumsum(changes.reshape(b, width), axis=1)
    return sums[:, :turns] + sums[:, turns : 2 * turns]
