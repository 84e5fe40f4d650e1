"""Stored values as numbers, by the conventions of netCDF and CF."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from problems.data.variables import Variable
from problems.interfaces.types import Array

UNWRITTEN = "was never written"
MISSING = "is missing in the file"
OUTSIDE_FILE_RANGE = "is outside the valid range that the file states"


def decode(
    raw: Array, variable: Variable, missing: tuple[float, ...]
) -> tuple[Array, dict[str, Array]]:
    """Return the values (b, ...) by the CF conventions, and which are missing (b, ...) by reason.

    Args:
        raw: Values as stored.
        variable: The variable, with its attributes.
        missing: Further numbers that stand for missing values.
    """
    attributes = variable.attributes
    if attribute_text(attributes.get("_Unsigned")) == "true" and raw.dtype.kind == "i":
        raw = raw.view(raw.dtype.str.replace("i", "u"))
    values = np.asarray(raw, dtype=np.float64).copy()
    masks: dict[str, Array] = {}
    fills = _numbers(attributes.get("_FillValue"))
    unwritten = _equal_to(raw, fills or ([] if variable.fill is None else [variable.fill]))
    masks[UNWRITTEN] = unwritten
    masks[MISSING] = _equal_to(raw, _numbers(attributes.get("missing_value"))) | _equal_to(
        raw, list(missing)
    )
    scale, offset = (_numbers(attributes.get(name)) for name in ("scale_factor", "add_offset"))
    unpacked = values * (scale[0] if scale else 1.0) + (offset[0] if offset else 0.0)
    is_packed = bool(scale or offset)
    low, high = _valid_range(attributes)
    limits = [attributes.get(name) for name in ("valid_range", "valid_min", "valid_max")]
    in_unpacked = (
        is_packed
        and raw.dtype.kind in "iu"
        and any(np.asarray(limit).dtype.kind == "f" for limit in limits if limit is not None)
    )
    compared = unpacked if in_unpacked else values
    known = ~(masks[UNWRITTEN] | masks[MISSING])
    masks[OUTSIDE_FILE_RANGE] = known & ((compared < low) | (compared > high))
    values = unpacked if is_packed else values
    if missing:
        masks[MISSING] |= np.isin(values, missing)
    masks = {reason: np.asarray(mask) for reason, mask in masks.items() if mask.any()}
    for mask in masks.values():
        values[mask] = np.nan
    return values, masks


def _equal_to(raw: Array, numbers: list[float]) -> Array:
    equal = np.zeros(raw.shape, dtype=bool)
    for number in numbers:
        with np.errstate(all="ignore"):
            stored = np.asarray(number).astype(raw.dtype)
        if raw.dtype.kind == "f" or stored == number:
            equal |= raw == stored
    return equal


def _valid_range(attributes: Mapping[str, Any]) -> tuple[float, float]:
    both = _numbers(attributes.get("valid_range"))
    if len(both) == 2:
        return both[0], both[1]
    low, high = (_numbers(attributes.get(name)) for name in ("valid_min", "valid_max"))
    return (low[0] if low else -np.inf), (high[0] if high else np.inf)


def _numbers(attribute: Any) -> list[float]:
    """Return the numbers of an attribute, none for text that isn't a number."""
    if attribute is None:
        return []
    try:
        return [float(number) for number in np.ravel(attribute)]
    except (TypeError, ValueError):
        return []


def attribute_text(attribute: Any) -> str | None:
    """Return an attribute as text, None if there is none."""
    if attribute is None:
        return None
    value = (
        attribute.ravel()[0]
        if isinstance(attribute, np.ndarray) and attribute.size
        else (attribute)
    )
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.strip("\0 \n")
