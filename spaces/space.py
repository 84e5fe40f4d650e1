"""What combines with what: encoding x architecture x pruning x precision x runtime, and settings.

The skeleton (`cells`) is finite and listed; what can't be deployed is left out of it with a reason.
The settings hang on the skeleton's branches, and a parameter carries its branch in its name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from problems import Choose, Encoding, Problem, Size, UserError
from problems.core import Option
from spaces.candidate import Candidate, Precision, Pruning, Training
from spaces.registered import ARCHITECTURES, RUNTIMES

PRUNING_RATIOS = (0.25, 0.5)


class Cell(NamedTuple):
    """One combination of the skeleton."""

    encoding: str
    architecture: str
    pruning: Pruning
    runtime: str
    precision: Precision


class Exclusion(NamedTuple):
    """What is left out of a space, and why; an empty name stands for any."""

    encoding: str
    architecture: str
    runtime: str
    what: str
    reason: str


@dataclass(frozen=True)
class Branch:
    """Asks for settings under a branch's name."""

    choose: Choose
    name: str

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Choose one of the options."""
        return self.choose.categorical(f"{self.name}.{name}", options)

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Choose an integer in [low, high]."""
        return self.choose.integer(f"{self.name}.{name}", low, high, step=step)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Choose a real number in [low, high]."""
        return self.choose.real(f"{self.name}.{name}", low, high, log=log)


def families(encoding: Encoding) -> list[str]:
    """Return the families that serve an encoding's layout and target."""
    wanted = (encoding.layout, encoding.target)
    return [name for name in ARCHITECTURES if wanted in ARCHITECTURES[name].serves]


def served(problem: Problem) -> list[str]:
    """Return the encodings that some family serves.

    Raises:
        UserError: There is none.
    """
    names = [name for name, encoding in problem.encodings.items() if families(encoding)]
    if not names:
        wanted = ", ".join(
            f"{name} ({encoding.layout}, {encoding.target})"
            for name, encoding in problem.encodings.items()
        )
        raise UserError(
            f"problem {problem.name!r}: no family of networks serves its encodings ({wanted}); "
            "add one of layout flat with target value"
        )
    return names


def prunings(architecture: str) -> list[Pruning]:
    """Return how a family's networks can be pruned."""
    unsuited = ARCHITECTURES[architecture].unsuited
    return [pruning for pruning in Pruning if pruning not in unsuited]


def precisions(architecture: str, runtime: str) -> list[Precision]:
    """Return the precisions in which a runtime can execute a family here."""
    unsuited = ARCHITECTURES[architecture].unsuited
    return [
        precision
        for precision in Precision
        if precision not in unsuited and RUNTIMES[runtime].excludes(precision) is None
    ]


def exclusions(problem: Problem) -> list[Exclusion]:
    """Return what is left out of a problem's space on this machine, with reasons."""
    left_out = [
        Exclusion(
            name, "", "", "", f"no family serves {encoding.layout} with {encoding.target} yet"
        )
        for name, encoding in problem.encodings.items()
        if not families(encoding)
    ]
    left_out += [
        Exclusion("", family, "", what, reason)
        for family in ARCHITECTURES
        for what, reason in ARCHITECTURES[family].unsuited.items()
    ]
    for runtime, precision in product(RUNTIMES, Precision):
        reason = RUNTIMES[runtime].excludes(precision)
        if reason is not None:
            left_out.append(Exclusion("", "", runtime, precision, reason))
    return left_out


def cells(problem: Problem) -> list[Cell]:
    """Return every combination that can be deployed here."""
    return [
        Cell(name, family, pruning, runtime, precision)
        for name, encoding in problem.encodings.items()
        for family in families(encoding)
        for pruning in prunings(family)
        for runtime in RUNTIMES
        for precision in precisions(family, runtime)
    ]


def choose_cell(problem: Problem, choose: Choose) -> Cell:
    """Ask for the skeleton, branch by branch."""
    encoding = choose.categorical("encoding", served(problem))
    fitting = families(problem.encodings[encoding])
    family = choose.categorical(f"{encoding}.architecture", fitting)
    pruning = choose.categorical(f"{family}.pruning", prunings(family))
    runtime = choose.categorical("runtime", list(RUNTIMES))
    options = precisions(family, runtime)
    everywhere = {p for name in ARCHITECTURES for p in precisions(name, runtime)}
    # A family that lacks a precision asks under its own name: a parameter's options never change.
    branch = runtime if set(options) == everywhere else f"{family}.{runtime}"
    precision = choose.categorical(f"{branch}.precision", options)
    return Cell(encoding, family, Pruning(pruning), runtime, Precision(precision))


def compose(problem: Problem, size: Size, choose: Choose, seed: int) -> Candidate:
    """Ask for a whole candidate: the skeleton first, then the settings of its branches."""
    cell = choose_cell(problem, choose)
    encoding = problem.encodings[cell.encoding]
    family = ARCHITECTURES[cell.architecture]
    ratio = 0.0
    if cell.pruning is Pruning.STRUCTURED:
        ratio = choose.categorical(f"{cell.architecture}.structured.ratio", PRUNING_RATIOS)
    return Candidate(
        problem=problem.name,
        problem_version=problem.version,
        size=size,
        encoding=cell.encoding,
        encoding_settings=dict(encoding.settings(Branch(choose, cell.encoding))),
        architecture=cell.architecture,
        architecture_settings=dict(family.settings(Branch(choose, cell.architecture))),
        training=Training(
            learning_rate=choose.real("training.learning_rate", 3e-4, 1e-2, log=True),
            batch_size=choose.categorical("training.batch_size", (128, 256, 512)),
            weight_decay=choose.real("training.weight_decay", 1e-6, 1e-2, log=True),
        ),
        pruning=cell.pruning,
        pruning_ratio=ratio,
        precision=cell.precision,
        runtime=cell.runtime,
        seed=seed,
    )
