"""The readers of recorded samples by the end of a file's name."""

from collections.abc import Mapping
from pathlib import Path

from problems.data.arrays import ArrayReader, ZarrReader
from problems.data.chunks import Reader
from problems.data.tables import ParquetReader, TableReader
from problems.data.text_tables import TextReader
from problems.errors import UserError

_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".dat")
_COMPRESSED_SUFFIXES = ("", ".gz", ".bz2", ".xz", ".zip")

READERS: Mapping[str, type[Reader]] = {
    **dict.fromkeys((".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".mat"), ArrayReader),
    **dict.fromkeys((".zarr", ".zarr.zip"), ZarrReader),
    **{f"{text}{zipped}": TextReader for text in _TEXT_SUFFIXES for zipped in _COMPRESSED_SUFFIXES},
    ".parquet": ParquetReader,
}


def reader_for(path: Path) -> type[Reader]:
    """Return the class of the reader for a file, by the end of its name.

    Raises:
        UserError: The format is unknown.
    """
    for suffix, reader in READERS.items():
        if path.name.lower().endswith(suffix):
            return reader
    if path.is_dir() and next(path.rglob("*.parquet"), None):
        return ParquetReader
    raise UserError(f"the format of {path} is unknown; known are {', '.join(READERS)}")


def is_table(path: Path) -> bool:
    """Return whether a file is read as a table.

    Raises:
        UserError: The format is unknown.
    """
    return issubclass(reader_for(path), TableReader)
