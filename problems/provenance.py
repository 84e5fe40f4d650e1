"""What produced a number: hashes of a simulation's parameters, source code and libraries."""

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
    """Return a short hash of anything that JSON can hold."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]


def identity(simulation: Simulation) -> dict[str, Any]:
    """Return which simulation this is: its class and parameters, whatever its code's version.

    Raises:
        UserError: The simulation isn't a dataclass, or a parameter isn't a plain value.
    """
    kind = type(simulation)
    if not is_dataclass(simulation):
        raise UserError(
            f"simulation {kind.__qualname__} must be a dataclass, whose fields name its data; "
            "decorate it with @dataclass(frozen=True)"
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
    """Return a parameter as JSON can hold it; a dataclass with the name of its class."""
    if is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        return {
            "class": kind_name(kind),
            "parameters": {f.name: _parameter(getattr(value, f.name)) for f in fields(value)},
        }
    if isinstance(value, list | tuple):
        return [_parameter(each) for each in value]
    return value


def fingerprint(simulation: Simulation) -> dict[str, Any]:
    """Return what decides a simulation's numbers: class, parameters, source code, versions."""
    versions = simulation.versions() if isinstance(simulation, Versioned) else {}
    return {
        **identity(simulation),
        "source": sorted(_sources(simulation)),
        "versions": {**versions, "numpy": np.__version__},
    }


def _sources(value: Any) -> set[str]:
    """Return the hashes of the code of a dataclass and of those that it holds."""
    if isinstance(value, list | tuple):
        return set().union(*map(_sources, value))
    if not is_dataclass(value) or isinstance(value, type):
        return set()
    held = (_sources(getattr(value, f.name)) for f in fields(value))
    return {source_hash(value)}.union(*held)


def kind_name(kind: type) -> str:
    """Return the name that a class has in hashes: its own `IDENTITY`, or its qualified name.

    A class that declares `IDENTITY: ClassVar[str]` may be renamed; its module has no part in the
    name either way. A subclass doesn't inherit the declaration.
    """
    declared = vars(kind).get("IDENTITY")
    return declared if isinstance(declared, str) else kind.__qualname__


def canonical_form(value: Any) -> Any:
    """Return a value as JSON can hold it: code by its hash, an array by its bytes' hash."""
    if is_dataclass(value) and not isinstance(value, type):
        each = {f.name: canonical_form(getattr(value, f.name)) for f in fields(value)}
        return [kind_name(type(value)), source_hash(value), each]
    if isinstance(value, Mapping):
        return {str(key): canonical_form(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [canonical_form(each) for each in value]
    if isinstance(value, functools.partial):
        return canonical_form([value.func, value.args, value.keywords])
    if isinstance(value, MethodType):
        return [value.__name__, canonical_form(value.__self__)]
    return _described_one(value)


def _described_one(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    return source_hash(value)
