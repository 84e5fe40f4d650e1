"""What produced a number: hashes of a simulation's parameters, source code and libraries."""

import ast
import functools
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, is_dataclass
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from problems.core import Simulation, Versioned
from problems.errors import UserError

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
    parameters = asdict(simulation)
    for name, value in parameters.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise UserError(
                f"parameter {name!r} of simulation {kind.__qualname__} is a "
                f"{type(value).__name__}; use numbers, strings, booleans and tuples of them"
            ) from None
    return {"class": f"{_public(kind.__module__)}.{kind.__qualname__}", "parameters": parameters}


def fingerprint(simulation: Simulation) -> dict[str, Any]:
    """Return what decides a simulation's numbers: class, parameters, source code, versions."""
    versions = simulation.versions() if isinstance(simulation, Versioned) else {}
    return {
        **identity(simulation),
        "source": source_hash(type(simulation)),
        "versions": {**versions, "numpy": np.__version__},
    }


def _public(module: str) -> str:
    """Return a module's name without the place that a user's file was loaded from."""
    if not module.startswith(USER_MODULE):
        return module
    return module.removeprefix(USER_MODULE).partition("_")[2]


def source_hash(definition: Any) -> str:
    """Hash a definition and all that it refers to, at any remove, in its own folder.

    Comments, formatting and definitions that it doesn't refer to have no part in it: adding an
    encoding to the file of an expensive simulation keeps its data.

    Args:
        definition: A class or a function; of any other object its class.
    """
    named = definition if hasattr(definition, "__qualname__") else type(definition)
    return _source_hash(named.__module__, named.__qualname__.partition(".")[0])


@functools.cache
def _source_hash(module: str, name: str) -> str:
    home = _folder(sys.modules[module])
    left = [(module, name)]
    seen: dict[tuple[str, str], str] = {}
    while left:
        module, name = left.pop()
        if (module, name) in seen or _folder(sys.modules.get(module)) != home:
            continue
        nodes = _definitions(module).get(name, [])
        seen[module, name] = "\n".join(ast.unparse(_without_docstrings(node)) for node in nodes)
        for node in nodes:
            left += _referred(node, module, home)
        left.append((module, ""))  # statements that define nothing run with the module
    text = "\0".join(f"{name}\0{source}" for (_, name), source in sorted(seen.items()) if source)
    return hashlib.sha256(text.encode()).hexdigest()


def _folder(module: ModuleType | None) -> Path | None:
    """Return where a module's source lies, None of an installed library: its version speaks."""
    file = getattr(module, "__file__", None)
    if file is None or "site-packages" in Path(file).parts or not file.endswith(".py"):
        return None
    return Path(file).parent


@functools.cache
def _definitions(module: str) -> dict[str, list[ast.stmt]]:
    """Return a module's top-level statements by the names that they bind; "" binds none."""
    found: dict[str, list[ast.stmt]] = {}
    source = Path(str(sys.modules[module].__file__)).read_text(encoding="utf-8")
    for node in ast.parse(source).body:
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
    """Yield (module, name) of what a statement refers to or imports."""
    if isinstance(node, ast.Import):
        yield from _whole((alias.name for alias in node.names), home)
    elif isinstance(node, ast.ImportFrom):
        package = module.rpartition(".")[0]
        parent = resolve_name("." * node.level + (node.module or ""), package)
        for alias in node.names:
            if alias.name == "*":
                yield from _whole([parent], home)
            else:
                yield parent, alias.name
                yield from _whole([f"{parent}.{alias.name}"], home)
    else:
        yield from ((module, each.id) for each in ast.walk(node) if isinstance(each, ast.Name))


def _whole(modules: Iterable[str], home: Path | None) -> Iterator[tuple[str, str]]:
    """Yield every definition of those modules that lie at home."""
    for module in modules:
        if home and _folder(sys.modules.get(module)) == home:
            yield from ((module, name) for name in _definitions(module))


def _without_docstrings(node: ast.stmt) -> ast.stmt:
    for each in ast.walk(node):
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            first = each.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                each.body = each.body[1:] or [ast.Pass()]
    return node
