"""Problems by reference: a registered name, an entry point, a user's file or a module."""

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

from problems.errors import UnknownNameError, UserError, describe_error, printable
from problems.interfaces.problem import Problem
from problems.interfaces.types import Size
from problems.registry import PROBLEMS, Registry, known_problems
from problems.source_files import SITE_PACKAGES, read_source

ENTRY_POINT_GROUP = "simstead.problems"
"""Group of the entry points by which installed packages register problems."""

USER_MODULE_PREFIX = "simstead_user_"
"""Start of the names of modules loaded from files; a hash of the path and the stem follow."""

COPY_PREFIX = "simstead_copy_"
"""Start of the name of a folder with a copy of a user's file; the hash of its path follows."""

DEFAULT_ATTRIBUTE = "problem"
"""The attribute of a file or module that is loaded where the user names none."""

PACKAGE_FOLDERS = [
    Path(__file__).parents[1] / name
    for name in ("problems", "spaces", "search", "reports", "simstead")
]
"""The folders of simstead's own code."""

ProblemFactory = Callable[[Size], Problem]


@dataclass(frozen=True)
class ProblemSource:
    """The origin of a problem, as a reference that a user can type.

    Args:
        reference: Registered name, absolute path of a file, or module; with ":attribute" if given.
        folder: Folder in which a module is searched for after all installed packages.
    """

    reference: str
    folder: str

    @property
    def user_source(self) -> "ProblemSource | None":
        """This source if it is a user's file or module, None for a registered name."""
        return self if ":" in self.reference or self.reference.endswith(".py") else None

    @property
    def file(self) -> Path | None:
        """The user's file, None for a registered name or a module."""
        place = self.reference.partition(":")[0]
        return Path(place) if place.endswith(".py") else None

    def load(self, size: Size | None = None, default: Size = Size.STANDARD) -> Problem:
        """Return the problem.

        A worker calls this method first, so that the problem's modules are imported before
        pickled objects arrive.

        Args:
            size: Size of a problem that has several; None for the default.
            default: Size where none is given.

        Raises:
            UserError: The problem can't be found or loaded, or doesn't have the given size.
        """
        place, _, attribute = self.reference.partition(":")
        loaded: Any
        if self.file:
            loaded = _select_problem(import_file(self.file), attribute, self.reference)
        elif attribute:
            module = _import_module(place, self.folder)
            loaded = _select_problem(module, attribute, self.reference)
        else:
            loaded = _registered_problem(place)
        if callable(loaded) and not isinstance(loaded, Problem):
            size, loaded = None, _call_factory(loaded, size or default, self.reference)
        return _check_problem(loaded, size, self.reference)


def locate_problem(reference: str) -> ProblemSource:
    """Return the source of a problem given by name, `file.py[:attribute]` or `module:attribute`.

    Raises:
        UserError: The file doesn't exist or isn't a Python file.
    """
    place, colon, attribute = reference.partition(":")
    if place.endswith(".py") or "/" in place:
        path = Path(place).resolve()
        if not path.is_file() or path.suffix != ".py":
            raise UserError(
                f"{place} is no Python file; give a file that defines a problem, such as one "
                "written by `simstead new NAME`"
            )
        return ProblemSource(f"{path}{colon}{attribute}", str(path.parent))
    return ProblemSource(reference, str(Path.cwd()))


def load_problem(reference: str, size: Size | None = None) -> Problem:
    """Return a problem by name, file or module; see `locate_problem` and `ProblemSource.load`."""
    return locate_problem(reference).load(size)


def module_name(path: Path) -> str:
    """Return the name of the module that a user's file becomes; only its copies share it."""
    folder = path.parent.name
    copied = folder.removeprefix(COPY_PREFIX) if folder.startswith(COPY_PREFIX) else ""
    return f"{USER_MODULE_PREFIX}{copied or _path_hash(path)}_{path.stem}"


def copy_folder_name(path: Path) -> str:
    """Return the name of a folder in which a copy of a user's file is the same module."""
    return f"{COPY_PREFIX}{_path_hash(path)}"


def _path_hash(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]


def import_file(path: Path) -> ModuleType:
    """Return a user's file as a module; a process runs the file once.

    The file can import modules of its folder; none of these shadows an installed module.

    Raises:
        UserError: The file doesn't exist, isn't text, or raises an exception; the message gives the
            line.
    """
    name = module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    if not path.is_file():
        raise UserError(f"there is no file {path}; move the file of the problem back")
    read_source(path)  # Python reads a comment in any encoding, but neither hashes nor shows it
    add_module_folder(str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserError(f"{path} can't be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        Registry.forget_module(name)
        raise UserError(_error_text(error, path)) from error
    return module


def problem_loaders() -> Mapping[str, Callable[[Size | None], Problem]]:
    """Return the loader of each problem by name: shipped problems, then entry points."""
    names = [*known_problems(), *(point.name for point in entry_points(group=ENTRY_POINT_GROUP))]
    return {name: ProblemSource(name, "").load for name in names}


def _import_module(name: str, folder: str) -> ModuleType:
    add_module_folder(folder)
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
        raise UserError(_error_text(error, Path(name))) from error


class LastResort(MetaPathFinder):
    """Finds modules in users' folders where no installed module has the same name.

    Appending the folders to `sys.path` doesn't suffice: editable installations are searched
    after `sys.path`, so that a user's module could shadow theirs.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return the specification of a top-level module, None for any other module.

        Args:
            fullname: Name of the module.
            path: Search path of the parent package, None for a top-level module.
            target: Not used.
        """
        return None if path else PathFinder.find_spec(fullname, self.folders, target)


LAST_RESORT = LastResort()
"""The finder of this process; the first import of a user's module adds it to `sys.meta_path`."""


def user_files() -> list[Path]:
    """Return the files of users that this process has imported, in their order."""
    return [
        Path(str(module.__file__))
        for name, module in list(sys.modules.items())
        if name.startswith(USER_MODULE_PREFIX)
    ]


def user_folders() -> list[Path]:
    """Return the folders in which this process looks for modules of users."""
    return [Path(folder) for folder in LAST_RESORT.folders]


def add_module_folder(folder: str) -> None:
    """Let modules of a folder be found after all installed ones."""
    if LAST_RESORT not in sys.meta_path:
        sys.meta_path.append(LAST_RESORT)
    if folder not in LAST_RESORT.folders:
        LAST_RESORT.folders.append(folder)


def _select_problem(module: ModuleType, attribute: str, reference: str) -> Any:
    """Return the given attribute of a module, or else the only problem of the module."""
    problems = {name: value for name, value in vars(module).items() if isinstance(value, Problem)}
    if attribute:
        if not hasattr(module, attribute):
            raise UnknownNameError(f"attribute of {module.__file__}", attribute, problems)
        return getattr(module, attribute)
    if hasattr(module, DEFAULT_ATTRIBUTE):
        return getattr(module, DEFAULT_ATTRIBUTE)
    if len({id(problem) for problem in problems.values()}) != 1:
        content = f"several problems: {', '.join(problems)}" if problems else "no problem"
        raise UserError(
            f"{reference} holds {content}; call one {DEFAULT_ATTRIBUTE!r}, "
            f"or name it as {reference}:NAME"
        )
    return next(iter(problems.values()))


def _registered_problem(name: str) -> ProblemFactory | Problem:
    """Return what is registered under a name, here or as an entry point."""
    points: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINT_GROUP):
        points.setdefault(point.name, []).append(point)
    shipped = known_problems()
    modules = [point.value for point in points.get(name, ())] + ["simstead"] * (name in shipped)
    if len(modules) > 1:
        raise UserError(
            f"problem {name!r} is registered by {', '.join(modules)}; name one as module:attribute"
        )
    if name in points:
        try:
            return points[name][0].load()
        except Exception as error:
            raise UserError(
                f"problem {name!r} ({points[name][0].value}) can't be loaded: "
                f"{_error_text(error, Path(points[name][0].module))}"
            ) from error
    if name not in shipped:
        if Path(f"{name}.py").is_file():
            raise UserError(f"unknown problem {name!r}; the file in this folder is {name}.py")
        if "." in name:
            raise UserError(
                f"unknown problem {name!r}; a module is given as {name}:{DEFAULT_ATTRIBUTE}"
            )
        raise UnknownNameError("problem", name, [*shipped, *points])
    return PROBLEMS[name]


def _call_factory(factory: Callable[[Size], object], size: Size, reference: str) -> object:
    try:
        return factory(size)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{reference}, called with the size, raised {describe_error(error)}"
        ) from error


def _check_problem(loaded: Any, size: Size | None, reference: str) -> Problem:
    if size not in {None, Size.STANDARD}:
        raise UserError(
            f"{reference} has one size; leave --size out, or make it a function of the size"
        )
    if not isinstance(loaded, Problem):
        raise UserError(
            f"{reference} is a {type(loaded).__name__}, not a Problem or a function returning one"
        )
    return loaded


def _is_user_code(file: Path, path: Path) -> bool:
    """Return whether a file belongs to the author of `path`: neither installed nor simstead's."""
    if file == path:
        return True
    is_simstead = any(file.is_relative_to(folder) for folder in PACKAGE_FOLDERS)
    installed = SITE_PACKAGES in str(file)
    return file.is_relative_to(path.parent) and not installed and not is_simstead


def _error_text(error: BaseException, path: Path) -> str:
    """Return the text of an error in a user's file, with the last line of that code."""
    text = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    text = printable(text)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if _is_user_code(Path(frame.filename), path)
    ]
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}, line {error.lineno or 1}: SyntaxError: {error.msg}"
    if isinstance(error, ImportError) and "relative import" in text:
        text += "; name a module of a package as package.module:attribute"
    return (
        f"{frames[-1].filename}, line {frames[-1].lineno}: {text}" if frames else f"{path}: {text}"
    )
