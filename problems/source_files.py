"""Where modules' files lie, and which names their statements bind, without importing them."""

import ast
import functools
import importlib.util
import sys
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path
from typing import NamedTuple

from problems.errors import UserError

SITE_PACKAGES = "site-packages"

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (*FUNCTIONS, ast.ClassDef, *COMPREHENSIONS)
"""Nodes of a syntax tree that have local names."""


class Target(NamedTuple):
    """What an import binds a name to.

    Args:
        module: The module that is imported, or imported from.
        name: The name in that module; "" for the module itself.
        dotted: Whether `import a.b` bound the name `a`: the module is reached as `a.b`.
    """

    module: str
    name: str
    dotted: bool = False


class Bindings(NamedTuple):
    """What a module's top-level statements bind.

    Args:
        statements: Statements by each name that they define; "" for those that bind none.
        imports: What each name is imported from.
        stars: Modules of which every name is imported.
    """

    statements: dict[str, list[ast.stmt]]
    imports: dict[str, list[Target]]
    stars: list[str]


def module_home(module: str) -> Path | None:
    """Return where a module's own code lies: its top package, or the folder of a lone file.

    Raises:
        UserError: It has no file, as a notebook or the standard input.
    """
    path = module_file(module)
    if path is None:
        known = getattr(sys.modules.get(module), "__file__", None)
        if known is None or module == "__main__":
            raise UserError(
                f"module {module!r} has no file that can be read, so a change of its code could "
                "not be noticed; put the simulation into a .py file"
            )
        return None  # a compiled library
    if "." in module:
        return _package_folder(module.partition(".")[0])
    return path if SITE_PACKAGES in path.parts else path.parent


def _package_folder(package: str) -> Path | None:
    path = module_file(package)
    return None if path is None else path.parent


@functools.cache
def module_file(module: str) -> Path | None:
    """Return a module's source file, found without importing it; None where it has none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    parent, _, name = module.rpartition(".")
    if file is None and parent:
        folder = _package_folder(parent)
        places = (folder / f"{name}.py", folder / name / "__init__.py") if folder else ()
        file = next((str(place) for place in places if place.is_file()), None)
    elif file is None and module not in sys.modules:
        spec = importlib.util.find_spec(module)
        file = None if spec is None else spec.origin
    if file is None or not file.endswith(".py") or not Path(file).is_file():
        return None
    return Path(file).resolve()


def lies_in(module: str, home: Path | None) -> bool:
    """Return whether a module lies at home; an installed one's version speaks for it."""
    path = module_file(module)
    if path is None or home is None or not path.is_relative_to(home):
        return False
    return SITE_PACKAGES not in path.relative_to(home).parts


@functools.cache
def bindings(module: str) -> Bindings:
    """Return what a module's top-level statements bind; nothing where it has no source."""
    path = module_file(module)
    found = Bindings({}, {}, [])
    for statement in ast.parse(path.read_text(encoding="utf-8")).body if path else ():
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring
        names = set(_defined(statement))
        imported = list(imports_of(statement, module))
        for name, target in imported:
            if name == "*":
                found.stars.append(target.module)
            else:
                found.imports.setdefault(name, []).append(target)
        for name in names or ({""} - {"" for _ in imported}):
            found.statements.setdefault(name, []).append(statement)
    return found


def forget_files() -> None:
    """Forget what was read of files, so that those that have changed are read again."""
    module_file.cache_clear()
    bindings.cache_clear()


def _defined(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds in its own scope otherwise than by an import."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
        yield from _defined_below(node)
    elif not isinstance(node, ast.Lambda | ast.comprehension):
        yield from _defined_below(node)


def _defined_below(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        yield from _defined(child)


def local_names(scope: ast.AST) -> frozenset[str]:
    """Return the names that are local to a function, a class, a lambda or a comprehension."""
    names: set[str] = set()
    elsewhere: set[str] = set()
    if isinstance(scope, COMPREHENSIONS):
        for generator in scope.generators:
            names |= set(_defined(generator.target))
    if isinstance(scope, FUNCTIONS):
        names |= {each.arg for each in ast.walk(scope.args) if isinstance(each, ast.arg)}
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for statement in scope.body:
            names |= set(_defined(statement))
        for each in ast.walk(scope):
            if isinstance(each, ast.Global | ast.Nonlocal):
                elsewhere |= set(each.names)
    return frozenset(names - elsewhere)


def imports_of(node: ast.AST, module: str, *, nested: bool = False) -> Iterator[tuple[str, Target]]:
    """Yield the names that a statement imports, each with what it is imported from.

    Args:
        node: The statement.
        module: Where it stands, for relative imports.
        nested: Whether functions and classes within it are looked through as well.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, Target(alias.name, "", dotted=not alias.asname)
    elif isinstance(node, ast.ImportFrom):
        package = _package(module)
        source = resolve_name("." * node.level + (node.module or ""), package)
        for alias in node.names:
            yield alias.asname or alias.name, Target(source, alias.name)
    elif nested or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for child in ast.iter_child_nodes(node):
            yield from imports_of(child, module, nested=nested)


def _package(module: str) -> str:
    """Return the package that a module's relative imports start from."""
    path = module_file(module)
    return module if path and path.name == "__init__.py" else module.rpartition(".")[0]
