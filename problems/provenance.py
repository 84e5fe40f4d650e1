"""Hashes of what produced data: parameters, source code and versions of libraries."""

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MethodType
from typing import Any

import numpy as np

from problems.errors import UserError
from problems.interfaces.types import Simulation, Versioned
from problems.source_code import source_hash


def digest(facts: Any) -> str:
    """Return a hash of 20 hexadecimal digits of a value that JSON can represent."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]


def identity(simulation: Simulation) -> dict[str, Any]:
    """Return the class and the parameters of a simulation, without its source code.

    Raises:
        UserError: The simulation isn't a dataclass, or JSON can't represent a parameter.
    """
    kind = type(simulation)
    if not is_dataclass(simulation):
        raise UserError(
            f"simulation {kind.__qualname__} must be a dataclass, since its fields identify its "
            "data; decorate it with @dataclass(frozen=True)"
        )
    for f in fields(simulation):
        try:
            json.dumps(_parameter(getattr(simulation, f.name)))
        except (TypeError, ValueError):
            raise UserError(
                f"parameter {f.name!r} of simulation {kind.__qualname__} is a "
                f"{type(getattr(simulation, f.name)).__name__}; use numbers, strings, booleans, "
                "tuples and dataclasses of them"
            ) from None
    return _parameter(simulation)


def _parameter(value: Any) -> Any:
    """Return a parameter as JSON; a dataclass is given with the name of its class."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        return {
            "class": kind_name(kind),
            "parameters": {f.name: _parameter(getattr(value, f.name)) for f in fields(value)},
        }
    if isinstance(value, list | tuple):
        return [_parameter(element) for element in value]
    return value


def fingerprint(simulation: Simulation) -> dict[str, Any]:
    """Return all that determines the data: class, parameters, source code and versions."""
    versions = simulation.versions() if isinstance(simulation, Versioned) else {}
    return {
        **identity(simulation),
        "source": sorted(_sources(simulation)),
        "versions": {**versions, "numpy": np.__version__},
    }


def _sources(value: Any) -> set[str]:
    """Return the hashes of the code of a dataclass and of the dataclasses in its fields."""
    if isinstance(value, list | tuple):
        return set().union(*map(_sources, value))
    if not is_dataclass(value) or isinstance(value, type):
        return set()
    nested = (_sources(getattr(value, f.name)) for f in fields(value))
    return {source_hash(value)}.union(*nested)


def kind_name(kind: type) -> str:
    """Return the name of a class in hashes: its own `IDENTITY`, or else its qualified name.

    A class that declares `IDENTITY: ClassVar[str]` can be renamed without a change of hashes, and
    any class can be moved to another module. A subclass doesn't inherit the declaration.
    """
    declared = vars(kind).get("IDENTITY")
    return declared if isinstance(declared, str) else kind.__qualname__


def canonical_form(value: Any) -> Any:
    """Return a value as JSON: code as the hash of its source, an array as the hash of its bytes."""
    if is_dataclass(value) and not isinstance(value, type):
        parameters = {f.name: canonical_form(getattr(value, f.name)) for f in fields(value)}
        return [kind_name(type(value)), source_hash(value), parameters]
    if isinstance(value, Mapping):
        return {str(key): canonical_form(element) for key, element in value.items()}
    if isinstance(value, list | tuple):
        return [canonical_form(element) for element in value]
    if isinstance(value, functools.partial):
        return canonical_form([value.func, value.args, value.keywords])
    if isinstance(value, MethodType):
        return [value.__name__, canonical_form(value.__self__)]
    return _canonical_scalar(value)


def _canonical_scalar(value: Any) -> str:
    """Return the text or hash of a value without parts."""
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    return source_hash(value)
