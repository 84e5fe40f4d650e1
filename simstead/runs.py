"""Searches and their runs from Python: what `simstead search`, `table` and `export` do."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import __main__
from problems import Problem, Size, UnknownNameError, UserError
from problems.sources import USER_MODULE_PREFIX, ProblemSource, locate_problem

if TYPE_CHECKING:
    import pandas as pd

    from search.run.directory import RunDirectory
    from spaces.surrogate import Surrogate


@dataclass(frozen=True)
class OpenedRun:
    """The results of a run.

    Args:
        folder: The run directory.
    """

    folder: Path

    def trials(self) -> "pd.DataFrame":
        """Return the table of the trials, indexed by trial; it may grow while a search runs."""
        from search.run.table import trials_frame  # noqa: PLC0415 - brings pandas

        return trials_frame(self._directory)

    def finalists(self) -> "pd.DataFrame":
        """Return the table of the finalists and baselines of the final evaluation, by name.

        Raises:
            UserError: The run has no final evaluation.
        """
        from search.run.table import finalists_frame  # noqa: PLC0415 - brings pandas

        return finalists_frame(self._directory)

    def surrogate(self, pick: str | int = "recommended") -> "Surrogate":
        """Return a surrogate of the run, the artefact that was measured.

        Args:
            pick: "recommended", "knee", "accurate", "smallest", or the number of a trial.

        Raises:
            UserError: There is no such surrogate, or its files were altered.
        """
        from search.screening.request import resolve_artefact  # noqa: PLC0415 - brings torch
        from spaces.surrogate import Surrogate  # noqa: PLC0415

        artefact, _ = resolve_artefact(f"{self.folder}:{pick}")
        return Surrogate.load(artefact)

    def report(self) -> Path:
        """Return the path of the report, which is written anew."""
        from reports.pages import write_report  # noqa: PLC0415 - brings plotly

        return write_report(self._directory)

    @property
    def _directory(self) -> "RunDirectory":
        from search.run.directory import RunDirectory  # noqa: PLC0415 - as above

        return RunDirectory.open(self.folder)


def open_run(folder: str | Path) -> OpenedRun:
    """Return the run in a folder.

    Raises:
        UserError: The folder contains no run.
    """
    from search.run.directory import RunDirectory  # noqa: PLC0415 - `import simstead` stays quick

    return OpenedRun(RunDirectory.open(Path(folder)).folder)


def search(problem: str | Path | Problem, **options: Any) -> OpenedRun:
    """Return the run of a search, once it is finished; its progress is shown meanwhile.

    A run that exists is continued.

    Args:
        problem: A registered name, a file, or a problem that was imported from one.
        **options: Of `search.search_options.SearchOptions`, as those of `simstead search`.

    Raises:
        UnknownNameError: There is no such option.
        UserError: The problem or the value of an option is wrong.
        InterruptedRunError: The search was interrupted; the same call continues it if it names
            its `run`.
    """
    from search.commands.options import console  # noqa: PLC0415 - `import simstead` stays quick
    from search.search_options import SearchOptions, check_kind, check_options  # noqa: PLC0415

    known = [field.name for field in fields(SearchOptions)]
    for name in options:
        if name not in known:
            raise UnknownNameError("option", name, known)
    requested = SearchOptions(**_with_paths(options))
    check_options(requested, "")
    check_kind(requested.kind, requested.address, "")
    source = _source_of(problem)
    from search.session import search_problem  # noqa: PLC0415 - brings torch and Ray

    run = search_problem(source, requested, console, lambda run: OpenedRun(run.folder).report())
    return OpenedRun(run.folder)


def _with_paths(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with paths in place of the texts that name files, and sizes of sizes."""
    converted = dict(options)
    for name in ("run", "space", "first"):
        if isinstance(options.get(name), str):
            converted[name] = Path(options[name])
    if isinstance(options.get("size"), str):
        converted["size"] = Size(options["size"])
    return converted


def _source_of(problem: str | Path | Problem) -> ProblemSource:
    """Return where workers find a problem.

    Raises:
        UserError: The problem was made where workers can't import it, as in a notebook.
    """
    if not isinstance(problem, Problem):
        return locate_problem(str(problem))
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if module is __main__ or not file:
            continue
        for attribute, value in list(vars(module).items()):
            if value is problem:
                if module.__name__.startswith(USER_MODULE_PREFIX):
                    return locate_problem(f"{file}:{attribute}")
                return locate_problem(f"{module.__name__}:{attribute}")
    raise UserError(
        f"problem {problem.name!r} was made in this session, where workers can't import it; "
        "write it to a file (in a notebook, begin its cell with %%writefile my_problem.py), and "
        "pass 'my_problem.py'"
    )
