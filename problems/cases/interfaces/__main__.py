"""Files for the problem `interfaces`, from structures and tables of a user.

    python -m problems.cases.interfaces convert FOLDER -o interfaces.csv [--labels labels.csv]
    python -m problems.cases.interfaces convert FOLDER -o complexes.nc --places 64
    python -m problems.cases.interfaces splits many_features.csv -o many.csv

`convert` reads all structure files of a folder (PDB, mmCIF) and writes their interfaces: the 27
descriptors of each (.csv), or the complexes of residues (.nc). `labels.csv` has the columns PDB
(1abc_1 is the largest interface of 1abc) and CLASS (XTAL or BIO); interfaces that it doesn't name
are then left out. `splits` adds a column with the splits to a table, the shifted one with equally
many interfaces of both classes of each size.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from problems.cases.interfaces.conversion import convert_folder, write_splits
from problems.cases.interfaces.structures import FolderContents
from problems.errors import UserError


def write_files() -> int:
    """Write the file; return 2 after a mistake of the user, and 1 if a file couldn't be read."""
    parser = argparse.ArgumentParser(
        prog="python -m problems.cases.interfaces",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    convert = commands.add_parser("convert", help="interfaces of a folder of structure files")
    convert.add_argument("folder", type=Path)
    convert.add_argument("-o", "--output", type=Path, required=True, help="new file, .csv or .nc")
    convert.add_argument("--labels", type=Path, help="table with the columns PDB and CLASS")
    convert.add_argument("--places", type=int, default=64, help="residues of a side, for .nc")
    splits = commands.add_parser("splits", help="a table with a column of splits")
    splits.add_argument("table", type=Path)
    splits.add_argument("-o", "--output", type=Path, required=True, help="new file, .csv")
    arguments = parser.parse_args()
    try:
        if arguments.command == "splits":
            lines, refused = [write_splits(arguments.table, arguments.output)], 0
        else:
            read, written = convert_folder(
                arguments.folder, arguments.output, arguments.labels, arguments.places
            )
            lines, refused = [*_said(read), *written], len(read.refused)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return int(refused > 0)


def _said(read: FolderContents) -> Iterator[str]:
    """Yield what is incomplete and what couldn't be read, a line for each file."""
    for name, notes in read.notes.items():
        yield f"{name}: {'; '.join(notes)}"
    yield from read.refused.values()


if __name__ == "__main__":
    sys.exit(write_files())
