"""What every reader of recorded samples shares: the selection of fields, chunks, and errors."""

import importlib
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

from problems.data.read_options import ReadOptions
from problems.errors import MissingExtraError, UserError
from problems.interfaces.class_fields import ClassField
from problems.interfaces.types import Array, Batch, Field

CHUNK_BYTES = 64 * 2**20
FILES_EXTRA = "files"
"""The project's extra that installs the libraries of the readers."""

# Exceptions that the libraries raise on damaged files.
_UNREADABLE = (
    OSError, ValueError, EOFError, LookupError, RuntimeError, TypeError, zlib.error,
    zipfile.BadZipFile,
)  # fmt: skip
_NAMES_SHOWN = 8


@dataclass(frozen=True)
class FieldSelection:
    """The columns or variables that are read from each file.

    Args:
        fields: Input and output fields.
        group: Column or variable with the group of each sample, "" if there is none.
        columns: Columns or variable of a field whose name differs in the files.
        sample: Dimension of the samples; "" for the first dimension of the first field.
        options: How the files are written.
        split: Column or variable with the split of each sample, "" if there is none.
    """

    fields: tuple[Field, ...]
    group: str
    columns: Mapping[str, str | Sequence[str]]
    sample: str
    options: ReadOptions = dataclass_field(default_factory=ReadOptions)
    split: str = ""

    @property
    def markers(self) -> Mapping[str, str]:
        """The column of the group and that of the split, by these words."""
        named = {"group": self.group, "split": self.split}
        return {purpose: name for purpose, name in named.items() if name}

    def names(self, field: Field, *, table: bool) -> tuple[str, ...]:
        """Return the name of a field's variable, or the columns of its numbers in a table.

        Args:
            field: The field.
            table: Whether the file is a table.
        """
        given = self.columns.get(field.name)
        if isinstance(given, str):
            return (given,)
        if given is not None:
            return tuple(given)
        if table and field.shape and not isinstance(field, ClassField):
            return tuple(f"{field.name}_{i}" for i in range(field.size))
        return (field.name,)

    @property
    def chunk_rows(self) -> int:
        """Number of samples in a chunk of about `CHUNK_BYTES`."""
        return max(1, CHUNK_BYTES // (8 * sum(field.size for field in self.fields)))


@dataclass(frozen=True)
class Chunk:
    """Successive samples of one file.

    Args:
        path: The file.
        first: Index of the first sample in the file, counted from 0.
        fields: Inputs and outputs, float64 (b, ...).
        group: Group of each sample (b,) as in the file, None if there are no groups.
        failures: Which samples failed (b,) by reason, for reasons that only the file knows; of
            several reasons of a sample the first counts.
        split: Word for the split of each sample (b,), None if the files don't say.
    """

    path: Path
    first: int
    fields: Batch
    group: Array | None
    failures: Mapping[str, Array] = dataclass_field(default_factory=dict[str, Array])
    split: Array | None = None

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))


@dataclass(frozen=True)
class Reader(ABC):
    """A reader of one file.

    Args:
        path: The file.
        selection: The columns or variables to read.
    """

    path: Path
    selection: FieldSelection

    library: ClassVar[str]
    """The library that reads the file."""

    @abstractmethod
    def header_errors(self) -> Iterator[str]:
        """Yield messages where the header doesn't match the selection, without reading samples.

        Raises:
            UserError: The file can't be read.
        """

    @abstractmethod
    def chunks(self) -> Iterator[Chunk]:
        """Yield the samples in order.

        Raises:
            UserError: The file can't be read, or contains text instead of numbers.
        """

    def missing_name(self, kind: str, name: str, purpose: str, available: Iterable[object]) -> str:
        """Return the message about a name that the file lacks, with similar names.

        Args:
            kind: What is named, such as "column".
            name: The name.
            purpose: What the name is needed for.
            available: The names that the file has.
        """
        names = sorted(str(name) for name in available)
        last = [each for each in names if each.replace(".", "/").rsplit("/", 1)[-1] == name]
        near = last[:3] or get_close_matches(name, names, n=3, cutoff=0.5)
        shown = ", ".join(map(repr, near or names[:_NAMES_SHOWN]))
        more = ", ..." if not near and len(names) > _NAMES_SHOWN else ""
        hint = f"did you mean {shown}?" if near else f"it has {shown or 'none'}{more}"
        return f"{self.path}: no {kind} {name!r} for {purpose}; {hint}"


def import_library(name: str) -> Any:
    """Return a library, imported when it is needed.

    Raises:
        MissingExtraError: It isn't installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingExtraError(name.partition(".")[0], FILES_EXTRA, "reading this file") from error


@contextmanager
def readable_errors(path: Path) -> Generator[None]:
    """Turn an exception of a library into an error that names the file.

    Raises:
        UserError: A library raised an exception.
    """
    try:
        yield
    except _UNREADABLE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path} can't be read ({reason}); copy or write it again") from error
