"""The problem on recorded interfaces: a table of descriptors, or complexes of structure files."""

from pathlib import Path

import numpy as np

from problems.cases.interfaces.baselines import ApolarContacts, SupportVectors
from problems.cases.interfaces.descriptors import COUNTS, DESCRIPTORS
from problems.cases.interfaces.encodings import (
    BeadsEncoding,
    DescriptorsEncoding,
    DistancesEncoding,
    InterfaceEncoding,
    ResidueGraphEncoding,
)
from problems.cases.interfaces.simulation import CLASSES, LABEL, complex_fields
from problems.cases.interfaces.validation import InterfacePictures, InterfaceScore
from problems.cases.interfaces.voxels import VoxelsEncoding
from problems.data.recorded_declaration import Recorded
from problems.errors import UserError
from problems.interfaces.problem import Deployment, Problem
from problems.interfaces.types import Field

TABLE_LABEL, TABLE_CLASSES = "CLASS", ("XTAL", "BIO")
NAME_COLUMN, SPLIT_COLUMN = "PDB", "split"
"""Columns of a table, and variables of a file of complexes: an interface's name and split."""

LARGEST_COUNT = 1e6

HELD_OUT_SHARE = 0.1
"""Share of the interfaces in the shifted split."""

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.1, "confirmation": 0.1}
"""Share of each other split."""


def entry_of(name: str) -> str:
    """Return the entry of an interface: 1e10 of 1e10_2."""
    return name.split("_", maxsplit=1)[0]


def table_problem(file: Path) -> Problem:
    """Return the problem on a table with the 27 descriptors, such as MANY.

    Its columns are `PDB` (name of the interface), the descriptors and `CLASS` (XTAL or BIO).
    Interfaces of one entry stay in one split; a column `split` gives the splits.

    Args:
        file: The table, .csv or .parquet.

    Raises:
        UserError: The file doesn't exist.
    """
    fields = tuple(
        Field(name, unit="1", valid=(0.0, LARGEST_COUNT if counts else 1.0))
        for name, counts in zip(DESCRIPTORS, COUNTS, strict=True)
    )
    encodings: dict[str, InterfaceEncoding] = {"descriptors": DescriptorsEncoding(TABLE_LABEL)}
    return _problem(file, fields, TABLE_LABEL, TABLE_CLASSES, encodings)


def complexes_problem(file: Path, places: int) -> Problem:
    """Return the problem on complexes of structure files with labels, in all encodings.

    Args:
        file: File of complexes (.nc) that `python -m problems.cases.interfaces` writes.
        places: Number of residues of a side, padding included, of the file.

    Raises:
        UserError: The file doesn't exist.
    """
    encodings: dict[str, InterfaceEncoding] = {
        "descriptors": DescriptorsEncoding(),
        "distances": DistancesEncoding(),
        "graph": ResidueGraphEncoding(),
        "beads": BeadsEncoding(),
        "voxels": VoxelsEncoding(),
    }
    return _problem(file, complex_fields(places), LABEL, CLASSES, encodings)


def _problem(
    file: Path,
    fields: tuple[Field, ...],
    label: str,
    classes: tuple[str, ...],
    encodings: dict[str, InterfaceEncoding],
) -> Problem:
    if not file.is_file():
        raise UserError(f"there is no file '{file}'; name a table or a file of complexes")
    data = Recorded(
        file,
        fields,
        labels={label: classes},
        group=NAME_COLUMN,
        group_of=entry_of,
        split=SPLIT_COLUMN if _has_splits(file) else "",
    )
    score = InterfaceScore(data.outputs)
    return Problem(
        name=f"interfaces-{file.name.split('.')[0]}",
        summary="is an interface of proteins biological, or a contact of the crystal? (recorded)",
        data=data,
        encodings=encodings,
        score=score,
        baselines={
            "apolar-apolar contacts": ApolarContacts(label),
            "support vectors": SupportVectors(label),
        },
        deployment=Deployment(batch=64),
        pictures=InterfacePictures(score),
    )


def _has_splits(file: Path) -> bool:
    """Return whether a table of text has a column that gives the splits."""
    if file.suffix != ".csv":
        return False
    with file.open(encoding="utf-8", errors="replace") as lines:
        return SPLIT_COLUMN in lines.readline().strip().split(",")


def matched_splits(
    names: list[str], contacts: np.ndarray, biological: np.ndarray, seed: int = 0
) -> list[str]:
    """Return a split for each interface (n,), of which `shifted` has both classes in equal sizes.

    For each number of contacts, as many biological interfaces are held out as others, so that size
    tells nothing. Only entries with a single interface are held out; the others are divided by
    entry.

    Args:
        names: Names of the interfaces.
        contacts: Their numbers of contacts (n,).
        biological: Whether they are biological (n,).
        seed: Seed of the division.
    """
    rng = np.random.default_rng(seed)
    entries, entry, members = np.unique(
        [entry_of(name) for name in names], return_inverse=True, return_counts=True
    )
    alone = members[entry] == 1
    pairs = [
        (first, second)
        for size in np.unique(contacts)
        for first, second in zip(
            rng.permutation(np.flatnonzero(alone & biological & (contacts == size))),
            rng.permutation(np.flatnonzero(alone & ~biological & (contacts == size))),
            strict=False,
        )
    ]
    held = max(1, round(0.5 * HELD_OUT_SHARE * len(names)))
    chosen = rng.permutation(len(pairs))[:held]
    drawn = rng.choice(list(SHARES), len(entries), p=list(SHARES.values()))
    splits = drawn[entry].astype(object)
    splits[np.array([pairs[i] for i in chosen], dtype=int).ravel()] = "shifted"
    return [str(split) for split in splits]
