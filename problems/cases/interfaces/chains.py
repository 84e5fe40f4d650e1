"""Chains of a structure file: PDB or mmCIF, read by gemmi.

Source: Wojdyr, J. Open Source Softw. 7 (2022) 4200 (gemmi).
"""

import importlib
import importlib.util
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from problems.cases.interfaces.residues import KIND_OF_NAME, RESIDUES
from problems.errors import MissingExtraError, UserError
from problems.interfaces.types import Array

INTERFACES_EXTRA = "interfaces"
"""The project's extra that installs the library for structure files."""

STRUCTURE_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")
_COMPRESSED = ("", ".gz")

MAX_CHAINS = 60
"""More chains are taken for a virus or another large assembly, whose pairs of chains would take
minutes."""

SMALLEST_CHAIN = 5
"""Chains with fewer residues are taken for ligands."""

BACKBONE = frozenset({"N", "CA", "C", "O", "OXT"})


class StructureFileError(UserError):
    """A structure file can't be used; the message names the file, the reason and the remedy."""


@dataclass(frozen=True)
class Chain:
    """The residues of a polymer and their heavy atoms.

    Args:
        name: Name in the file.
        kinds: Kind of each residue (r,), from 1.
        beads: Mean position of the heavy atoms of each side chain (r, 3) [A]; that of the alpha
            carbon, or else of all atoms, where there are none.
        atoms: Positions of all heavy atoms (a, 3) [A].
        residue_of_atom: Index of the residue of each atom (a,).
    """

    name: str
    kinds: Array
    beads: Array
    atoms: Array
    residue_of_atom: Array


@dataclass(frozen=True)
class Crystal:
    """The chains of a structure file and the symmetry by which they repeat.

    Args:
        entry: Name of the entry.
        chains: Chains of protein.
        rotations: Rotation of each symmetry operation, of fractional coordinates (s, 3, 3).
        translations: Its translation (s, 3), in units of the cell.
        cell: Matrix (3, 3) from fractional to Cartesian coordinates [A].
        notes: What was left out or is missing, in sentences.
    """

    IDENTITY: ClassVar[str] = "interfaces/crystal"

    entry: str
    chains: tuple[Chain, ...]
    rotations: Array
    translations: Array
    cell: Array
    notes: tuple[str, ...] = field(default=())

    @property
    def repeats(self) -> bool:
        """Whether the file has the symmetry of a crystal."""
        return len(self.rotations) > 0


def is_structure_file(path: Path) -> bool:
    """Return whether a file is a structure file, by the end of its name."""
    ends = tuple(suffix + zipped for suffix in STRUCTURE_SUFFIXES for zipped in _COMPRESSED)
    return path.name.lower().endswith(ends)


def gemmi_is_installed() -> bool:
    """Return whether structure files can be read."""
    return importlib.util.find_spec("gemmi") is not None


def read_crystal(path: Path) -> Crystal:
    """Return the protein chains of the first model of a file, in their first conformation.

    Raises:
        MissingExtraError: gemmi isn't installed.
        StructureFileError: The file can't be read, holds no protein, or too many chains.
    """
    gemmi = _gemmi()
    try:
        structure = gemmi.read_structure(str(path))
    except (RuntimeError, ValueError, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StructureFileError(
            f"{path.name}: not readable as a structure ({reason}); give a PDB or mmCIF file"
        ) from None
    if not len(structure):
        raise StructureFileError(f"{path.name}: holds no atoms; give a file with coordinates")
    notes: list[str] = []
    if len(structure) > 1:
        notes.append(f"{len(structure)} models: the first one is read")
    structure.setup_entities()
    if _alternatives(structure[0]):
        notes.append("alternate locations: the first conformation is read")
    structure.remove_alternative_conformations()
    structure.remove_hydrogens()
    chains = _protein_chains(structure[0], notes)
    if not chains:
        raise StructureFileError(f"{path.name}: holds no chain of protein; leave the file out")
    if len(chains) > MAX_CHAINS:
        raise StructureFileError(
            f"{path.name}: {len(chains)} chains, more than {MAX_CHAINS}; give the asymmetric unit "
            "or a part of the assembly"
        )
    rotations, translations = _operations(structure, notes)
    cell = np.array(structure.cell.orth.mat.tolist())
    entry = (structure.name or path.name).split(".")[0].lower()
    return Crystal(entry, tuple(chains), rotations, translations, cell, tuple(notes))


def _gemmi() -> Any:
    try:
        return importlib.import_module("gemmi")
    except ImportError:
        raise MissingExtraError("gemmi", INTERFACES_EXTRA, "reading structure files") from None


def _alternatives(model: Any) -> bool:
    return any(atom.has_altloc() for chain in model for residue in chain for atom in residue)


def _protein_chains(model: Any, notes: list[str]) -> list[Chain]:
    """Return the chains of protein; what is left out or incomplete is added to the notes."""
    gemmi = _gemmi()
    chains: list[Chain] = []
    incomplete, unknown, others = 0, Counter[str](), list[str]()
    for chain in model:
        polymer = chain.get_polymer()
        if not len(polymer):
            continue
        if polymer.check_polymer_type().name.startswith(("Dna", "Rna")):
            others.append(chain.name)
            continue
        residues: list[tuple[int, Any]] = []
        for residue in polymer:
            kind = _kind(gemmi, residue.name)
            if kind:
                residues.append((kind, residue))
                incomplete += len(residue) < RESIDUES[kind - 1].heavy_atoms
            else:
                unknown[residue.name] += 1
        if len(residues) >= SMALLEST_CHAIN:
            chains.append(_chain(chain.name, residues))
    if others:
        notes.append(f"nucleic acids left out: chains {', '.join(others)}")
    if unknown:
        listed = ", ".join(f"{number} {name}" for name, number in sorted(unknown.items()))
        notes.append(f"residues of unknown kind left out: {listed}")
    if incomplete:
        notes.append(f"{incomplete} residues lack atoms: their contacts may be missing")
    return chains


def _kind(gemmi: Any, name: str) -> int:
    """Return the kind of a residue, or of the one that was modified; 0 if there is none."""
    if name in KIND_OF_NAME:
        return KIND_OF_NAME[name]
    known = gemmi.find_tabulated_residue(name)
    letter = known.one_letter_code.upper() if known.is_amino_acid() else ""
    return next((kind for kind, each in enumerate(RESIDUES, 1) if each.letter == letter), 0)


def _chain(name: str, residues: Sequence[tuple[int, Any]]) -> Chain:
    """Return the residues with their kinds as arrays."""
    atoms: list[list[float]] = []
    owners: list[int] = []
    beads: list[Array] = []
    for index, (_, residue) in enumerate(residues):
        named = {atom.name: atom.pos.tolist() for atom in residue}
        atoms += named.values()
        owners += [index] * len(named)
        side = [position for label, position in named.items() if label not in BACKBONE]
        alpha = [named["CA"]] if "CA" in named else list(named.values())
        beads.append(np.mean(side or alpha, axis=0))
    kinds = np.array([kind for kind, _ in residues])
    return Chain(name, kinds, np.array(beads), np.array(atoms), np.array(owners))


def _operations(structure: Any, notes: list[str]) -> tuple[Array, Array]:
    """Return rotations (s, 3, 3) and translations (s, 3) of the crystal; none without symmetry."""
    group = structure.find_spacegroup()
    if group is None or not structure.cell.is_crystal():
        notes.append("no crystal symmetry: contacts between the chains of the file alone")
        return np.zeros((0, 3, 3)), np.zeros((0, 3))
    if any(not operation.given for operation in structure.ncs):
        notes.append(
            "copies by non-crystallographic symmetry that the file doesn't hold are left out"
        )
    operations = list(group.operations())
    rotations = np.array([np.array(each.rot) / each.DEN for each in operations])
    return rotations, np.array([np.array(each.tran) / each.DEN for each in operations])
