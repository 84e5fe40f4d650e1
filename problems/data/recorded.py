"""Recorded data: samples in files, split by groups or blocks, without duplicates."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from problems.data.chunks import Chunk, FieldSelection, Reader, readable_errors
from problems.data.contents import content_digest, file_stamp
from problems.data.given_files import GivenFile, existing_files, given_files
from problems.data.memory_maps import MemoryMapStore
from problems.data.missing import MEDIAN_AND_MASK, MISSING_CHOICES, missing_errors
from problems.data.readers import is_table, reader_for
from problems.data.recorded_declaration import Recorded, recorded_identity
from problems.data.sample_index import SampleIndex, index_samples
from problems.data.splits import (
    ALL_SPLITS,
    assign_splits,
    inseparable_units,
    leaked_samples,
)
from problems.errors import UnknownNameError, UserError
from problems.interfaces.class_fields import class_fields
from problems.interfaces.types import CONFIRMATION, SPLITS, Array, Dataset, Split
from problems.provenance import digest

CACHE_VERSION = 7
"""Raised with every change of how files are split or stored; older folders aren't used any more."""
MIN_BLOCKS = 3
MIN_OF_A_CLASS = len(SPLITS) - 1
"""Smallest number of samples of a class: one for each split but the shifted one."""
MAX_SHIFTED_SHARE = 0.5


def content_digests(recorded: Recorded) -> list[str]:
    """Return a hash of the content of each file or folder.

    Raises:
        UserError: A file doesn't exist or can't be read.
    """
    digests: list[str] = []
    for path, _ in existing_files(recorded.files):
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
    files = existing_files(recorded.files)
    stamps = [file_stamp(path) for path, _ in files]

    def chunks() -> Iterator[Chunk]:
        for reader, file in zip(_readers(recorded, files), files, strict=True):
            for chunk in reader.chunks():
                words = np.full(len(chunk), file.split, dtype=object)
                yield replace(chunk, split=words) if file.split else chunk
        if [file_stamp(path) for path, _ in files] != stamps:
            raise UserError("the files changed while they were read; run the command again")

    samples = index_samples(
        chunks(), recorded.inputs, recorded.outputs, recorded.shift_field, recorded.group_of
    )
    reasons = _failure_counts(recorded, samples)
    _refuse_rare_classes(recorded, samples)
    try:
        split = assign_splits(samples, recorded.group, recorded.blocks, recorded.shifted)
    except UserError as error:
        text = str(error)
        if recorded.split:
            text = f"column {recorded.split!r}: {text.removeprefix('split=: ')}"
        raise UserError(f"{_named_files(recorded)}: {text}") from error
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
        "missing": samples.missing,
    }
    groups = {name: units[index] for name, index in selected.items()}
    store.write(chunks(), selected, groups, facts, progress)


def _failure_counts(recorded: Recorded, samples: SampleIndex) -> dict[str, int]:
    """Return the number of failed samples by reason.

    Raises:
        UserError: There is no sample, most samples failed, or inputs are missing too often.
    """
    errors = missing_errors(
        samples.missing, samples.lacking, len(samples), recorded.inputs, recorded.missing
    )
    files = _named_files(recorded)
    for message in errors:
        raise UserError(f"{files}: {message}")
    counts = np.bincount(samples.reason[~samples.succeeded], minlength=len(samples.reasons))
    if not len(samples):
        raise UserError(f"{files}: there is no sample; check that files= names the right files")
    if 2 * counts.sum() > len(samples):
        may_keep = samples.lacking and recorded.missing != MEDIAN_AND_MASK
        keep = f", or give missing={MEDIAN_AND_MASK!r}" * bool(may_keep)
        raise UserError(
            f"{files}: {counts.sum()} of {len(samples)} samples failed, most often because "
            f"{samples.reasons[int(counts.argmax())]}; correct the files, valid= or read=, or "
            f"remove that field{keep}"
        )
    return {text: int(n) for text, n in zip(samples.reasons, counts, strict=True) if n}


def _refuse_rare_classes(recorded: Recorded, samples: SampleIndex) -> None:
    """Refuse a class with fewer samples than there are splits that need one."""
    labels = class_fields(recorded.outputs)
    if len(labels) != 1:  # of several labels, combinations are numbered
        return
    for number, word in enumerate(labels[0].names):
        rows = np.flatnonzero(samples.usable & (samples.label == number))
        if 0 < len(rows) < MIN_OF_A_CLASS:
            column = recorded.columns.get(labels[0].name, labels[0].name)
            named = ", ".join(str(row + 1) for row in rows)
            raise UserError(
                f"{_named_files(recorded)}: column {column!r} holds class {word!r} in row {named} "
                "alone, and train, validation and test need one sample each; record more of it, or "
                f"leave {word!r} out of labels= and its rows out of the file"
            )


def _named_files(recorded: Recorded) -> str:
    """Return the files in a few words."""
    path, *others = (path for path, _ in given_files(recorded.files))
    return f"{path} and {len(others)} more" if others else str(path)


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
    elif recorded.group_of and not recorded.group:
        yield "group_of= needs the column in group=; give it, such as group='name'"
    elif recorded.splits_are_given and (recorded.blocks or recorded.shifted):
        other = "blocks=" if recorded.blocks else "shifted="
        yield f"split= and {other} are both given; mark the samples in the column, or remove one"
    elif recorded.blocks and recorded.blocks < MIN_BLOCKS:
        yield f"blocks={recorded.blocks} is too few; give at least {MIN_BLOCKS}, or better many"
    try:
        kinds = {is_table(path): path for path, _ in existing_files(recorded.files)}
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
    if recorded.missing and recorded.missing not in MISSING_CHOICES:
        yield f"missing=: {UnknownNameError('choice', recorded.missing, MISSING_CHOICES)}"
    for name in recorded.columns:
        if name not in names:
            yield f"columns=: {UnknownNameError('field', name, names)}"
    if recorded.shifted:
        beyond = recorded.shifted
        if any(f.name == beyond.field and f.shape for f in (*recorded.inputs, *recorded.outputs)):
            scalars = [f.name for f in recorded.inputs if not f.shape]
            yield f"shifted=: {UnknownNameError('scalar input field', beyond.field, scalars)}"
        if not 0 < beyond.share <= MAX_SHIFTED_SHARE:
            yield f"shifted=: share={beyond.share!r} must lie in (0, {MAX_SHIFTED_SHARE}]"


def _header_errors(recorded: Recorded) -> Iterator[str]:
    """Yield messages about the header of the first file or, if it is correct, of all others."""
    try:
        first, *others = _readers(recorded, existing_files(recorded.files))
        errors = list(first.header_errors())
        shift = recorded.shift_field
        for message in errors:
            is_shift = shift is not None and f"for field {shift.name!r}" in message
            yield f"shifted=: {message}" if is_shift else message
        for reader in () if errors else others:
            for message in reader.header_errors():
                yield f"{message}; {first.path} is as declared, and all files need one layout"
    except UserError as error:
        yield str(error)


def _readers(recorded: Recorded, files: Sequence[GivenFile]) -> list[Reader]:
    fields = (*recorded.inputs, *recorded.outputs)
    extra = recorded.shift_field
    if extra is not None and extra not in fields:
        fields = (*fields, extra)
    selection = FieldSelection(
        fields, recorded.group, recorded.columns, recorded.sample, recorded.read, recorded.split
    )
    return [reader_for(path)(path, selection) for path, _ in files]


def _key(recorded: Recorded, largest: Mapping[str, int] | None) -> str:
    """Return a hash of all that determines the content of the splits."""
    facts = recorded_identity(recorded)
    # The cost doesn't affect the splits; the files needn't be read again when it is corrected.
    del facts["parameters"]["cost_s"]
    return digest([CACHE_VERSION, facts, content_digests(recorded), dict(largest or {})])
