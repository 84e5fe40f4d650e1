"""The hash of the source code of a definition, unchanged when modules are moved or renamed.

The hash covers the code of a definition and of all definitions that it refers to, directly or
indirectly. It doesn't cover the names of these definitions, their modules and their order, so
modules can be moved, renamed or split. A change of any constant among them changes the hash.
"""

import ast
import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from problems.source_files import (
    SCOPES,
    ImportTarget,
    bindings,
    imports_of,
    lies_in,
    local_names,
    module_home,
)

PLACEHOLDER = "_"
"""Replaces the name of every definition of the same home in the text of a definition."""

UNNAMED = ""
"""Stands for the statements of a module that bind no name but run on import."""


class Definition(NamedTuple):
    """A name in a module, or the statements of a module that bind none."""

    module: str
    name: str


class Text(NamedTuple):
    """The code of a definition, with a placeholder for each definition that it refers to."""

    source: str
    references: tuple[frozenset[Definition], ...]
    """The definitions for which each placeholder stands, in the order of the text."""


def source_hash(definition: Any) -> str:
    """Return the hash of a definition and of all definitions of its home that it refers to.

    The home is the top-level package of its module, or the folder of a single file. Definitions
    installed elsewhere enter the hash by their full name only. Comments, docstrings, formatting,
    type hints of functions, import statements, names of modules and of definitions of the home,
    and definitions that aren't referred to don't change the hash.

    Args:
        definition: A class or a function; for any other object its class is taken.

    Raises:
        UserError: The module has no source file, as in a notebook.
    """
    named = definition if hasattr(definition, "__qualname__") else type(definition)
    return _source_hash(Definition(named.__module__, named.__qualname__.partition(".")[0]))


@functools.cache
def _source_hash(start: Definition) -> str:
    texts = _reachable_texts(start, module_home(start.module))
    if start not in texts:  # in a compiled library
        return _sha256([f"{start.module}.{start.name}"])
    labels = {definition: _sha256([text.source]) for definition, text in texts.items()}
    # Colour refinement (Weisfeiler and Leman 1968): each label is hashed with the labels of the
    # definitions referred to, until the number of distinct labels no longer grows. The result
    # depends neither on names nor on an order.
    n_labels = 0
    while len(set(labels.values())) > n_labels:
        n_labels = len(set(labels.values()))
        labels = {
            definition: _refine(labels[definition], text, labels)
            for definition, text in texts.items()
        }
    final_labels = sorted(labels[definition] for definition, text in texts.items() if text.source)
    return _sha256([labels[start], *final_labels])


def _refine(label: str, text: Text, labels: Mapping[Definition, str]) -> str:
    """Return the hash of a label with the labels of the definitions referred to."""
    groups = ("|".join(sorted(labels[d] for d in group)) for group in text.references)
    return _sha256([label, *groups])


def _sha256(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _reachable_texts(start: Definition, home: Path | None) -> dict[Definition, Text]:
    """Return the texts of a definition and of all that it refers to, directly or indirectly."""
    texts: dict[Definition, Text] = {}
    pending = [start]
    while pending:
        definition = pending.pop()
        if definition not in texts and lies_in(definition.module, home):
            texts[definition] = _text(definition, home)
            pending += (d for group in texts[definition].references for d in group)
            pending.append(Definition(definition.module, UNNAMED))
    return texts


@functools.cache
def _text(definition: Definition, home: Path | None) -> Text:
    bound = bindings(definition.module)
    statements = bound.statements.get(definition.name, ())
    if not statements:  # a name that is only imported is read as its import target
        referents = _resolve(definition.module, [definition.name], home)
        installed = " ".join(sorted(name for name in referents if isinstance(name, str)))
        return Text(installed, (_definitions(referents),))
    texts = [_Reader(definition.module, home).text(statement) for statement in statements]
    return Text(
        "\n".join(text.source for text in texts if text.source not in {"", "pass"}),
        tuple(group for text in texts for group in text.references),
    )


Referents = frozenset[Definition | str]
"""Definitions of the home, and full names of installed objects."""


def _definitions(referents: Referents) -> frozenset[Definition]:
    return frozenset(r for r in referents if isinstance(r, Definition))


def _resolve(module: str, path: list[str], home: Path | None) -> Referents:
    """Return what a dotted name in a module refers to; nothing for a built-in name."""
    name, rest = path[0], path[1:]
    bound = bindings(module)
    referents: set[Definition | str] = set()
    if name in bound.statements:
        referents.add(Definition(module, name))
    for target in bound.imports.get(name, ()):
        referents |= _resolve_import(target, rest, home)
    if not referents:
        for source in bound.stars:
            referents |= _resolve(source, path, home) if lies_in(source, home) else set[str]()
    return frozenset(referents)


def _resolve_import(target: ImportTarget, rest: list[str], home: Path | None) -> Referents:
    """Return what an imported name with the attributes after it refers to."""
    module, name, dotted = target
    if dotted:
        top, *below = module.split(".")
        if not lies_in(module, home):
            return frozenset({top})
        if rest[: len(below)] == below:
            return _resolve_in_module(module, rest[len(below) :], home)
        return _resolve_in_module(top, rest, home) | _all_definitions(module)
    if not lies_in(module, home):
        return frozenset({".".join(filter(None, [module, name]))})
    return _resolve_in_module(module, [name, *rest] if name else rest, home)


def _resolve_in_module(module: str, path: list[str], home: Path | None) -> Referents:
    """Return what a dotted name refers to in a module or package of the home."""
    if not path:
        return _all_definitions(module)
    bound = bindings(module)
    below = f"{module}.{path[0]}"
    if path[0] not in bound.statements and path[0] not in bound.imports and lies_in(below, home):
        return _resolve_in_module(below, path[1:], home)
    return _resolve(module, path, home) or _all_definitions(module)


def _all_definitions(module: str) -> Referents:
    bound = bindings(module)
    return frozenset(Definition(module, name) for name in {*bound.statements, *bound.imports})


class _Reader(ast.NodeTransformer):
    """Rewrites one statement of a module for the hash and collects its references."""

    def __init__(self, module: str, home: Path | None) -> None:
        self._module, self._home = module, home
        self._references: list[frozenset[Definition]] = []
        self._scopes: list[tuple[ast.AST, frozenset[str]]] = []
        self._local_imports: dict[str, list[ImportTarget]] = {}

    def text(self, statement: ast.stmt) -> Text:
        """Return the text of a statement and its references."""
        tree = ast.parse(ast.unparse(statement)).body[0]
        for name, target in imports_of(tree, self._module, nested=True):
            self._local_imports.setdefault(name, []).append(target)
        if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            tree.name = PLACEHOLDER
        return Text(ast.unparse(self.visit(tree)), tuple(self._references))

    def visit(self, node: ast.AST) -> Any:
        """Return a node as it enters the hash."""
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Name(_role(node.annotation), ast.Load())
        match node:
            case ast.Import() | ast.ImportFrom():
                self._refer_to_modules(node)
                return ast.Pass()
            case ast.Name():
                return self._replace_name(node, [node.id])
            case ast.Attribute() if path := _dotted(node):
                return self._replace_name(node, path)
            case _ if isinstance(node, SCOPES):
                return self._visit_scope(_without_annotations(node))
            case _:
                return self.generic_visit(node)

    def _visit_scope(self, node: ast.AST) -> ast.AST:
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

    def _refer_to_modules(self, node: ast.Import | ast.ImportFrom) -> None:
        """Add references to the modules of the home that a nested import statement runs."""
        for alias in node.names if isinstance(node, ast.Import) else ():
            if lies_in(alias.name, self._home):
                self._refer(_definitions(_all_definitions(alias.name)))

    def _refer(self, definitions: frozenset[Definition]) -> None:
        if definitions:
            self._references.append(definitions)

    def _replace_name(self, node: Any, path: list[str]) -> ast.AST:
        """Return a dotted name as it enters the hash, and add its references.

        Definitions of the home are replaced by a placeholder, installed ones by their full name.
        """
        referents: set[Definition | str] = set()
        if path[0] in self._local_imports:
            for target in self._local_imports[path[0]]:
                referents |= _resolve_import(target, path[1:], self._home)
        elif not self._is_local(path[0]):
            referents |= _resolve(self._module, path, self._home)
        if not referents:
            return node  # a local or a built-in name
        definitions = _definitions(frozenset(referents))
        self._refer(definitions)
        installed = sorted(name for name in referents if isinstance(name, str))
        start = [PLACEHOLDER] * bool(definitions) + installed
        attributes = _attributes_after(definitions, path)
        replaced: Any = ast.parse(".".join([*start, *attributes]), mode="eval").body
        replaced.ctx = node.ctx
        return replaced


def _attributes_after(definitions: frozenset[Definition], path: list[str]) -> list[str]:
    """Return the attributes of a dotted name after the definition that it refers to."""
    names = {definition.name for definition in definitions}
    ends = [i for i, name in enumerate(path) if name in names]
    return path[ends[0] + 1 :] if ends else path[1:]


def _dotted(node: ast.Attribute) -> list[str]:
    """Return the names of `a.b.c`; none if its first part isn't a name."""
    value = node.value
    if isinstance(value, ast.Name):
        return [value.id, node.attr]
    start = _dotted(value) if isinstance(value, ast.Attribute) else []
    return [*start, node.attr] if start else []


def _role(annotation: ast.expr) -> str:
    """Return the role of a class variable by its annotation; types don't enter the hash."""
    for node in ast.walk(annotation):
        name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
        if name in {"ClassVar", "InitVar", "KW_ONLY"}:
            return name
    return "object"


def _without_annotations(node: Any) -> ast.AST:
    """Return a definition without docstring and type hints, which don't change results."""
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
