"""Public docstrings say what is returned with its shape, what arguments mean, what is raised."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = ("problems", "spaces", "search", "reports", "simstead")
MODULES = sorted(
    str(path.relative_to(ROOT))
    for layer in LAYERS
    for path in (ROOT / layer).rglob("*.py")
    if "templates" not in path.parts
)
FEW = 3
"""Functions with so many parameters say what each of them means."""

ARRAYS = re.compile(r"\b(Array|Tensor|ndarray)\b")
SHAPE = re.compile(r"\([\w.+*/ -]+,[^)]*\)|\(\)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text())


def parameters(function: Function) -> list[str]:
    """Return the names of the parameters but for `self` and `cls`."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [each.arg for each in named if each.arg not in {"self", "cls"}]


@cache
def documented_methods() -> frozenset[tuple[str, str]]:
    """Return the methods that have a docstring: (class, name)."""
    return frozenset(
        (node.name, method.name)
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ClassDef)
        for method in node.body
        if isinstance(method, Function) and ast.get_docstring(method)
    )


@cache
def protocols() -> frozenset[str]:
    return frozenset(
        node.name
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(b) for b in node.bases)
    )


def overrides(method: Function, owner: ast.ClassDef) -> bool:
    """Return whether the method of a base class or of a protocol says what this one does."""
    bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in owner.bases}
    return any(
        name == method.name and (kind in bases or (kind in protocols() and kind != owner.name))
        for kind, name in documented_methods()
    )


def is_command(function: Function) -> bool:
    """Return whether a function is a command: its options carry their own help."""
    return any(".command" in ast.unparse(each) for each in function.decorator_list)


def public(module: str) -> Iterator[tuple[str, Function]]:
    """Yield the public functions and methods that document themselves, with their names."""
    for node in tree(module).body:
        if isinstance(node, Function) and not node.name.startswith("_") and not is_command(node):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for method in node.body:
                if (
                    isinstance(method, Function)
                    and not method.name.startswith("_")
                    and not overrides(method, node)
                ):
                    yield f"{node.name}.{method.name}", method


def raised(function: Function) -> set[str]:
    """Return the names of the exceptions that a function itself raises."""
    names: set[str] = set()
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        if isinstance(node, Function | ast.Lambda | ast.ClassDef):
            continue
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func).rpartition(".")[2]
            if name[0].isupper() and name not in {"NotImplementedError", "AssertionError"}:
                names.add(name)
        left.extend(ast.iter_child_nodes(node))
    return names


def section(docstring: str, name: str) -> str:
    """Return the text of a section such as `Args:`, up to the next."""
    found = re.search(rf"^{name}:\n(.*?)(?=^\w+:\n|\Z)", docstring, re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


def shortcomings(function: Function) -> Iterator[str]:
    docstring = ast.get_docstring(function) or ""
    names = parameters(function)
    arguments = section(docstring, "Args")
    if len(names) >= FEW:
        for name in names:
            if not re.search(rf"^ +\*{{0,2}}{name}\b.*:", arguments, re.MULTILINE):
                yield f"Args doesn't say what {name} is"
    for name in sorted(raised(function)):
        if not re.search(rf"^ +.*\b{name}\b", section(docstring, "Raises"), re.MULTILINE):
            yield f"Raises doesn't say when {name} is"
    returns = ast.unparse(function.returns) if function.returns else ""
    if ARRAYS.search(returns) and not SHAPE.search(docstring):
        yield f"returns {returns}, and no shape such as (b, ...) is given"


@pytest.mark.parametrize("module", MODULES)
def test_docstrings_tell_arguments_errors_and_shapes(module: str) -> None:
    found = [
        f"{module}:{function.lineno} {name}: {words}"
        for name, function in public(module)
        for words in shortcomings(function)
    ]
    assert not found, "\n".join(found)


def public_names(module: str) -> Iterator[str]:
    """Yield the names of the public functions, classes and types that a module defines."""
    for node in tree(module).body:
        if isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and "TypeVar(" not in ast.unparse(node.value):
            names = (target.id for target in node.targets if isinstance(target, ast.Name))
            yield from (name for name in names if name[0].isupper() and not name.isupper())


def test_a_public_name_has_one_meaning() -> None:
    defined: dict[str, list[str]] = {}
    for module in MODULES:
        for name in public_names(module):
            if not name.startswith("_"):
                defined.setdefault(name, []).append(module)
    twice = {name: modules for name, modules in defined.items() if len(modules) > 1}
    assert not twice
