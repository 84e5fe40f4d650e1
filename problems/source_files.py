"""Files of modules and the names that their statements bind, without importing them."""

import ast
import functools
import importlib.util
import io
import sys
import tokenize
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


class ImportTarget(NamedTuple):
    """The object to which an import binds a name.

    Args:
        module: The imported module, or the module that the name is imported from.
        name: The name within that module; "" for the module itself.
        dotted: Whether `import a.b` bound the name `a`, so that the code refers to `a.b`.
    """

    module: str
    name: str
    dotted: bool = False


class Bindings(NamedTuple):
    """The names that the top-level statements of a module bind.

    Args:
        statements: Statements by the name that they define; "" for those that define none.
        imports: Import targets by name.
        stars: Modules from which every name is imported.
    """

    statements: dict[str, list[ast.stmt]]
    imports: dict[str, list[ImportTarget]]
    stars: list[str]


def module_home(module: str) -> Path | None:
    """Return the folder of a module's top-level package, or the folder of a single file.

    Returns None for a compiled library.

    Raises:
        UserError: The module has no file, as in a notebook.
    """
    path = module_file(module)
    if path is None:
        file = getattr(sys.modules.get(module), "__file__", None)
        if file is None or module == "__main__":
            raise UserError(
                f"module {module!r} has no source file, so changes of its code can't be detected; "
                "put the simulation into a .py file"
            )
        return None  # a compiled library
    if "." in module:
        return _package_folder(module.partition(".")[0])
    return path if SITE_PACKAGES in path.parts else path.parent


def _package_folder(package: str) -> Path | None:
    """Return the folder of a package, None if there is none."""
    path = module_file(package)
    if path is not None:
        return path.parent
    # A namespace package has no file, only folders.
    parent, _, name = package.rpartition(".")
    if parent:
        folder = _package_folder(parent)
        return folder / name if folder and (folder / name).is_dir() else None
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is not None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))).resolve()


@functools.cache
def module_file(module: str) -> Path | None:
    """Return the source file of a module without importing it; None if there is none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    parent, _, name = module.rpartition(".")
    if file is None and parent:
        folder = _package_folder(parent)
        candidates = (folder / f"{name}.py", folder / name / "__init__.py") if folder else ()
        file = next((str(path) for path in candidates if path.is_file()), None)
    elif file is None and module not in sys.modules:
        spec = importlib.util.find_spec(module)
        file = None if spec is None else spec.origin
    if file is None or not file.endswith(".py") or not Path(file).is_file():
        return None
    return Path(file).resolve()


def lies_in(module: str, home: Path | None) -> bool:
    """Return whether a module lies in the folder `home` and isn't an installed package."""
    path = module_file(module)
    if path is None or home is None or not path.is_relative_to(home):
        return False
    return SITE_PACKAGES not in path.relative_to(home).parts


def read_source(path: Path) -> str:
    """Return the text of a Python file, in the encoding of its byte-order mark or coding line.

    Raises:
        UserError: The file can't be read, or isn't text in that encoding, or in UTF-8 if it names
            none.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} can't be read ({error.strerror}); make it readable") from error
    remedy = "save it as UTF-8, or name its encoding in its first line: # -*- coding: latin-1 -*-"
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{path}: the file is UTF-16, which Python can't read; save it as UTF-8")
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        text = content.decode(encoding)
    except (UnicodeDecodeError, SyntaxError) as error:
        raise UserError(f"{path}, {_why_not_text(content, error)}; {remedy}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _why_not_text(content: bytes, error: UnicodeDecodeError | SyntaxError) -> str:
    """Return the line of a file's content that can't be decoded, and the reason."""
    if isinstance(error, SyntaxError) and "missing" in str(error.msg):  # no encoding is named
        try:
            content.decode()
        except UnicodeDecodeError as not_utf8:
            return _why_not_text(content, not_utf8)
    if isinstance(error, SyntaxError):
        return f"line 1: {error.msg}"
    line = content.count(b"\n", 0, error.start) + 1
    return f"line {line}: byte 0x{content[error.start]:02x} isn't {error.encoding.upper()}"


@functools.cache
def bindings(module: str) -> Bindings:
    """Return the names that top-level statements bind; none if the module has no source."""
    path = module_file(module)
    bound = Bindings({}, {}, [])
    for statement in ast.parse(read_source(path)).body if path else ():
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring
        names = set(_bound_names(statement))
        imported = list(imports_of(statement, module))
        for name, target in imported:
            if name == "*":
                bound.stars.append(target.module)
            else:
                bound.imports.setdefault(name, []).append(target)
        for name in names or ({""} - {"" for _ in imported}):
            bound.statements.setdefault(name, []).append(statement)
    return bound


def _bound_names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement binds in its own scope, except by imports."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and node.name:
        yield node.name
        yield from _bound_names_below(node)
    elif not isinstance(node, ast.Lambda | ast.comprehension):
        yield from _bound_names_below(node)


def _bound_names_below(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        yield from _bound_names(child)


def local_names(scope: ast.AST) -> frozenset[str]:
    """Return the names that are local to a function, a class, a lambda or a comprehension."""
    names: set[str] = set()
    nonlocal_names: set[str] = set()
    if isinstance(scope, COMPREHENSIONS):
        for generator in scope.generators:
            names |= set(_bound_names(generator.target))
    if isinstance(scope, FUNCTIONS):
        names |= {node.arg for node in ast.walk(scope.args) if isinstance(node, ast.arg)}
    if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for statement in scope.body:
            names |= set(_bound_names(statement))
        for node in ast.walk(scope):
            if isinstance(node, ast.Global | ast.Nonlocal):
                nonlocal_names |= set(node.names)
    return frozenset(names - nonlocal_names)


def imports_of(
    node: ast.AST, module: str, *, nested: bool = False
) -> Iterator[tuple[str, ImportTarget]]:
    """Yield the names that a statement imports, each with its import target.

    Args:
        node: The statement.
        module: The module that contains the statement, for relative imports.
        nested: Whether imports within functions and classes are included.
    """
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.partition(".")[0]
            yield alias.asname or top, ImportTarget(alias.name, "", dotted=not alias.asname)
    elif isinstance(node, ast.ImportFrom):
        package = _package(module)
        source = resolve_name("." * node.level + (node.module or ""), package)
        for alias in node.names:
            yield alias.asname or alias.name, ImportTarget(source, alias.name)
    elif nested or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        for child in ast.iter_child_nodes(node):
            yield from imports_of(child, module, nested=nested)


def _package(module: str) -> str:
    """Return the package from which relative imports of a module start."""
    path = module_file(module)
    return module if path and path.name == "__init__.py" else module.rpartition(".")[0]
