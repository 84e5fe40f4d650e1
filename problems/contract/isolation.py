"""Contract checks in a process of their own, which users' code may end.

The simulation runs in a further process, so that only the sample that ends it fails.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Self

from problems.contract import CHECKS, CheckResult, run_checks
from problems.contract.evidence import Evidence
from problems.data.cache import default_cache
from problems.data.classes import describe_classes
from problems.data.missing import describe_missing
from problems.entrance.isolated import IsolatedProcess, Message, ProcessDiedError
from problems.interfaces.problem import Problem
from problems.interfaces.types import Size
from problems.sources import ProblemSource


class IsolatedChecks:
    """The checks of a problem, in a process of their own.

    Args:
        source: The problem.
        size: The requested size, if any.
        progress: Called with (samples generated, samples in all) during generation.
    """

    def __init__(
        self, source: ProblemSource, size: Size | None, progress: Callable[[int, int], None]
    ) -> None:
        self._source, self._size, self._progress = source, size, progress
        self._process = IsolatedProcess([Path(source.folder)] if source.user_source else [])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.close()

    def results(self) -> Iterator[CheckResult]:
        """Run all checks, stage by stage, and yield the result of each.

        Raises:
            UserError: The problem can't be loaded.
        """
        return run_checks(self._violations)

    def notes(self) -> list[str]:
        """Return classes in each split, shares of missing values, and failures by reason."""
        return self._process.call(failures, self._source, self._size)

    def _violations(self, name: str) -> list[str]:
        try:
            return self._process.call(
                violations, self._source, self._size, name, on_message=self._progress
            )
        except ProcessDiedError as error:
            return [f"while this was checked, {error}"]


def violations(source: ProblemSource, size: Size | None, name: str, progress: Message) -> list[str]:
    """Return the violations of one check, in the process of the checks.

    Args:
        source: The problem.
        size: The requested size, if any.
        name: Name of the check.
        progress: Called during generation of data.
    """
    session = _session(source, size)
    session.progress = progress
    return CHECKS[name].violations(session.evidence)


def failures(source: ProblemSource, size: Size | None) -> list[str]:
    """Return what `IsolatedChecks.notes` does, in the process of the checks."""
    evidence = _session(source, size).evidence
    data = evidence.all_data
    failed = [f"{n} of {data.made} samples fail: {reason}" for reason, n in data.reasons.items()]
    problem = evidence.problem
    missing = describe_missing(problem.inputs, data)
    return [*describe_classes(problem.outputs, data), *missing, *failed]


class Session:
    """The evidence that all checks of this process share, and the progress of the present one.

    Args:
        problem: The problem that is checked.
    """

    def __init__(self, problem: Problem) -> None:
        self.progress: Message | None = None
        self.evidence = Evidence(problem, default_cache(), self._tell, IsolatedProcess().call)

    def _tell(self, done: int, total: int) -> None:
        if self.progress:
            self.progress(done, total)


@cache
def _session(source: ProblemSource, size: Size | None) -> Session:
    return Session(source.load(size, default=Size.TINY))
