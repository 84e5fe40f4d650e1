"""Where a problem comes from: a registered name, an entry point, a user's file or module."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from problems.errors import UnknownNameError, UserError, describe_error
from problems.interfaces.problem import Problem
from problems.interfaces.types import Size
from problems.registry import PROBLEMS, known_problems
from problems.source_files import SITE_PACKAGES

ENTRY_POINT_GROUP = "simstead.problems"
"""Entry points in this group are problems under their names."""

USER_MODULE_PREFIX = "simstead_user_"
"""Modules loaded from a user's file are called so, then a hash of its place, then its stem."""

DEFAULT_ATTRIBUTE = "problem"
"""What a file's or module's problem is called where the user names none."""

PACKAGE_FOLDERS = [
    Path(__file__).parents[1] / name for name in ("problems", "spaces", "search", "reports")
]
"""Where simstead's own code lies."""

ProblemFactory = Callable[[Size], Problem]


@dataclass(frozen=True)
class ProblemSource:
    """Where a problem comes from, in words that can be typed again.

    Args:
        reference: Registered name, absolute path of a file, or module; with ":attribute" if given.
        folder: Where a module's name is looked for, after everything that is installed.
    """

    reference: str
    folder: str

    @property
    def user_source(self) -> "ProblemSource | None":
        """This source if it is a user's file or module, None for a name that is registered."""
        return self if ":" in self.reference or self.reference.endswith(".py") else None

    def load(self, size: Size | None = None, default: Size = Size.STANDARD) -> Problem:
        """Return the problem; a worker calls this to have its modules before anything arrives.

        Args:
            size: Which extent, for a problem that has several.
            default: Which of several if no size is given.

        Raises:
            UserError: It can't be found or run, or has no such size; says where in the file.
        """
        place, _, attribute = self.reference.partition(":")
        found: Any
        if place.endswith(".py"):
            found = _in_module(import_file(Path(place)), attribute, self.reference)
        elif attribute:
            found = _in_module(_import_module(place, self.folder), attribute, self.reference)
        else:
            found = _registered(place)
        if callable(found) and not isinstance(found, Problem):
            size, found = None, _called(found, size or default, self.reference)
        return _checked(found, size, self.reference)


def locate_problem(reference: str) -> ProblemSource:
    """Return where the problem lies that a user means: a name, `file.py[:attribute]`, or module.

    Raises:
        UserError: There is no such file.
    """
    place, colon, attribute = reference.partition(":")
    if place.endswith(".py") or "/" in place:
        path = Path(place).resolve()
        if not path.is_file() or path.suffix != ".py":
            raise UserError(
                f"{place} is no Python file; name a file that registers a problem, such as one "
                "that `simstead new NAME` writes"
            )
        return ProblemSource(f"{path}{colon}{attribute}", str(path.parent))
    return ProblemSource(reference, str(Path.cwd()))


def load_problem(reference: str, size: Size | None = None) -> Problem:
    """Return a problem by its name, file or module; see `locate` and `Source.load`."""
    return locate_problem(reference).load(size)


def import_file(path: Path) -> ModuleType:
    """Run a user's file as a module, once in a process.

    The modules beside it are found, but none of them shadows an installed one.

    Raises:
        UserError: The file fails; says in which line, and why.
    """
    place = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    name = f"{USER_MODULE_PREFIX}{place}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise UserError(f"there is no file {path}; put the problem back where it was")
    _look_last_in(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} can't be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UserError(_told(error, path)) from error
    return module


def problem_loaders() -> Mapping[str, Callable[[Size | None], Problem]]:
    """Return every problem that has a name: those that ship with simstead, then entry points."""
    names = [*known_problems(), *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))]
    return {name: ProblemSource(name, "").load for name in names}


def _import_module(name: str, folder: str) -> ModuleType:
    _look_last_in(folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (error.name == name or name.startswith(f"{error.name}.")):
            raise UserError(
                f"there is no module {name!r}, neither installed nor in {folder}; name it as "
                "package.module:attribute, or give the path of its file"
            ) from None
        raise UserError(f"module {name}: {error}") from error
    except Exception as error:
        raise UserError(_told(error, Path(name))) from error


class _LastResort(MetaPathFinder):
    """Finds modules in users' folders once nothing that is installed has their name.

    The end of `sys.path` would not do: an editable installation is looked through after it.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return where a top-level module lies."""
        return None if path else PathFinder.find_spec(fullname, self.folders, target)


_LAST_RESORT = _LastResort()


def _look_last_in(folder: str) -> None:
    if _LAST_RESORT not in sys.meta_path:
        sys.meta_path.append(_LAST_RESORT)
    if folder not in _LAST_RESORT.folders:
        _LAST_RESORT.folders.append(folder)


def _in_module(module: ModuleType, attribute: str, reference: str) -> Any:
    """Return the object that `attribute` means, or the module's one problem."""
    known = {name: value for name, value in vars(module).items() if isinstance(value, Problem)}
    if attribute:
        if not hasattr(module, attribute):
            raise UnknownNameError(f"attribute of {module.__file__}", attribute, known)
        return getattr(module, attribute)
    if hasattr(module, DEFAULT_ATTRIBUTE):
        return getattr(module, DEFAULT_ATTRIBUTE)
    if len({id(problem) for problem in known.values()}) != 1:
        words = f"several problems: {', '.join(known)}" if known else "no problem"
        raise UserError(
            f"{reference} holds {words}; call one {DEFAULT_ATTRIBUTE!r}, or name it as {reference}:NAME"
        )
    return next(iter(known.values()))


def _registered(name: str) -> ProblemFactory | Problem:
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        points.setdefault(point.name, []).append(point)
    shipped = known_problems()
    places = [*(each.value for each in points.get(name, ())), *(["simstead"] * (name in shipped))]
    if len(places) > 1:
        raise UserError(
            f"problem {name!r} is registered by {', '.join(places)}; name one as module:attribute"
        )
    if name in points:
        try:
            return points[name][0].load()
        except Exception as error:
            raise UserError(
                f"problem {name!r} ({points[name][0].value}) can't be loaded: "
                f"{_told(error, Path(points[name][0].module))}"
            ) from error
    if name not in shipped:
        if Path(f"{name}.py").is_file():
            raise UserError(f"unknown problem {name!r}; for the file beside you type {name}.py")
        if "." in name:
            raise UserError(
                f"unknown problem {name!r}; for a module type {name}:{DEFAULT_ATTRIBUTE}"
            )
        raise UnknownNameError("problem", name, [*shipped, *points])
    return PROBLEMS[name]


def _called(make: Callable[[Size], object], size: Size, reference: str) -> object:
    try:
        return make(size)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{reference} is called with the size and raised {describe_error(error)}"
        ) from error


def _checked(found: Any, size: Size | None, reference: str) -> Problem:
    if size not in {None, Size.STANDARD}:
        raise UserError(
            f"{reference} has one size; leave --size out, or make it a function of the size"
        )
    if not isinstance(found, Problem):
        raise UserError(
            f"{reference} is a {type(found).__name__}, not a Problem or a function that returns one"
        )
    return found


def _of_user(place: Path, path: Path) -> bool:
    """Return whether a line is the user's whose file that is: neither installed nor simstead's."""
    if place == path:
        return True
    ours = any(place.is_relative_to(room) for room in PACKAGE_FOLDERS)
    return place.is_relative_to(path.parent) and SITE_PACKAGES not in str(place) and not ours


def _told(error: BaseException, path: Path) -> str:
    """Return what went wrong in a user's file, with the last line of it that was run."""
    words = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if _of_user(Path(frame.filename), path)
    ]
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: SyntaxError: {error.msg}"
    if isinstance(error, ImportError) and "relative import" in words:
        words += "; name a module of a package as package.module:attribute"
    return f"{own[-1].filename}, line {own[-1].lineno}: {words}" if own else f"{path}: {words}"
