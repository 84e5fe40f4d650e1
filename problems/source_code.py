"""The hash of a definition's source code, which survives moves and renames of modules.

A definition is known by what it says and by the definitions that it refers to, at any remove. Its
own name, its module and its place in the module have no part in the hash: a module may be moved,
renamed or split, and the hash stays. A constant that is changed anywhere below changes it.
"""

import ast
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from problems.source_files import (
    SCOPES,
    Target,
    bindings,
    forget_files,
    imports_of,
    lies_in,
    local_names,
    module_home,
)

PLACEHOLDER = "_"
"""Stands in a definition's text for the name of every definition of one's own."""

UNNAMED = ""
"""The name of a module's statements that bind no name: they run when it is imported."""


class Definition(NamedTuple):
    """A name in a module, or a module's statements that bind none."""

    module: str
    name: str


class Text(NamedTuple):
    """What a definition says, with a placeholder for each definition that it refers to."""

    source: str
    references: tuple[frozenset[Definition], ...]
    """The definitions that each placeholder stands for, in the order of the text."""


def source_hash(definition: Any) -> str:
    """Return a hash of a definition's source code and of all that it refers to at home.

    Home is the top-level package of its module, or the folder of a lone file. What is installed
    elsewhere enters by its full name alone. Comments, docstrings, formatting, type hints of
    functions, import statements, names of own definitions and of modules, and definitions that it
    doesn't refer to have no part in the hash.

    Args:
        definition: A class or a function; of any other object its class.

    Raises:
        UserError: The module has no file that can be read, as in a notebook.
    """
    named = definition if hasattr(definition, "__qualname__") else type(definition)
    return _source_hash(Definition(named.__module__, named.__qualname__.partition(".")[0]))


def forget_sources() -> None:
    """Forget every file that was read, so that files that have changed are read again."""
    forget_files()
    _source_hash.cache_clear()
    _text.cache_clear()


@functools.cache
def _source_hash(start: Definition) -> str:
    texts = _reachable_texts(start, module_home(start.module))
    labels = {each: _sha256([text.source]) for each, text in texts.items()}
    # Colour refinement (Weisfeiler and Leman 1968): a label takes in those of what is referred to,
    # until no more definitions are told apart. It needs neither names nor an order.
    kinds = 0
    while len(set(labels.values())) > kinds:
        kinds = len(set(labels.values()))
        labels = {each: _refined(labels[each], text, labels) for each, text in texts.items()}
    said = sorted(labels[each] for each, text in texts.items() if text.source)
    return _sha256([labels[start], *said])


def _refined(label: str, text: Text, labels: Mapping[Definition, str]) -> str:
    return _sha256(
        [label, *("|".join(sorted(labels[each] for each in group)) for group in text.references)]
    )


def _sha256(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _reachable_texts(start: Definition, home: Path | None) -> dict[Definition, Text]:
    """Return the texts of a definition and of those that it refers to, at any remove."""
    texts: dict[Definition, Text] = {}
    left = [start]
    while left:
        definition = left.pop()
        if definition not in texts and lies_in(definition.module, home):
            texts[definition] = _text(definition, home)
            left += (each for group in texts[definition].references for each in group)
            left.append(Definition(definition.module, UNNAMED))
    return texts


@functools.cache
def _text(definition: Definition, home: Path | None) -> Text:
    bound = bindings(definition.module)
    statements = bound.statements.get(definition.name, ())
    if not statements:  # a name that is imported alone says what it was imported from
        meant = _meant(definition.module, [definition.name], home)
        installed = " ".join(sorted(each for each in meant if isinstance(each, str)))
        return Text(installed, (_definitions(meant),))
    texts = [_Reader(definition.module, home).text(each) for each in statements]
    return Text(
        "\n".join(text.source for text in texts if text.source not in {"", "pass"}),
        tuple(group for text in texts for group in text.references),
    )


Meaning = frozenset[Definition | str]
"""Definitions of one's own, and full names of installed ones."""


def _definitions(meant: Meaning) -> frozenset[Definition]:
    return frozenset(each for each in meant if isinstance(each, Definition))


def _meant(module: str, path: list[str], home: Path | None) -> Meaning:
    """Return what a dotted name in a module stands for; nothing where it is a built-in."""
    name, rest = path[0], path[1:]
    bound = bindings(module)
    found: set[Definition | str] = set()
    if name in bound.statements:
        found.add(Definition(module, name))
    for target in bound.imports.get(name, ()):
        found |= _imported(target, rest, home)
    if not found:
        for source in bound.stars:
            found |= _meant(source, path, home) if lies_in(source, home) else set[str]()
    return frozenset(found)


def _imported(target: Target, rest: list[str], home: Path | None) -> Meaning:
    """Return what an imported name, with the attributes behind it, stands for."""
    module, name, dotted = target
    if dotted:
        top, *below = module.split(".")
        if not lies_in(module, home):
            return frozenset({top})
        if rest[: len(below)] == below:
            return _in_module(module, rest[len(below) :], home)
        return _in_module(top, rest, home) | _everything(module)
    if not lies_in(module, home):
        return frozenset({".".join(filter(None, [module, name]))})
    return _in_module(module, [name, *rest] if name else rest, home)


def _in_module(module: str, path: list[str], home: Path | None) -> Meaning:
    """Return what a dotted name stands for in a module or package of one's own."""
    if not path:
        return _everything(module)
    bound = bindings(module)
    below = f"{module}.{path[0]}"
    if path[0] not in bound.statements and path[0] not in bound.imports and lies_in(below, home):
        return _in_module(below, path[1:], home)
    return _meant(module, path, home) or _everything(module)


def _everything(module: str) -> Meaning:
    bound = bindings(module)
    return frozenset(Definition(module, name) for name in {*bound.statements, *bound.imports})


class _Reader(ast.NodeTransformer):
    """Rewrites one statement of a module as the hash reads it, and notes what it refers to."""

    def __init__(self, module: str, home: Path | None) -> None:
        self._module, self._home = module, home
        self._references: list[frozenset[Definition]] = []
        self._scopes: list[tuple[ast.AST, frozenset[str]]] = []
        self._local_imports: dict[str, list[Target]] = {}

    def text(self, statement: ast.stmt) -> Text:
        """Return what a statement says."""
        own = ast.parse(ast.unparse(statement)).body[0]
        for name, target in imports_of(own, self._module, nested=True):
            self._local_imports.setdefault(name, []).append(target)
        if isinstance(own, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.name = PLACEHOLDER
        return Text(ast.unparse(self.visit(own)), tuple(self._references))

    def visit(self, node: ast.AST) -> Any:
        """Return a node as the hash reads it."""
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Name(_role(node.annotation), ast.Load())
        match node:
            case ast.Import() | ast.ImportFrom():
                self._run_imported(node)
                return ast.Pass()
            case ast.Name():
                return self._referred(node, [node.id])
            case ast.Attribute() if path := _dotted(node):
                return self._referred(node, path)
            case _ if isinstance(node, SCOPES):
                return self._scoped(_without_notes(node))
            case _:
                return self.generic_visit(node)

    def _scoped(self, node: ast.AST) -> ast.AST:
        self._scopes.append((node, local_names(node)))
        try:
            return self.generic_visit(node)
        finally:
            self._scopes.pop()

    def _is_local(self, name: str) -> bool:
        innermost = len(self._scopes) - 1
        return any(
            name in names and (i == innermost or not isinstance(node, ast.ClassDef))
            for i, (node, names) in enumerate(self._scopes)
        )

    def _run_imported(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note the modules of one's own that an import statement within a definition runs."""
        for alias in node.names if isinstance(node, ast.Import) else ():
            if lies_in(alias.name, self._home):
                self._refer(_definitions(_everything(alias.name)))

    def _refer(self, definitions: frozenset[Definition]) -> None:
        if definitions:
            self._references.append(definitions)

    def _referred(self, node: Any, path: list[str]) -> ast.AST:
        """Return how a dotted name is read: own names by a placeholder, installed ones in full."""
        meant: set[Definition | str] = set()
        if path[0] in self._local_imports:
            for target in self._local_imports[path[0]]:
                meant |= _imported(target, path[1:], self._home)
        elif not self._is_local(path[0]):
            meant |= _meant(self._module, path, self._home)
        if not meant:
            return node  # a local or a built-in name
        own = _definitions(frozenset(meant))
        self._refer(own)
        installed = sorted(each for each in meant if isinstance(each, str))
        begun = [PLACEHOLDER] * bool(own) + installed
        attributes = _attributes_left(own, path)
        read: Any = ast.parse(".".join([*begun, *attributes]), mode="eval").body
        read.ctx = node.ctx
        return read


def _attributes_left(own: frozenset[Definition], path: list[str]) -> list[str]:
    """Return the attributes of a dotted name behind the definition that it leads to."""
    names = {each.name for each in own}
    ends = [i for i, name in enumerate(path) if name in names]
    return path[ends[0] + 1 :] if ends else path[1:]


def _dotted(node: ast.Attribute) -> list[str]:
    """Return the names of `a.b.c`; none where it begins with something else than a name."""
    value = node.value
    if isinstance(value, ast.Name):
        return [value.id, node.attr]
    begun = _dotted(value) if isinstance(value, ast.Attribute) else []
    return [*begun, node.attr] if begun else []


def _role(annotation: ast.expr) -> str:
    """Return what an annotation makes of a class's variable; its type decides no number."""
    for each in ast.walk(annotation):
        name = each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "")
        if name in {"ClassVar", "InitVar", "KW_ONLY"}:
            return name
    return "object"


def _without_notes(node: Any) -> ast.AST:
    """Return a definition without docstring and type hints: neither decides a number."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
        node.body = node.body[1:] or [ast.Pass()]
    if not isinstance(node, ast.ClassDef):
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
    return node
