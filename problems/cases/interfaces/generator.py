"""Residue-level complexes: partners that were docked and selected, and neighbours in a lattice.

A side of an interface is a patch of residues on a surface: a hexagonal lattice of sites with random
displacements. The second side follows the first one at the distance of a contact. Both origins have
the same geometry and the same composition of residues, so that neither size nor composition tells
them apart:

- a neighbour in the lattice meets the first side at a random turn, and nothing was selected;
- a partner is docked, at the best of several turns, and the residues of each side were then
  selected for a low energy of the contacts: Metropolis exchanges of two residues of a side, which
  are both charged, polar or apolar. Numbers of contacts by character thus tell nothing of it.
"""

from dataclasses import dataclass

import numpy as np

from problems.cases.interfaces.geometry import contact_of, energies_of, random_rotations
from problems.cases.interfaces.residues import (
    CHARACTER_OF_KIND,
    COMPOSITION,
    CONTACT_ENERGIES_RT,
    KINDS,
)
from problems.interfaces.types import Array

SPACING_A = 5.6
"""Distance of neighbours on a surface: 27 A^2 for a residue."""

DISPLACEMENT_A = 0.8
"""Standard deviation of each component of a residue's displacement from its site."""

GAP_A = 4.2
"""Distance of the surfaces of both sides."""

ROUGHNESS_A = 1.5
"""Standard deviation of the heights of a surface."""

WAVELENGTH_A = 20.0
"""Wavelength of the waves of which a surface is made."""

WAVES = 4

RINGS = 5
"""Half the number of rows of sites from which those of a patch are taken."""


@dataclass(frozen=True)
class SelectionStrength:
    """How strongly partners were selected.

    Args:
        turns: Number of turns from which the best is docked.
        temperature: Temperature of the exchanges, in units of that of the energies.
        sweeps: Attempted exchanges, for each residue.
    """

    turns: int = 4
    temperature: float = 0.05
    sweeps: int = 20


SELECTION = SelectionStrength()


@dataclass(frozen=True)
class Sides:
    """Both sides of b interfaces, padded to n residues.

    Args:
        positions: Positions of residues (b, 2, n, 3) [A], 0 where there is none.
        kinds: Kinds of residues (b, 2, n), 0 where there is none.
    """

    positions: Array
    kinds: Array


def draw_sides(
    residues: tuple[int, int],
    places: int,
    selected: Array,
    selection: SelectionStrength,
    rng: np.random.Generator,
) -> Sides:
    """Return both sides of interfaces, each in a random orientation.

    Args:
        residues: Smallest and largest number of residues of a side.
        places: Number of residues n to which sides are padded.
        selected: Whether each interface is that of a partner that was docked and selected (b,).
        selection: How strongly.
        rng: Generator.
    """
    b = len(selected)
    sizes = rng.integers(residues[0], residues[1] + 1, (b, 2))
    kinds = rng.choice(KINDS, (b, 2, places), p=COMPOSITION) + 1
    kinds *= np.arange(places) < sizes[:, :, None]
    surface = _Surface.draw(b, rng)
    first = surface.patch(places, 0.0, rng)
    trials = [surface.patch(places, GAP_A, rng) for _ in range(selection.turns)]
    contacts = [contact_of(np.stack([first, second], 1), kinds) for second in trials]
    best = np.argmin([energies_of(contact, kinds) for contact in contacts], axis=0)
    best = np.where(selected, best, 0)
    second = np.stack(trials)[best, np.arange(b)]
    positions = np.stack([first, second], 1)
    index = np.flatnonzero(selected)
    contact = np.stack(contacts)[best, np.arange(b)]
    kinds[index] = _exchanged(contact[index], kinds[index], sizes[index], selection, rng)
    positions = np.einsum("bxy,bsny->bsnx", random_rotations(b, rng), positions)
    return _shuffled(Sides(positions * (kinds > 0)[..., None], kinds), sizes, rng)


@dataclass(frozen=True)
class _Surface:
    """A random surface: heights over the plane of the interface, as a sum of waves.

    Args:
        waves: Wave vectors (b, w, 2) [1 / A].
        phases: Phases (b, w) [rad].
    """

    waves: Array
    phases: Array

    @classmethod
    def draw(cls, n: int, rng: np.random.Generator) -> "_Surface":
        angles = rng.uniform(0.0, 2.0 * np.pi, (n, WAVES))
        waves = np.stack([np.cos(angles), np.sin(angles)], -1) * 2.0 * np.pi / WAVELENGTH_A
        return cls(waves, rng.uniform(0.0, 2.0 * np.pi, (n, WAVES)))

    def patch(self, places: int, height: float, rng: np.random.Generator) -> Array:
        """Return the positions of the residues of a side (b, places, 3) [A]."""
        n = len(self.phases)
        turn, shift = rng.uniform(0.0, 2.0 * np.pi, n), rng.uniform(-0.5, 0.5, (n, 2))
        rows = np.arange(-RINGS, RINGS + 1)
        sites = np.stack(np.meshgrid(rows, rows), -1).reshape(-1, 2)
        sites = (sites + shift[:, None]) @ (SPACING_A * np.array([[1.0, 0.0], [0.5, 0.75**0.5]]))
        turned = np.stack([np.cos(turn), -np.sin(turn), np.sin(turn), np.cos(turn)], -1)
        plane = np.einsum("bxy,bky->bkx", turned.reshape(-1, 2, 2), sites)
        nearest = np.argsort(np.sum(plane**2, axis=-1), axis=1)[:, :places]
        plane = np.take_along_axis(plane, nearest[..., None], axis=1)
        argument = np.einsum("bwx,bkx->bkw", self.waves, plane) + self.phases[:, None]
        heights = ROUGHNESS_A * (2.0 / WAVES) ** 0.5 * np.cos(argument).sum(axis=-1) + height
        positions = np.concatenate([plane, heights[..., None]], axis=-1)
        return positions + rng.normal(0.0, DISPLACEMENT_A, positions.shape)


def _exchanged(
    contact: Array,
    kinds: Array,
    sizes: Array,
    selection: SelectionStrength,
    rng: np.random.Generator,
) -> Array:
    """Return kinds (b, 2, n) after Metropolis exchanges of two residues of a side."""
    kinds, rows = kinds.copy(), np.arange(len(kinds))
    if not len(kinds):
        return kinds
    links = np.stack([contact, np.swapaxes(contact, 1, 2)])
    for _ in range(selection.sweeps * 2 * int(sizes.max())):
        side = rng.integers(2, size=len(kinds))
        pick = (rng.random((2, len(kinds))) * sizes[rows, side]).astype(int)
        left, right = kinds[rows, side, pick[0]], kinds[rows, side, pick[1]]
        alike = CHARACTER_OF_KIND[left - 1] == CHARACTER_OF_KIND[right - 1]
        partner = kinds[rows, 1 - side]
        change = CONTACT_ENERGIES_RT[right[:, None], partner]
        change = change - CONTACT_ENERGIES_RT[left[:, None], partner]
        links_apart = links[side, rows, pick[0]] - links[side, rows, pick[1]]
        rise = np.sum(links_apart * change, axis=1)
        chance = np.exp(np.minimum(-rise / selection.temperature, 0.0))
        accepted = alike & (rng.random(len(kinds)) < chance)
        kinds[rows, side, pick[0]] = np.where(accepted, right, left)
        kinds[rows, side, pick[1]] = np.where(accepted, left, right)
    return kinds


def _shuffled(sides: Sides, sizes: Array, rng: np.random.Generator) -> Sides:
    """Return the residues of each side in random order, so that the order tells nothing."""
    key = rng.random(sides.kinds.shape) + (np.arange(sides.kinds.shape[2]) >= sizes[:, :, None])
    order = np.argsort(key, axis=2)
    positions = np.take_along_axis(sides.positions, order[..., None], axis=2)
    return Sides(positions, np.take_along_axis(sides.kinds, order, axis=2))
