"""The registry of problems; every package of `problems.cases` is a case study."""

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, ClassVar, Generic, TypeVar

from problems.errors import UnknownNameError
from problems.interfaces.problem import Problem
from problems.interfaces.types import Size

Item = TypeVar("Item")


class Registry(Generic[Item]):
    """A mapping from names to items of one kind, in which every name is unique.

    Args:
        kind: Name of the kind of item, for error messages.
    """

    _all: ClassVar[list["Registry[Any]"]] = []

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, Item] = {}
        self._all.append(self)

    @classmethod
    def forget_module(cls, module: str) -> None:
        """Remove what a module has registered anywhere, so that it can be imported again.

        Args:
            module: Name of a module whose import failed.
        """
        for registry in cls._all:
            for name, item in list(registry._items.items()):  # noqa: SLF001 - of this class
                if getattr(item, "__module__", "") == module:
                    del registry._items[name]  # noqa: SLF001

    def register(self, name: str) -> Callable[[Item], Item]:
        """Return a decorator that registers the decorated object under `name`.

        Raises:
            ValueError: The name is registered already.
        """

        def add(item: Item) -> Item:
            if name in self._items:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._items[name] = item
            return item

        return add

    def __getitem__(self, name: str) -> Item:
        if name not in self._items:
            raise UnknownNameError(self.kind, name, self._items)
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)


def import_all(package: ModuleType) -> None:
    """Import every module of a package, so that each registers its items."""
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")


PROBLEMS: Registry[Callable[[Size], Problem]] = Registry("problem")
register_problem = PROBLEMS.register


def known_problems() -> Registry[Callable[[Size], Problem]]:
    """Return the registry of all case studies that ship with simstead."""
    import problems.cases  # noqa: PLC0415 - the cases import this module to register themselves

    import_all(problems.cases)
    return PROBLEMS
