"""The declaration of recorded data: which files, fields, labels and splits."""

import importlib.metadata
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from problems.data.chunks import FILES_EXTRA
from problems.data.given_files import Files, given_files
from problems.data.missing import MEDIAN_AND_MASK
from problems.data.read_options import ReadOptions
from problems.data.readers import reader_for
from problems.data.splits import Beyond
from problems.errors import MissingExtraError
from problems.interfaces.class_fields import ClassField
from problems.interfaces.types import Field
from problems.provenance import canonical_form, kind_name


@dataclass(frozen=True)
class Recorded:
    """Samples in files: netCDF, HDF5, MATLAB, Zarr, Parquet, CSV and other tables in text.

    Samples with values that are not finite, outside `Field.valid`, marked as missing by the file or
    never written are counted as failed, with the reason, and left out.

    Args:
        files: One file, or several with the same columns or variables, read in order. A pattern
            such as "run*.nc" stands for all matching files in the order of their names. A folder of
            Parquet files is one file. {"train": FILES, "test": FILES} gives those of each split,
            as `split` does. A file in the folder of the problem's file is
            Path(__file__).with_name("run.nc").
        inputs: Input fields of the reference.
        outputs: Output fields of the reference.
        cost_s: Time of the reference for one sample on one core [s], from which speed-ups follow.
            None where it has no meaningful time, such as an experiment: surrogates are then
            compared with the most accurate baseline, or their times are given alone.
        group: Column or variable whose equal values stay in one split (a trajectory, a complex).
        group_of: Function of that value as text, whose results are the groups, such as one that
            returns `name.split("_")[0]`, the first part of an identifier. It has a name of its own
            in the problem's file, since workers can't be sent a lambda.
        blocks: Number of blocks of successive samples (in time) that stay together, instead of
            groups.
        shifted: Defines the shifted split.
        split: Column or variable with the split of each sample: train, validation, test, shifted,
            or confirmation for the sealed one. Without validation samples, some of the training
            samples become them.
        columns: Column or variable of a field whose name differs in the files. For a field with a
            shape, a table needs one column for each number, by default `name_0`, `name_1` ..., or a
            column of lists. A variable in a group is "group/name", a member of a compound table
            "table/name", a part of a structure in Parquet "structure.name". A pattern such as
            "run*/name" makes one sample of each match.
        sample: Dimension of the samples in files of variables; by default the first dimension of
            the first field. Where a file names no dimensions, they are "axis 0", "axis 1" ...
        read: How the files are written, where that isn't detected.
        labels: Classes of each column that holds classes, such as {"kind": ("no", "yes")}. A field
            of that name becomes a `ClassField`; one that isn't among the fields is an output.
        missing: What is done about samples with missing inputs. "drop" leaves them out.
            "median+mask" keeps them: encodings put the median of the training samples in the place
            of a missing value, and a mask among the network's inputs. An encoding is then made from
            `inputs` of this declaration. By default samples are left out if they are few, and
            refused otherwise. Samples with missing outputs are always left out.
    """

    IDENTITY: ClassVar[str] = "recorded"

    files: Files
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...] = ()
    cost_s: float | None = None
    group: str = ""
    blocks: int = 0
    shifted: Beyond | None = None
    columns: Mapping[str, str | Sequence[str]] = field(default_factory=dict[str, str])
    sample: str = ""
    read: ReadOptions = field(default_factory=ReadOptions)
    labels: Mapping[str, tuple[str | int, ...]] = field(
        default_factory=dict[str, tuple[str | int, ...]]
    )
    group_of: Callable[[str], str] | None = None
    split: str = ""
    missing: str = ""

    def __post_init__(self) -> None:
        classes = {name: ClassField(name, classes=words) for name, words in self.labels.items()}
        for side in ("inputs", "outputs"):
            fields = getattr(self, side)
            if classes and isinstance(fields, tuple):
                declared = tuple(classes.pop(f.name, f) for f in fields)
                object.__setattr__(self, side, declared)
        object.__setattr__(self, "outputs", (*self.outputs, *classes.values()))
        if self.missing == MEDIAN_AND_MASK:
            kept = tuple(replace(f, may_be_missing=True) for f in self.inputs)
            object.__setattr__(self, "inputs", kept)

    @property
    def splits_are_given(self) -> bool:
        """Whether a column or the files say in which split each sample is."""
        return bool(self.split) or isinstance(self.files, Mapping)

    @property
    def shift_field(self) -> Field | None:
        """The field whose values define the shifted split, which may be any column."""
        if self.shifted is None:
            return None
        name = self.shifted.field
        declared = [f for f in (*self.inputs, *self.outputs) if f.name == name]
        return declared[0] if declared else Field(name, unit="")

    def versions(self) -> Mapping[str, str]:
        """Return the version of the library that reads the files.

        Raises:
            MissingExtraError: The library isn't installed.
            UserError: The format of the files is unknown.
        """
        libraries = {reader_for(path).library for path, _ in given_files(self.files)}
        try:
            return {name: importlib.metadata.version(name) for name in sorted(libraries)}
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingExtraError(
                str(error.name), FILES_EXTRA, "reading recorded data"
            ) from error


def recorded_identity(recorded: Recorded) -> dict[str, Any]:
    """Return class and parameters as JSON; files are given without their folders."""
    given = given_files(recorded.files)
    parameters: dict[str, Any] = asdict(recorded) | {"files": [path.name for path, _ in given]}
    # Data of before an option existed keep their identity.
    if recorded.read == ReadOptions():
        del parameters["read"]
    for name in ("labels", "split", "group_of", "missing"):
        if not parameters[name]:
            del parameters[name]
    for side in ("inputs", "outputs"):
        parameters[side] = [_without_default(f) for f in parameters[side]]
    if recorded.group_of:
        parameters["group_of"] = canonical_form(recorded.group_of)
    if recorded.shifted and not recorded.shifted.smallest:
        parameters["shifted"] = {"field": recorded.shifted.field, "share": recorded.shifted.share}
    if any(split for _, split in given):
        parameters["splits of files"] = [split for _, split in given]
    return {"class": kind_name(type(recorded)), "parameters": _plain(parameters)}


def _without_default(field_facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of a field; a field that can't be missing has those of before."""
    kept = field_facts["may_be_missing"]
    return {name: fact for name, fact in field_facts.items() if kept or name != "may_be_missing"}


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
