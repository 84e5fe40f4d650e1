"""Recorded data: samples in files, split by groups or blocks, without duplicates."""

import importlib.metadata
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from glob import glob, has_magic
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from problems.data.chunks import FILES_EXTRA, Chunk, FieldSelection, Reader, readable_errors
from problems.data.contents import content_digest, file_stamp
from problems.data.memory_maps import MemoryMapStore
from problems.data.read_options import ReadOptions
from problems.data.readers import is_table, reader_for
from problems.data.sample_index import SampleIndex, index_samples
from problems.data.splits import (
    ALL_SPLITS,
    Beyond,
    assign_splits,
    inseparable_units,
    leaked_samples,
)
from problems.errors import MissingExtraError, UnknownNameError, UserError
from problems.interfaces.types import CONFIRMATION, Array, Dataset, Field, Split
from problems.provenance import digest, kind_name

CACHE_VERSION = 5
"""Raised with every change of how files are split or stored; older folders aren't used any more."""
MIN_BLOCKS = 3
MAX_SHIFTED_SHARE = 0.5


@dataclass(frozen=True)
class Recorded:
    """Samples in files: netCDF, HDF5, MATLAB, Zarr, Parquet, CSV and other tables in text.

    Samples with values that are not finite, outside `Field.valid`, marked as missing by the file or
    never written are counted as failed, with the reason, and left out.

    Args:
        files: One file, or several with the same columns or variables, read in order. A pattern
            such as "run*.nc" stands for all matching files in the order of their names. A folder of
            Parquet files is one file. A file in the folder of the problem's file is
            Path(__file__).with_name("run.nc").
        inputs: Input fields of the reference.
        outputs: Output fields of the reference.
        cost_s: Time of the reference for one sample on one core [s], from which speed-ups follow.
            None where it has no meaningful time, such as an experiment: surrogates are then
            compared with the most accurate baseline, or their times are given alone.
        group: Column or variable whose equal values stay in one split (a trajectory, a complex).
        blocks: Number of blocks of successive samples (in time) that stay together, instead of
            groups.
        shifted: Defines the shifted split.
        columns: Column or variable of a field whose name differs in the files. For a field with a
            shape, a table needs one column for each number, by default `name_0`, `name_1` ..., or a
            column of lists. A variable in a group is "group/name", a member of a compound table
            "table/name", a part of a structure in Parquet "structure.name". A pattern such as
            "run*/name" makes one sample of each match.
        sample: Dimension of the samples in files of variables; by default the first dimension of
            the first field. Where a file names no dimensions, they are "axis 0", "axis 1" ...
        read: How the files are written, where that isn't detected.
    """

    IDENTITY: ClassVar[str] = "recorded"

    files: str | Path | Sequence[str | Path]
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    cost_s: float | None = None
    group: str = ""
    blocks: int = 0
    shifted: Beyond | None = None
    columns: Mapping[str, str | Sequence[str]] = field(default_factory=dict[str, str])
    sample: str = ""
    read: ReadOptions = field(default_factory=ReadOptions)

    def versions(self) -> Mapping[str, str]:
        """Return the version of the library that reads the files.

        Raises:
            MissingExtraError: The library isn't installed.
            UserError: The format of the files is unknown.
        """
        libraries = {reader_for(path).library for path in _given_paths(self)}
        try:
            return {name: importlib.metadata.version(name) for name in sorted(libraries)}
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingExtraError(
                str(error.name), FILES_EXTRA, "reading recorded data"
            ) from error


def recorded_identity(recorded: Recorded) -> dict[str, Any]:
    """Return class and parameters as JSON; files are given without their folders."""
    parameters = asdict(recorded) | {"files": [path.name for path in _given_paths(recorded)]}
    if recorded.read == ReadOptions():
        del parameters["read"]  # data of before there were options keep their identity
    return {"class": kind_name(type(recorded)), "parameters": _plain(parameters)}


def content_digests(recorded: Recorded) -> list[str]:
    """Return a hash of the content of each file or folder.

    Raises:
        UserError: A file doesn't exist or can't be read.
    """
    digests: list[str] = []
    for path in _paths(recorded):
        with readable_errors(path):
            digests.append(content_digest(path))
    return digests


def check_recorded(recorded: Recorded) -> Iterator[str]:
    """Yield messages about the parameters or, if these are correct, the headers of the files."""
    errors = list(_parameter_errors(recorded))
    yield from errors or _header_errors(recorded)


def open_recorded(
    recorded: Recorded,
    largest: Mapping[str, int] | None,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Return the splits as memory maps, which are written on the first call.

    Args:
        recorded: The recorded data.
        largest: Largest size of each split; a larger split is thinned evenly.
        folder: Folder for the memory maps of all recorded data.
        progress: Called with the samples written and the total number of samples.

    Raises:
        UserError: The parameters are wrong, or the files or the folder can't be read.
    """
    return _store(recorded, largest, folder, progress).open()


def open_confirmation(
    recorded: Recorded, largest: Mapping[str, int] | None, folder: Path
) -> Split | None:
    """Return the confirmation split; None if the data are too few to set samples aside.

    Args:
        recorded: The recorded data.
        largest: Largest size of each split; that of the test split holds.
        folder: Folder for the memory maps of all recorded data.

    Raises:
        UserError: The parameters are wrong, or the files or the folder can't be read.
    """
    return _store(recorded, largest, folder).open_confirmation()


def _store(
    recorded: Recorded,
    largest: Mapping[str, int] | None,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> MemoryMapStore:
    """Return the memory maps, which are written if they don't exist."""
    for message in _parameter_errors(recorded):
        raise UserError(message)
    store = MemoryMapStore(folder / _key(recorded, largest), recorded.inputs, recorded.outputs)
    if not store.exists():
        for message in _header_errors(recorded):
            raise UserError(message)
        _write_splits(recorded, largest or {}, store, progress)
    return store


def _write_splits(
    recorded: Recorded,
    largest: Mapping[str, int],
    store: MemoryMapStore,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Read the files twice: to assign samples to splits, and to write them."""
    paths = _paths(recorded)
    stamps = [file_stamp(path) for path in paths]

    def chunks() -> Iterator[Chunk]:
        for reader in _readers(recorded, paths):
            yield from reader.chunks()
        if [file_stamp(path) for path in paths] != stamps:
            raise UserError("the files changed while they were read; run the command again")

    shift_field = recorded.shifted.field if recorded.shifted else ""
    samples = index_samples(chunks(), recorded.inputs, recorded.outputs, shift_field)
    reasons = _failure_counts(recorded, samples)
    split = assign_splits(samples, recorded.group, recorded.blocks, recorded.shifted)
    units = inseparable_units(samples, recorded.group, recorded.blocks)
    leaked = leaked_samples(samples, split)
    selected: dict[str, Array] = {}
    failed: dict[str, int] = {}
    duplicates: dict[str, int] = {}
    for number, name in enumerate(ALL_SPLITS):
        in_split = split == number
        failed[name] = int((in_split & ~samples.succeeded).sum())
        duplicates[name] = int((in_split & (samples.is_duplicate | leaked)).sum())
        index = np.flatnonzero(in_split & samples.usable & ~leaked)
        limit = largest.get("test" if name == CONFIRMATION else name, len(index))
        size = min(len(index), limit)
        selected[name] = index[np.arange(size) * len(index) // max(size, 1)]
    facts = {
        "failed": failed,
        "duplicates": duplicates,
        "reasons": reasons,
        "unassigned": int((samples.usable & (split < 0)).sum()),
        "made": len(samples),
        "suspects": samples.suspects,
    }
    groups = {name: units[index] for name, index in selected.items()}
    store.write(chunks(), selected, groups, facts, progress)


def _failure_counts(recorded: Recorded, samples: SampleIndex) -> dict[str, int]:
    """Return the number of failed samples by reason.

    Raises:
        UserError: There is no sample, or most samples failed.
    """
    counts = np.bincount(samples.reason[~samples.succeeded], minlength=len(samples.reasons))
    path, *others = _given_paths(recorded)
    files = f"{path} and {len(others)} more" if others else str(path)
    if not len(samples):
        raise UserError(f"{files}: there is no sample; check that files= names the right files")
    if 2 * counts.sum() > len(samples):
        raise UserError(
            f"{files}: {counts.sum()} of {len(samples)} samples failed, most often because "
            f"{samples.reasons[int(counts.argmax())]}; correct the files, valid= or read=, or "
            "remove that field"
        )
    return {text: int(n) for text, n in zip(samples.reasons, counts, strict=True) if n}


def _parameter_errors(recorded: Recorded) -> Iterator[str]:
    """Yield messages about parameters and missing files, without reading any file."""
    cost: Any = recorded.cost_s
    is_number = not isinstance(cost, bool) and isinstance(cost, Real)
    if cost is not None and not (is_number and 0 < float(cost) < math.inf):
        yield (
            f"cost_s={cost!r} must be a positive number: seconds of the reference for one sample; "
            "leave it out where the reference has no meaningful time"
        )
    yield from _field_errors(recorded)
    if recorded.group and recorded.blocks:
        yield "group= and blocks= are both given; remove one"
    elif recorded.blocks and recorded.blocks < MIN_BLOCKS:
        yield f"blocks={recorded.blocks} is too few; give at least {MIN_BLOCKS}, or better many"
    try:
        kinds = {is_table(path): path for path in _paths(recorded)}
    except UserError as error:
        yield str(error)
    else:
        if len(kinds) > 1:
            both = " and ".join(str(path) for path in kinds.values())
            yield f"files= mixes tables with other formats, {both}; give files of one kind"


def _field_errors(recorded: Recorded) -> Iterator[str]:
    """Yield messages about fields, and about names of fields in other parameters."""
    for name, fields in (("inputs", recorded.inputs), ("outputs", recorded.outputs)):
        if not fields:
            yield f"{name}= names no field; give at least one Field"
    names = [f.name for f in (*recorded.inputs, *recorded.outputs)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"field {name!r} occurs twice in inputs= and outputs=; remove or rename one"
    for name in recorded.columns:
        if name not in names:
            yield f"columns=: {UnknownNameError('field', name, names)}"
    if recorded.shifted:
        beyond = recorded.shifted
        scalars = [f.name for f in recorded.inputs if not f.shape]
        if beyond.field not in scalars:
            yield f"shifted=: {UnknownNameError('scalar input field', beyond.field, scalars)}"
        if not 0 < beyond.share <= MAX_SHIFTED_SHARE:
            yield f"shifted=: share={beyond.share!r} must lie in (0, {MAX_SHIFTED_SHARE}]"


def _header_errors(recorded: Recorded) -> Iterator[str]:
    """Yield messages about the header of the first file or, if it is correct, of all others."""
    try:
        first, *others = _readers(recorded, _paths(recorded))
        errors = list(first.header_errors())
        yield from errors
        for reader in () if errors else others:
            for message in reader.header_errors():
                yield f"{message}; {first.path} is as declared, and all files need one layout"
    except UserError as error:
        yield str(error)


def _given_paths(recorded: Recorded) -> list[Path]:
    """Return the files and patterns that the user gave."""
    files = recorded.files
    return [Path(path) for path in ([files] if isinstance(files, str | Path) else files)]


def _paths(recorded: Recorded) -> list[Path]:
    """Return the files, with patterns expanded.

    Raises:
        UserError: A file doesn't exist, or there is none.
    """
    remedy = "give a file in the folder of the problem's file as Path(__file__).with_name"
    paths: list[Path] = []
    for path in _given_paths(recorded):
        if path.exists():
            paths.append(path)
        elif has_magic(str(path)):
            matching = sorted(glob(str(path)))  # noqa: PTH207 - Path.glob takes no absolute pattern
            if not matching:
                raise UserError(f"no file matches the pattern '{path}'; {remedy}({path.name!r})")
            paths += map(Path, matching)
        else:
            raise UserError(f"there is no file '{path}'; {remedy}({path.name!r})")
    if not paths:
        raise UserError(f"files= names no file; {remedy}('data.csv')")
    return paths


def _readers(recorded: Recorded, paths: Sequence[Path]) -> list[Reader]:
    fields = (*recorded.inputs, *recorded.outputs)
    selection = FieldSelection(
        fields, recorded.group, recorded.columns, recorded.sample, recorded.read
    )
    return [reader_for(path)(path, selection) for path in paths]


def _key(recorded: Recorded, largest: Mapping[str, int] | None) -> str:
    """Return a hash of all that determines the content of the splits."""
    facts = recorded_identity(recorded)
    # The cost doesn't affect the splits; the files needn't be read again when it is corrected.
    del facts["parameters"]["cost_s"]
    return digest([CACHE_VERSION, facts, content_digests(recorded), dict(largest or {})])


def _plain(value: Any) -> Any:
    """Return a value as JSON, with infinite numbers as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
