"""Whether a complex would form in solution: its second side is docked anew, at every turn.

The second side is turned about the axis of the interface, and the energy of the contacts of each
turn gives its share of a thermal ensemble. What holds together at the turn of the complex, rather
than at any other, is a partner; a neighbour of the crystal holds as well or better elsewhere.

The squared distance of two residues is a constant and a cosine of the turn. A pair is thus in
contact over one interval of turns, and the energies of all turns are a running sum over the ends
of these intervals.
"""

import numpy as np

from problems.cases.interfaces.geometry import CONTACT_A, contact_of, interface_frame
from problems.cases.interfaces.residues import CONTACT_ENERGIES_RT
from problems.interfaces.types import Array

NATIVE_TURN_DEG = 17.0
"""Turns up to this one are that of the complex; at a radius of 15 A they move a residue by less
than the distance of two neighbours."""

SMALLEST_AMPLITUDE_A2 = 1e-12
"""Pairs whose distance changes less are those of a residue on the axis."""


def native_shares(positions: Array, kinds: Array, turns: int) -> Array:
    """Return the share of the ensemble of all turns that is at that of the complex (b,).

    Args:
        positions: Positions (b, 2, n, 3) [A].
        kinds: Kinds (b, 2, n), 0 where there is none.
        turns: Number of turns of the full circle.
    """
    energies = turn_energies(positions, kinds, turns)
    weights = np.exp(energies.min(axis=1, keepdims=True) - energies)
    angles = 360.0 * np.arange(turns) / turns
    native = np.minimum(angles, 360.0 - angles) <= NATIVE_TURN_DEG
    return weights[:, native].sum(axis=1) / weights.sum(axis=1)


def turn_energies(positions: Array, kinds: Array, turns: int) -> Array:
    """Return the energy of the contacts at each turn of the second side (b, k) [RT].

    Args:
        positions: Positions (b, 2, n, 3) [A].
        kinds: Kinds (b, 2, n), 0 where there is none.
        turns: Number of turns k of the full circle; the first is that of the complex.
    """
    centred, axis = interface_frame(positions, kinds, contact_of(positions, kinds))
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
