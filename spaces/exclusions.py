"""The parts of a space that are excluded on this machine, with one line for each reason."""

from collections.abc import Hashable, Iterable
from itertools import product
from typing import NamedTuple, TypeVar

from problems import Problem
from spaces import pruning as prunings
from spaces.candidate import Precision, Pruning
from spaces.precision import unavailable_arithmetics
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.space import available_families, compatible_families, missing_module

Key = TypeVar("Key", bound=Hashable)


class Exclusion(NamedTuple):
    """A part of a space that is excluded, with the reason; an empty name stands for any."""

    encoding: str
    architecture: str
    runtime: str
    option: str
    reason: str


def exclusions(problem: Problem) -> list[Exclusion]:
    """Return the exclusions from a problem's space on this machine."""
    return [
        *_unserved_encodings(problem),
        *_families_not_installed(problem),
        *_unsuited_families(problem),
        *_excluded_precisions(),
        *_excluded_prunings(),
        *(
            Exclusion("", "", "", f"training in {name}", reason)
            for name, reason in unavailable_arithmetics().items()
        ),
    ]


def _unserved_encodings(problem: Problem) -> list[Exclusion]:
    return [
        Exclusion(
            name, "", "", "", f"no family serves {encoding.layout} with {encoding.target} yet"
        )
        for name, encoding in problem.encodings.items()
        if not available_families(encoding)
    ]


def _families_not_installed(problem: Problem) -> list[Exclusion]:
    """Return the families that serve the problem and need a module that isn't installed."""
    return [
        Exclusion(
            "",
            family,
            "",
            "",
            f"its training needs {missing_module(family)}, which isn't installed",
        )
        for family in sorted(
            {f for e in problem.encodings.values() for f in compatible_families(e)}
        )
        if missing_module(family)
    ]


def _unsuited_families(problem: Problem) -> list[Exclusion]:
    """Return the combinations that the problem's families don't support."""
    serving = {
        name for encoding in problem.encodings.values() for name in available_families(encoding)
    }
    absent = _absent_runtimes()
    families_by_reason = (
        ((option, reason), family)
        for family in sorted(serving)
        for option, reason in ARCHITECTURES[family].unsuited.items()
        if option.partition(" ")[0] not in absent
    )
    options_by_families = (
        ((_join(names), reason), option)
        for (option, reason), names in _group(families_by_reason).items()
    )
    return [
        Exclusion("", names, "", _join(options), reason)
        for (names, reason), options in _group(options_by_families).items()
    ]


def _excluded_precisions() -> list[Exclusion]:
    """Return the precisions that runtimes lack; a runtime that lacks all is listed without them."""
    precisions_by_runtime = (
        ((runtime, reason), str(precision))
        for runtime, precision in product(RUNTIMES, Precision)
        if (reason := RUNTIMES[runtime].cannot_lower(precision)) is not None
    )
    runtimes_by_precisions = (
        ((_join(names, Precision), reason), runtime)
        for (runtime, reason), names in _group(precisions_by_runtime).items()
    )
    return [
        Exclusion("", "", _join(runtimes), names, reason)
        for (names, reason), runtimes in _group(runtimes_by_precisions).items()
    ]


def _excluded_prunings() -> list[Exclusion]:
    absent = _absent_runtimes()
    present = [runtime for runtime in RUNTIMES if runtime not in absent]
    runtimes_by_pruning = (
        ((str(pruning), reason), runtime)
        for pruning, runtime, precision in product(Pruning, present, Precision)
        if (reason := prunings.pruning_incompatibility(pruning, runtime, precision)) is not None
    )
    return [
        Exclusion("", "", _join(names, present), pruning, reason)
        for (pruning, reason), names in _group(runtimes_by_pruning).items()
    ]


def _absent_runtimes() -> list[str]:
    """Return the runtimes that can't lower a network in any precision here."""
    return [name for name in RUNTIMES if all(RUNTIMES[name].cannot_lower(p) for p in Precision)]


def _group(pairs: Iterable[tuple[Key, str]]) -> dict[Key, list[str]]:
    """Return the members of each key without duplicates, in their order."""
    groups: dict[Key, dict[str, None]] = {}
    for key, member in pairs:
        groups.setdefault(key, {})[member] = None
    return {key: list(members) for key, members in groups.items()}


def _join(names: Iterable[str], all_names: Iterable[str] = ()) -> str:
    """Return names as one text, which is empty if they are all names there are."""
    return "" if set(names) == set(all_names) else ", ".join(names)
