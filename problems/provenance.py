"""What produced a number: hashes of a simulation's parameters, source code and libraries."""

import ast
import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib.util import resolve_name
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np

from problems.core import Simulation, Versioned
from problems.errors import UserError

SITE = "site-packages"

USER_MODULE = "simstead_user_"
"""Modules loaded from a user's file are called so, then a hash of its place, then its stem."""


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
            "class": f"{_public(kind.__module__)}.{kind.__qualname__}",
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


def _public(module: str) -> str:
    """Return a module's name without the place that a user's file was loaded from."""
    if not module.startswith(USER_MODULE):
        return module
    return module.removeprefix(USER_MODULE).partition("_")[2]


def source_hash(definition: Any) -> str:
    """Hash a definition and all that it refers to, at any remove, in its own package or folder.

    Comments, formatting and definitions that it doesn't refer to have no part in it: adding an
    encoding to the file of an expensive simulation keeps its data.

    Args:
        definition: A class or a function; of any other object its class.
    """
    named = definition if hasattr(definition, "__qualname__") else type(definition)
    return _source_hash(named.__module__, named.__qualname__.partition(".")[0])


@functools.cache
def _source_hash(module: str, name: str) -> str:
    home = _home(module)
    left = [(module, name)]
    seen: dict[tuple[str, str], str] = {}
    while left:
        module, name = left.pop()
        if (module, name) in seen or not _lies_in(module, home):
            continue
        nodes = _definitions(module).get(name, [])
        seen[module, name] = "\n".join(ast.unparse(_without_docstrings(node)) for node in nodes)
        for node in nodes:
            left += _referred(node, module, home)
        left.append((module, ""))  # statements that define nothing run with the module
    text = "\0".join(f"{name}\0{source}" for (_, name), source in sorted(seen.items()) if source)
    return hashlib.sha256(text.encode()).hexdigest()


def _home(module: str) -> Path | None:
    """Return where a module's own code lies: its top package, or the folder of a lone file.

    Raises:
        UserError: It has no file, as a notebook or the standard input.
    """
    path = _source(module)
    if path is None:
        known = getattr(sys.modules.get(module), "__file__", None)
        if known is None or module == "__main__":
            raise UserError(
                f"module {module!r} has no file that can be read, so a change of its code could "
                "not be noticed; put the simulation into a .py file"
            )
        return None  # a compiled library
    if "." in module:
        return _source_folder(module.partition(".")[0])
    return path if SITE in path.parts else path.parent


def _source_folder(package: str) -> Path | None:
    path = _source(package)
    return None if path is None else path.parent


@functools.cache
def _source(module: str) -> Path | None:
    """Return a module's source file, found without importing it; None where it has none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    parent, _, name = module.rpartition(".")
    if file is None and parent:
        folder = _source_folder(parent)
        places = (folder / f"{name}.py", folder / name / "__init__.py") if folder else ()
        file = next((str(place) for place in places if place.is_file()), None)
    elif file is None and module not in sys.modules:
        spec = importlib.util.find_spec(module)
        file = None if spec is None else spec.origin
    if file is None or not file.endswith(".py") or not Path(file).is_file():
        return None
    return Path(file).resolve()


def _lies_in(module: str, home: Path | None) -> bool:
    """Return whether a module is of one's own; an installed one's version speaks for it."""
    path = _source(module)
    if path is None or home is None or not path.is_relative_to(home):
        return False
    return SITE not in path.relative_to(home).parts


@functools.cache
def _definitions(module: str) -> dict[str, list[ast.stmt]]:
    """Return a module's top-level statements by the names that they bind; "" binds none."""
    path = _source(module)
    found: dict[str, list[ast.stmt]] = {}
    if path is None:
        return found
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        for name in set(_bound(node)) or {""}:
            found.setdefault(name, []).append(node)
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds in its module."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from ((alias.asname or alias.name.partition(".")[0]) for alias in node.names)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    else:
        for child in ast.iter_child_nodes(node):
            yield from _bound(child)


def _referred(node: ast.stmt, module: str, home: Path | None) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of what a statement refers to or imports, at whatever depth."""
    package = _package(module)
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield module, each.id
        elif isinstance(each, ast.Import):
            yield from _whole((alias.name for alias in each.names), home)
        elif isinstance(each, ast.ImportFrom):
            parent = resolve_name("." * each.level + (each.module or ""), package)
            for alias in each.names:
                if alias.name == "*":
                    yield from _whole([parent], home)
                else:
                    yield parent, alias.name
                    yield from _whole([f"{parent}.{alias.name}"], home)


def _package(module: str) -> str:
    """Return the package that a module's relative imports start from."""
    path = _source(module)
    return module if path and path.name == "__init__.py" else module.rpartition(".")[0]


def _whole(modules: Iterable[str], home: Path | None) -> Iterator[tuple[str, str]]:
    """Yield every definition of those modules that lie at home."""
    for module in modules:
        if _lies_in(module, home):
            yield from ((module, name) for name in _definitions(module))


def _without_docstrings(node: ast.stmt) -> ast.stmt:
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = each.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                each.body = each.body[1:] or [ast.Pass()]
    return node


def described(value: Any) -> Any:
    """Return a value as JSON can hold it: code by its hash, an array by its bytes' hash."""
    if is_dataclass(value) and not isinstance(value, type):
        each = {f.name: described(getattr(value, f.name)) for f in fields(value)}
        return [_public(type(value).__module__), type(value).__qualname__, source_hash(value), each]
    if isinstance(value, Mapping):
        return {str(key): described(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [described(each) for each in value]
    if isinstance(value, functools.partial):
        return described([value.func, value.args, value.keywords])
    if isinstance(value, MethodType):
        return [value.__name__, described(value.__self__)]
    return _described_one(value)


def _described_one(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    return source_hash(value)
