"""What combines with what: encoding x architecture x pruning x precision x runtime, and settings.

The skeleton (`cells`) is finite and listed; what can't be deployed is left out of it with a reason.
The settings hang on the skeleton's branches, and a parameter carries its branch in its name.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import product

from problems import Choose, Encoding, Problem, Settings, Size, UserError
from problems.interfaces.types import Option, RollsForward
from spaces import pruning as prunings
from spaces.candidate import Arithmetic, Candidate, Precision, Pruning, Training
from spaces.combinations import Combination, CombinationSpace
from spaces.precision import available_arithmetics
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.restrictions import RestrictedChoice, Restrictions

UNRESTRICTED = Restrictions()

AVERAGING_SPANS = (0.0, 0.05)
"""Shares of the steps so far that a mean of weights spans; 0 averages nothing. Of a perceptron's
1,000 and 4,000 steps spans of 0.02 to 0.1 took up to a fifth off the error halfway, nothing off
it once the learning rate had fallen; one of 0.2 lagged behind."""

INPUT_NOISE_STDS = (0.0, 0.003, 0.03, 0.3)
"""Standard deviations in scaled units, a decade apart; 0 adds nothing. An accurate surrogate's step
errs by the smallest. On `planets`, which few systems teach, the largest took a quarter off the last
epoch's error of a perceptron and a fiftieth off the best epoch's; an LSTM hardly felt any."""

UNROLL_LENGTHS = (1, 2, 4)
"""Calls that a loss spans."""

AUGMENTATION_COPIES = (0, 1, 3)
"""Transformed copies of the training samples: twice and four times as many."""


@dataclass(frozen=True)
class PrefixedChoice:
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


def available_families(encoding: Encoding) -> list[str]:
    """Return the families that serve an encoding's layout and target here."""
    return [name for name in compatible_families(encoding) if not missing_module(name)]


def compatible_families(encoding: Encoding) -> list[str]:
    """Return the families that serve an encoding, where what they need is installed."""
    wanted = (encoding.layout, encoding.target)
    return [name for name in ARCHITECTURES if wanted in ARCHITECTURES[name].serves]


def missing_module(architecture: str) -> str:
    """Return which module a family needs that isn't installed, or nothing."""
    module = ARCHITECTURES[architecture].needs
    return module if module and find_spec(module) is None else ""


def supported_encodings(problem: Problem) -> list[str]:
    """Return the encodings that some family serves.

    Raises:
        UserError: There is none.
    """
    names = [name for name, encoding in problem.encodings.items() if available_families(encoding)]
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


def incompatibility(
    architecture: str, pruning: Pruning, runtime: str, precision: Precision
) -> str | None:
    """Return why a network can't be deployed so on this machine, or None where it can."""
    unsuited = ARCHITECTURES[architecture].unsuited
    for what in (pruning, runtime, precision, f"{runtime} {precision}"):
        if what in unsuited:
            return unsuited[what]
    return prunings.pruning_incompatibility(pruning, runtime, precision) or RUNTIMES[
        runtime
    ].cannot_lower(precision)


def deployable_combinations(problem: Problem) -> list[Combination]:
    """Return every combination that can be deployed here."""
    return [
        Combination(name, family, *deployment)
        for name, encoding in problem.encodings.items()
        for family in available_families(encoding)
        for deployment in family_deployments(family)
    ]


def family_deployments(family: str) -> list[tuple[Pruning, str, Precision]]:
    """Return how a family's networks can be deployed here."""
    return [
        (pruning, runtime, precision)
        for pruning, runtime, precision in product(Pruning, RUNTIMES, Precision)
        if incompatibility(family, pruning, runtime, precision) is None
    ]


def main_incompatibility(problem: Problem, wanted: Restrictions) -> str:
    """Return why most of what is wanted can't be deployed, none of which can.

    Runtimes that execute nothing here are no reason against what may run in another one.
    """
    present = {combination.runtime for combination in deployable_combinations(problem)}
    runtimes = [name for name in RUNTIMES if name in present or "runtime" in wanted.keep]
    supported_encodings = [
        (name, family)
        for name, encoding in problem.encodings.items()
        for family in available_families(encoding)
    ]
    reasons = Counter(
        incompatibility(family, *deployment)
        for (name, family), deployment in product(
            supported_encodings, product(Pruning, runtimes, Precision)
        )
        if wanted.allows(Combination(name, family, *deployment))
    )
    if reasons:
        return str(reasons.most_common(1)[0][0])
    kinds = (f"{name} is {e.layout}, {e.target}" for name, e in problem.encodings.items())
    return f"no family of it serves its encodings' layout and target ({'; '.join(kinds)})"


def pruning_prefix(family: str, pruning: Pruning) -> str:
    """Return what the names of a pruning's settings begin with."""
    return f"{family}.{pruning}"


@dataclass(frozen=True)
class Space:
    """What may be chosen for a problem on this machine.

    Args:
        problem: What is to be replaced.
        narrowing: What is left of the whole space, settled.
    """

    problem: Problem
    restrictions: Restrictions = UNRESTRICTED

    @cached_property
    def combination_space(self) -> CombinationSpace:
        """Every combination that can be deployed and is kept."""
        return CombinationSpace(
            [
                combination
                for combination in deployable_combinations(self.problem)
                if self.restrictions.allows(combination)
            ]
        )

    def encoding_settings(self, encoding: str, choose: Choose) -> Settings:
        """Ask for an encoding's settings."""
        return self.problem.encodings[encoding].settings(self._branch(encoding, choose))

    def family_settings(self, family: str, choose: Choose) -> Settings:
        """Ask for a family's settings."""
        return ARCHITECTURES[family].settings(self._branch(family, choose))

    def pruning_settings(self, family: str, pruning: Pruning, choose: Choose) -> Settings:
        """Ask how a family's networks are pruned."""
        return prunings.settings(pruning, self._branch(pruning_prefix(family, pruning), choose))

    def training_kind(self, encoding: str, family: str) -> tuple[bool, bool]:
        """Return what decides which settings of training are asked for.

        Whether the family practises, and whether the encoding rolls forward.
        """
        rolls = isinstance(self.problem.encodings[encoding], RollsForward)
        return ARCHITECTURES[family].trains_policy, rolls

    def training_settings(self, choose: Choose, encoding: str, family: str) -> Training:
        """Ask how a network is trained; one that practises does so as its library has it."""
        asked = self._branch("training", choose)
        training = Training(
            learning_rate=asked.real("learning_rate", 3e-4, 1e-2, log=True),
            batch_size=asked.categorical("batch_size", (128, 256, 512)),
            weight_decay=asked.real("weight_decay", 1e-6, 1e-2, log=True),
        )
        trains_policy, rolls = self.training_kind(encoding, family)
        if trains_policy:
            return training
        own: dict[str, Arithmetic | float] = {
            "arithmetic": Arithmetic(
                asked.categorical("arithmetic", [*map(str, available_arithmetics())])
            ),
            "averaging": asked.categorical("averaging", AVERAGING_SPANS),
            "input_noise": asked.categorical("input_noise", INPUT_NOISE_STDS),
        }
        if rolls:
            own["unrolled"] = asked.categorical("unrolled", UNROLL_LENGTHS)
        if self.problem.symmetries:
            own["augmented"] = asked.categorical("augmented", AUGMENTATION_COPIES)
        return training.model_copy(update=own)

    def choose_candidate(self, size: Size, choose: Choose, seed: int) -> Candidate:
        """Ask for a whole candidate: the skeleton first, then the settings of its branches."""
        return self.choose_settings(self.combination_space.choose(choose), size, choose, seed)

    def choose_settings(
        self, combination: Combination, size: Size, choose: Choose, seed: int
    ) -> Candidate:
        """Ask for the settings of a cell's branches."""
        return Candidate(
            problem=self.problem.name,
            problem_version=self.problem.version,
            size=size,
            encoding=combination.encoding,
            encoding_settings=dict(self.encoding_settings(combination.encoding, choose)),
            architecture=combination.architecture,
            architecture_settings=dict(self.family_settings(combination.architecture, choose)),
            training=self.training_settings(choose, combination.encoding, combination.architecture),
            pruning=combination.pruning,
            pruning_settings=dict(
                self.pruning_settings(combination.architecture, combination.pruning, choose)
            ),
            precision=combination.precision,
            runtime=combination.runtime,
            seed=seed,
        )

    def _branch(self, name: str, choose: Choose) -> PrefixedChoice:
        return PrefixedChoice(RestrictedChoice(choose, self.restrictions), name)


def choose_candidate(problem: Problem, size: Size, choose: Choose, seed: int) -> Candidate:
    """Ask for a candidate of a problem's whole space."""
    return Space(problem).choose_candidate(size, choose, seed)
