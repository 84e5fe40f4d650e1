"""What every test keeps to: public members, patches that name their module, an assertion."""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = pytest.mark.parametrize(
    "module", [str(path.relative_to(TESTS)) for path in sorted(TESTS.rglob("*.py"))]
)

NAMED_TUPLES = {"_asdict", "_fields", "_make", "_replace"}
"""Public in spite of the underscore, which keeps them apart from a named tuple's fields."""

EXPECTATIONS = {"raises", "warns"}
"""Of pytest: a test fails where what they expect doesn't come."""

PATCHES = {"setattr": 3, "delattr": 2}
"""Arguments of pytest's patches that name the object and its attribute apart."""


@cache
def syntax_tree(module: str) -> ast.Module:
    return ast.parse((TESTS / module).read_text(encoding="utf-8"))


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLES | {"_"}


def own_names(tree: ast.Module) -> set[str]:
    """Return the names that a module gives: functions, classes, variables, attributes of `self`."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                names.add(name)
            case _:
                pass
    return names


def members(node: ast.stmt | ast.expr) -> list[str]:
    """Return the names of other modules and of members that a node imports, reads or patches."""
    match node:
        case ast.ImportFrom(module=module, names=aliases):
            return [*str(module).split("."), *(alias.name for alias in aliases)]
        case ast.Import(names=aliases):
            return [part for alias in aliases for part in alias.name.split(".")]
        case ast.Attribute(attr=name):
            return [name]
        case ast.Call(args=[_, ast.Constant(value=str(name)), *_]) if callee(node) in {
            *PATCHES,
            "getattr",
        }:
            return [name]
        case _:
            return []


def callee(call: ast.Call) -> str:
    """Return the name of what is called, without what it belongs to."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def callees(node: ast.AST) -> set[str]:
    return {callee(each) for each in ast.walk(node) if isinstance(each, ast.Call)}


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def asserts(node: ast.AST) -> bool:
    """Return whether a node asserts by itself, by NumPy's or PyTorch's functions or by pytest's."""
    if any(isinstance(each, ast.Assert) for each in ast.walk(node)):
        return True
    return any("assert" in name or name in EXPECTATIONS for name in callees(node))


def asserting(tree: ast.Module) -> set[str]:
    """Return the names of a module's functions that assert, or that call one of its which does."""
    found = {function.name for function in functions(tree) if asserts(function)}
    while (
        more := {function.name for function in functions(tree) if callees(function) & found} - found
    ):
        found |= more
    return found


def asserting_at_the_end(module: str) -> set[str]:
    """Return the names of fixtures that assert once a test of a module has ended."""
    folders = Path(module).parents
    conftests = [str(folder / "conftest.py") for folder in folders]
    modules = [module, *(name for name in conftests if (TESTS / name).exists())]
    found: set[str] = set()
    for function in (each for name in modules for each in functions(syntax_tree(name))):
        ends = [each.lineno for each in ast.walk(function) if isinstance(each, ast.Yield)]
        lines = [each.lineno for each in ast.walk(function) if isinstance(each, ast.Assert)]
        if ends and max(lines, default=0) > max(ends):
            found.add(function.name)
    return found


@MODULES
def test_no_private_member_of_another_module_is_used(module: str) -> None:
    own = own_names(syntax_tree(module))
    private = [
        f"line {node.lineno}: {name}"
        for node in ast.walk(syntax_tree(module))
        if isinstance(node, ast.stmt | ast.expr)
        for name in members(node)
        if is_private(name) and name not in own
    ]
    assert not private


@MODULES
def test_what_is_patched_is_an_attribute_of_an_object(module: str) -> None:
    """Nothing follows a dotted string when a module moves."""
    dotted = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(syntax_tree(module))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and len(node.args) < PATCHES.get(node.func.attr, 0)
    ]
    assert not dotted


@MODULES
def test_every_test_asserts(module: str) -> None:
    tree = syntax_tree(module)
    enough, fixtures = asserting(tree), asserting_at_the_end(module)
    idle = [
        f"line {function.lineno}: {function.name}"
        for function in functions(tree)
        if function.name.startswith("test_")
        and function.name not in enough
        and fixtures.isdisjoint(argument.arg for argument in function.args.args)
    ]
    assert not idle
