"""Data that a reference left in files: read lazily, split by group or time block, deduplicated."""

import importlib.metadata
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from glob import glob, has_magic
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from problems.data.memory_maps import MemoryMapStore, SampleIndex, index_samples
from problems.data.readers import FILES_EXTRA, Chunk, FieldSelection, Reader, reader_for
from problems.data.splits import Beyond, assign_splits, leaked_samples
from problems.errors import MissingExtraError, UnknownNameError, UserError
from problems.interfaces.types import SPLITS, Array, Dataset, Field
from problems.provenance import digest, kind_name

CACHE_VERSION = 2
"""Raised when the same files would be split or stored otherwise: older folders are left alone."""
MIN_BLOCKS = 3
MAX_SHIFTED_SHARE = 0.5


@dataclass(frozen=True)
class Recorded:
    """Samples in files: netCDF, HDF5 or Zarr through xarray, CSV or Parquet through pandas.

    Args:
        files: One file or several with the same layout, read one after the other; a pattern such as
            "run*.nc" stands for all that match it, in the order of their names. A file beside the
            problem's own is Path(__file__).with_name("run.nc").
        inputs: Fields that the reference read.
        outputs: Fields that it returned.
        cost_s: The reference's time for one sample [s], on one core: the speed-up's numerator.
        group: Column or variable whose equal values stay in one split (a trajectory, a complex).
        blocks: Instead of a group: so many runs of neighbouring samples (time blocks) do.
        shifted: What lies outside the training range.
        columns: Where a file calls a field otherwise: its column or variable, or for a field with a
            shape in a table one column for each number. A table's default is `name_0`, `name_1` ...
        sample: Dimension along which samples lie, in xarray's files; the first field's first if not
            given.
    """

    IDENTITY: ClassVar[str] = "recorded"

    files: str | Path | Sequence[str | Path]
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    cost_s: float
    group: str = ""
    blocks: int = 0
    shifted: Beyond | None = None
    columns: Mapping[str, str | Sequence[str]] = field(default_factory=dict[str, str])
    sample: str = ""

    def versions(self) -> Mapping[str, str]:
        """Return the version of the library that reads the files.

        Raises:
            UserError: It isn't installed, or the files are of no known format.
        """
        libraries = {reader_for(path).library for path in _given(self)}
        try:
            return {name: importlib.metadata.version(name) for name in sorted(libraries)}
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingExtraError(
                str(error.name), FILES_EXTRA, "reading recorded data"
            ) from error


def recorded_identity(recorded: Recorded) -> dict[str, Any]:
    """Return which data these are, as JSON holds it; files stand without their folders."""
    parameters = asdict(recorded) | {"files": [path.name for path in _given(recorded)]}
    return {"class": kind_name(type(recorded)), "parameters": _plain(parameters)}


def file_sizes(recorded: Recorded) -> list[int]:
    """Return the bytes of each file, or of all files in a folder: the same wherever they lie."""
    return [_stamp(path)[1] for path in _given(recorded)]


def check_recorded(recorded: Recorded) -> Iterator[str]:
    """Say what is wrong with the parameters or, if nothing is, with the files' headers."""
    wrong = list(_parameter_mistakes(recorded))
    yield from wrong or _header_mistakes(recorded)


def open_recorded(
    recorded: Recorded,
    largest: Mapping[str, int] | None,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Return the splits as memory maps, which are made in one folder the first time.

    Args:
        recorded: Which data.
        largest: Most samples of a split; a larger one is thinned evenly.
        folder: Where the folders of all recorded data lie.
        progress: Told (samples written, samples in all) while the folder is made.

    Raises:
        UserError: The parameters, the files or the folder have a mistake.
    """
    for mistake in _parameter_mistakes(recorded):
        raise UserError(mistake)
    paths = _paths(recorded)
    store = MemoryMapStore(
        folder / _key(recorded, paths, largest), recorded.inputs, recorded.outputs
    )
    if not store.exists():
        for mistake in _header_mistakes(recorded):
            raise UserError(mistake)
        _make(recorded, _readers(recorded, paths), largest or {}, store, progress)
    return store.open()


def _make(
    recorded: Recorded,
    readers: Sequence[Reader],
    largest: Mapping[str, int],
    store: MemoryMapStore,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Read the files twice: what splits depend on, then the samples that they hold."""

    def chunks() -> Iterator[Chunk]:
        for reader in readers:
            yield from reader.chunks()

    beyond = recorded.shifted.field if recorded.shifted else ""
    seen = index_samples(chunks(), [each.name for each in recorded.inputs], beyond)
    reasons = _reasons(recorded, seen)
    split = assign_splits(seen, recorded.group, recorded.blocks, recorded.shifted)
    repeated = leaked_samples(seen, split)
    chosen: dict[str, Array] = {}
    failed: dict[str, int] = {}
    duplicates: dict[str, int] = {}
    for place, name in enumerate(SPLITS):
        here = split == place
        failed[name] = int((here & ~seen.finite).sum())
        duplicates[name] = int((here & (seen.is_duplicate | repeated)).sum())
        index = np.flatnonzero(here & seen.usable & ~repeated)
        most = min(len(index), largest.get(name, len(index)))
        chosen[name] = index[np.arange(most) * len(index) // max(most, 1)]
    facts = {
        "failed": failed,
        "duplicates": duplicates,
        "reasons": reasons,
        "unplaced": int((seen.usable & (split < 0)).sum()),
        "made": len(seen),
    }
    store.write(chunks(), chosen, facts, progress)


def _reasons(recorded: Recorded, seen: SampleIndex) -> dict[str, int]:
    """Count the samples that are not finite by the first field that isn't.

    Raises:
        UserError: There is no sample, or most are not finite.
    """
    names = [each.name for each in (*recorded.inputs, *recorded.outputs)]
    counts = np.bincount(seen.nonfinite_field[~seen.finite], minlength=len(names))
    path, *others = _given(recorded)
    what = f"{path} and {len(others)} more" if others else str(path)
    if not len(seen):
        raise UserError(f"{what}: there is no sample; look whether files= names the right files")
    if 2 * counts.sum() > len(seen):
        raise UserError(
            f"{what}: {counts.sum()} of {len(seen)} samples are not finite, most often in field "
            f"{names[int(counts.argmax())]!r}; correct the files or leave that field out"
        )
    return {f"{name} is not finite": int(n) for name, n in zip(names, counts, strict=True) if n}


def _parameter_mistakes(recorded: Recorded) -> Iterator[str]:
    """Say what is wrong whatever the files hold, except that they must be there."""
    cost: Any = recorded.cost_s
    if isinstance(cost, bool) or not isinstance(cost, Real) or not 0 < float(cost) < math.inf:
        yield f"cost_s={cost!r} must be a positive number: seconds of the reference for one sample"
    yield from _field_mistakes(recorded)
    if recorded.group and recorded.blocks:
        yield "group= and blocks= are both given; leave one out"
    elif recorded.blocks and recorded.blocks < MIN_BLOCKS:
        yield f"blocks={recorded.blocks} is too few; give at least {MIN_BLOCKS}, better many"
    try:
        kinds = {reader_for(path).library: path for path in _paths(recorded)}
    except UserError as error:
        yield str(error)
    else:
        if len(kinds) > 1:
            both = " and ".join(str(path) for path in kinds.values())
            yield f"files= mixes formats of different layouts, {both}; give files of one kind"


def _field_mistakes(recorded: Recorded) -> Iterator[str]:
    for what, fields in (("inputs", recorded.inputs), ("outputs", recorded.outputs)):
        if not fields:
            yield f"{what}= names no field; give at least one Field"
    names = [each.name for each in (*recorded.inputs, *recorded.outputs)]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"field {name!r} stands twice in inputs= and outputs=; leave one out or rename it"
    for name in recorded.columns:
        if name not in names:
            yield f"columns=: {UnknownNameError('field', name, names)}"
    if recorded.shifted:
        beyond = recorded.shifted
        scalars = [each.name for each in recorded.inputs if not each.shape]
        if beyond.field not in scalars:
            yield f"shifted=: {UnknownNameError('scalar input field', beyond.field, scalars)}"
        if not 0 < beyond.share <= MAX_SHIFTED_SHARE:
            yield f"shifted=: share={beyond.share!r} must lie in (0, {MAX_SHIFTED_SHARE}]"


def _header_mistakes(recorded: Recorded) -> Iterator[str]:
    """Compare every file's header with the fields; the first file's mistakes hide the others'."""
    try:
        first, *others = _readers(recorded, _paths(recorded))
        wrong = list(first.header_errors())
        yield from wrong
        for reader in () if wrong else others:
            for mistake in reader.header_errors():
                yield f"{mistake}; {first.path} is as declared, and all files need one layout"
    except UserError as error:
        yield str(error)


def _given(recorded: Recorded) -> list[Path]:
    """Return the files and patterns as they were given."""
    files = recorded.files
    return [Path(each) for each in ([files] if isinstance(files, str | Path) else files)]


def _paths(recorded: Recorded) -> list[Path]:
    """Return the files.

    Raises:
        UserError: One isn't there, or there is none.
    """
    beside = "name one beside the problem's own file as Path(__file__).with_name"
    paths: list[Path] = []
    for path in _given(recorded):
        if path.exists():
            paths.append(path)
        elif has_magic(str(path)):
            matching = sorted(glob(str(path)))  # noqa: PTH207 - Path.glob takes no absolute pattern
            if not matching:
                raise UserError(f"no file matches the pattern '{path}'; {beside}({path.name!r})")
            paths += map(Path, matching)
        else:
            raise UserError(f"there is no file '{path}'; {beside}({path.name!r})")
    if not paths:
        raise UserError(f"files= names no file; {beside}('data.csv')")
    return paths


def _readers(recorded: Recorded, paths: Sequence[Path]) -> list[Reader]:
    fields = (*recorded.inputs, *recorded.outputs)
    wanted = FieldSelection(fields, recorded.group, recorded.columns, recorded.sample)
    return [reader_for(path)(path, wanted) for path in paths]


def _key(recorded: Recorded, paths: Sequence[Path], largest: Mapping[str, int] | None) -> str:
    """Return a hash of all that decides what the splits hold."""
    facts = recorded_identity(recorded)
    # What a sample cost doesn't change it: a figure put right reads no file again.
    del facts["parameters"]["cost_s"]
    found = [CACHE_VERSION, facts, [_stamp(path) for path in paths], dict(largest or {})]
    return digest(found)


def _stamp(path: Path) -> list[Any]:
    """Return name, bytes and time of a file, or of all files in a folder together."""
    stats = [each.stat() for each in ([path, *path.rglob("*")] if path.is_dir() else [path])]
    where = str(path.resolve())
    return [where, sum(s.st_size for s in stats), max(s.st_mtime_ns for s in stats), len(stats)]


def _plain(value: Any) -> Any:
    """Return what JSON can hold: an infinite bound as text, a path as its name."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
