"""Values on their way into users' code and out of it.

Arrays go in read-only. Arrays that come out are copied, because users' code may reuse its buffers,
and masked values become NaN, because the number below a mask is arbitrary.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from problems.errors import UserError
from problems.interfaces.batch_checks import mismatches, wrong_type
from problems.interfaces.types import Array, Batch, Field

PLAIN_KINDS = "fiu"
"""Kinds of NumPy's real numbers."""

FLOAT64_BYTES = 8


def lent(batch: Batch) -> Batch:
    """Return read-only views of the arrays (b, ...) of a batch, in a dictionary of its own."""
    return {name: read_only(array) for name, array in batch.items()}


def read_only(array: Array) -> Array:
    """Return a read-only view (b, ...) of an array."""
    view = array.view()
    view.flags.writeable = False
    return view


def received(value: Any, fields: Sequence[Field], n: int, method: str) -> Batch:
    """Return a copy of the arrays (n, ...) that users' code returned, with NaN for masked values.

    Args:
        value: What the code returned.
        fields: The declared fields.
        n: Number of samples.
        method: Name of the code in messages.

    Raises:
        UserError: A field is missing, isn't declared, or isn't an array of real numbers (n, ...).
    """
    arrays = value
    if isinstance(value, Mapping):
        arrays = {str(name): plain(array) for name, array in value.items()}
    for message in mismatches(arrays, fields, n):
        raise UserError(f"{method}: {message}")
    return {field.name: arrays[field.name] for field in fields}


def plain(value: Any) -> Any:
    """Return a copy of an array (...) as a plain one; anything else as it is, to be refused.

    The copy is in C order and in the byte order of this machine. Numbers of more than 64 bits
    become float64.
    """
    if wrong_type(value) or value.dtype.kind not in PLAIN_KINDS:
        return value
    dtype = value.dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize > FLOAT64_BYTES:
        dtype = np.dtype(np.float64)
    if not isinstance(value, np.ma.MaskedArray):
        return np.array(value, dtype=dtype, order="C", subok=False)
    if not np.ma.is_masked(value):
        return np.array(value.data, dtype=dtype, order="C", subok=False)
    copy = np.array(value.data, dtype=dtype if dtype.kind == "f" else np.float64, order="C")
    copy[np.ma.getmaskarray(value)] = np.nan
    return copy
