"""Interfaces of a folder of structure files, as complexes of residues or as descriptors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from problems.cases.interfaces.chains import StructureFileError, is_structure_file, read_crystal
from problems.cases.interfaces.descriptors import descriptors_of
from problems.cases.interfaces.lattice import LatticeInterface, lattice_interfaces
from problems.errors import UserError
from problems.interfaces.types import Array, Batch


@dataclass(frozen=True)
class NamedInterface:
    """An interface of a file, named by entry and rank: the largest of 1abc is 1abc_1.

    Args:
        name: Its name.
        interface: The interface.
    """

    name: str
    interface: LatticeInterface


@dataclass(frozen=True)
class FolderContents:
    """What was read from a folder of structure files.

    Args:
        interfaces: Interfaces of all files that could be read.
        notes: What is incomplete or was left out of a file, by its name.
        refused: Why a file couldn't be read, by its name.
    """

    interfaces: tuple[NamedInterface, ...]
    notes: Mapping[str, Sequence[str]]
    refused: Mapping[str, str]


def read_folder(folder: Path) -> FolderContents:
    """Return the interfaces of all structure files of a folder; one that can't be read is named.

    Raises:
        UserError: The folder doesn't exist or holds no structure file.
        MissingExtraError: gemmi isn't installed.
    """
    files = sorted(path for path in folder.glob("*") if is_structure_file(path))
    if not files:
        raise UserError(f"{folder} holds no structure file; name a folder of PDB or mmCIF files")
    interfaces: list[NamedInterface] = []
    notes: dict[str, Sequence[str]] = {}
    refused: dict[str, str] = {}
    for path in files:
        try:
            crystal = read_crystal(path)
        except StructureFileError as error:
            refused[path.name] = str(error)
            continue
        if crystal.notes:
            notes[path.name] = crystal.notes
        entry = path.name.split(".")[0].lower()
        interfaces += [
            NamedInterface(f"{entry}_{rank}", interface)
            for rank, interface in enumerate(lattice_interfaces(crystal), start=1)
        ]
    return FolderContents(tuple(interfaces), notes, refused)


def complex_of_interface(interface: LatticeInterface) -> Batch:
    """Return the fields of an interface (1, ...), of the residues in contact alone.

    Positions are about the mean of these residues.
    """
    sides = [np.unique(interface.contacts[:, side]) for side in (0, 1)]
    chains = (interface.first, interface.second)
    beads = [chain.beads[members] for chain, members in zip(chains, sides, strict=True)]
    middle = np.concatenate(beads).mean(axis=0)
    places = max(map(len, sides))
    position, kind = np.zeros((1, 2, places, 3)), np.zeros((1, 2, places))
    for side, (chain, members) in enumerate(zip(chains, sides, strict=True)):
        position[0, side, : len(members)] = beads[side] - middle
        kind[0, side, : len(members)] = chain.kinds[members]
    contact = np.zeros((1, places, places))
    rows = [np.searchsorted(sides[side], interface.contacts[:, side]) for side in (0, 1)]
    contact[0, rows[0], rows[1]] = 1.0
    return {"position": position, "kind": kind, "contact": contact}


def descriptors_of_interface(interface: LatticeInterface) -> Array:
    """Return the descriptors of an interface (27,)."""
    fields = complex_of_interface(interface)
    return descriptors_of(fields["contact"], fields["kind"].astype(int))[0]
