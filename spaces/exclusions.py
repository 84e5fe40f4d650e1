"""What is left out of a space on this machine, and why: one line a reason."""

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
    """What is left out of a space, and why; an empty name stands for any."""

    encoding: str
    architecture: str
    runtime: str
    option: str
    reason: str


def exclusions(problem: Problem) -> list[Exclusion]:
    """Return what is left out of a problem's space on this machine, with reasons."""
    return [
        *_unserved(problem),
        *_not_installed(problem),
        *_unsuited(problem),
        *_runtimes(),
        *_prunings(),
        *(
            Exclusion("", "", "", f"training in {name}", why)
            for name, why in unavailable_arithmetics().items()
        ),
    ]


def _unserved(problem: Problem) -> list[Exclusion]:
    return [
        Exclusion(
            name, "", "", "", f"no family serves {encoding.layout} with {encoding.target} yet"
        )
        for name, encoding in problem.encodings.items()
        if not available_families(encoding)
    ]


def _not_installed(problem: Problem) -> list[Exclusion]:
    """Return the families that would serve the problem if what they need were there."""
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


def _unsuited(problem: Problem) -> list[Exclusion]:
    """Return what families can't be combined with that serve the problem."""
    serving = {
        name for encoding in problem.encodings.values() for name in available_families(encoding)
    }
    absent = _absent()
    found = (
        ((option, reason), family)
        for family in sorted(serving)
        for option, reason in ARCHITECTURES[family].unsuited.items()
        if option.partition(" ")[0] not in absent
    )
    by_families = (
        ((_listed(names), reason), option) for (option, reason), names in _grouped(found).items()
    )
    return [
        Exclusion("", names, "", _listed(option), reason)
        for (names, reason), option in _grouped(by_families).items()
    ]


def _runtimes() -> list[Exclusion]:
    """Return the precisions that runtimes lack; a runtime that lacks all is left out as such."""
    found = (
        ((runtime, reason), str(precision))
        for runtime, precision in product(RUNTIMES, Precision)
        if (reason := RUNTIMES[runtime].cannot_lower(precision)) is not None
    )
    by_precisions = (
        ((_listed(names, Precision), reason), runtime)
        for (runtime, reason), names in _grouped(found).items()
    )
    return [
        Exclusion("", "", _listed(runtimes), names, reason)
        for (names, reason), runtimes in _grouped(by_precisions).items()
    ]


def _prunings() -> list[Exclusion]:
    absent = _absent()
    present = [runtime for runtime in RUNTIMES if runtime not in absent]
    found = (
        ((str(pruning), reason), runtime)
        for pruning, runtime, precision in product(Pruning, present, Precision)
        if (reason := prunings.pruning_incompatibility(pruning, runtime, precision)) is not None
    )
    return [
        Exclusion("", "", _listed(names, present), pruning, reason)
        for (pruning, reason), names in _grouped(found).items()
    ]


def _absent() -> list[str]:
    """Return the runtimes that execute nothing here."""
    return [name for name in RUNTIMES if all(RUNTIMES[name].cannot_lower(p) for p in Precision)]


def _grouped(found: Iterable[tuple[Key, str]]) -> dict[Key, list[str]]:
    """Return what belongs to each key, once each."""
    groups: dict[Key, dict[str, None]] = {}
    for key, member in found:
        groups.setdefault(key, {})[member] = None
    return {key: list(members) for key, members in groups.items()}


def _listed(names: Iterable[str], everything: Iterable[str] = ()) -> str:
    """Return names as one, and none for all that there are."""
    return "" if set(names) == set(everything) else ", ".join(names)
