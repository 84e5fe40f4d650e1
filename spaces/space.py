"""The space of candidates: encoding x architecture x pruning x precision x runtime, and settings.

The combinations are finite and listed; those that can't be deployed are excluded with a reason.
Which settings exist depends on the combination, and a parameter's name begins with what it belongs
to, as in `mlp.width`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import product

from problems import Choose, Encoding, Layout, Problem, Settings, Size, Target, UserError
from problems.interfaces.types import Option, Remembers, RollsForward
from spaces import pruning as prunings
from spaces.availability import deployment_refusal, trainable_arithmetics
from spaces.candidate import Arithmetic, Candidate, Precision, Pruning, Training
from spaces.combinations import Combination, CombinationSpace
from spaces.ensemble import AVERAGED_TARGETS
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.restrictions import RestrictedChoice, Restrictions

UNRESTRICTED = Restrictions()

AVERAGING_SPANS = (0.0, 0.05)
"""Shares of the steps so far over which weights are averaged; 0 means no averaging. For perceptrons
trained for 1,000 and 4,000 steps, spans of 0.02 to 0.1 reduced the error by up to a fifth halfway
and not at all once the learning rate had fallen; a span of 0.2 lagged behind."""

INPUT_NOISE_STDS = (0.0, 0.003, 0.03, 0.3)
"""Standard deviations of input noise in scaled units, a decade apart; 0 means no noise. The
smallest is the error of one step of an accurate surrogate. On `planets`, with few training systems,
the largest reduced the error of a perceptron by a quarter at the last epoch, a fiftieth at the best
epoch; an LSTM's error hardly changed."""

UNROLL_LENGTHS = (1, 2, 4)
"""Numbers of successive calls in an unrolled loss."""

AUGMENTATION_COPIES = (0, 1, 3)
"""Transformed copies of each training sample: twice and four times as many samples."""

LABELLED_SAMPLES, LABELLED_PATHS = (0, 2048, 8192), (0, 512)
"""Further training samples whose outputs the best standard baseline predicts, and those of
roll-outs, where it is the best that predicts steps; 0 means none."""

LABEL_SMOOTHINGS = (0.0, 0.05, 0.1)
"""Shares of the probability that targets give to all classes alike (Szegedy et al., CVPR 2016,
2818, who take 0.1); 0 leaves labels as they are."""

DROPOUT_RATES = (0.0, 0.1, 0.3)
"""Shares of the inputs of linear layers that are dropped in training on a label; Srivastava et al.
(JMLR 15 (2014) 1929) take 0.5 in networks of thousands of units, ours have tens or hundreds."""

UNUSED_TRAINING = Training(learning_rate=1e-3, batch_size=256, weight_decay=1e-4)
"""What candidates of solved families hold in place of settings of a training, which they ignore."""


@dataclass(frozen=True)
class PrefixedChoice:
    """Chooses settings whose parameter names begin with a prefix."""

    choose: Choose
    name: str

    def categorical(self, name: str, options: Sequence[Option]) -> Option:
        """Return one of the options."""
        return self.choose.categorical(f"{self.name}.{name}", options)

    def integer(self, name: str, low: int, high: int, *, step: int = 1) -> int:
        """Return an integer in [low, high].

        Args:
            name: The setting's name, without the prefix.
            low: Smallest integer.
            high: Largest integer.
            step: Difference of neighbouring integers.
        """
        return self.choose.integer(f"{self.name}.{name}", low, high, step=step)

    def real(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """Return a real number in [low, high].

        Args:
            name: The setting's name, without the prefix.
            low: Smallest number.
            high: Largest number.
            log: Whether numbers are drawn uniformly on a logarithmic scale.
        """
        return self.choose.real(f"{self.name}.{name}", low, high, log=log)


def available_families(encoding: Encoding) -> list[str]:
    """Return the families that can be trained here for an encoding's layout and target."""
    return [name for name in compatible_families(encoding) if not missing_module(name)]


def compatible_families(encoding: Encoding) -> list[str]:
    """Return the families that serve an encoding's layout and target, installed or not."""
    pair = (encoding.layout, encoding.target)
    return [name for name in ARCHITECTURES if pair in ARCHITECTURES[name].serves]


def missing_module(architecture: str) -> str:
    """Return the module that a family needs and that isn't installed, or an empty text."""
    module = ARCHITECTURES[architecture].needs
    return module if module and find_spec(module) is None else ""


def supported_encodings(problem: Problem) -> list[str]:
    """Return the names of the encodings that at least one family serves.

    Raises:
        UserError: There are none.
    """
    names = [name for name, encoding in problem.encodings.items() if available_families(encoding)]
    if not names:
        kinds = ", ".join(
            f"{name} ({encoding.layout}, {encoding.target})"
            for name, encoding in problem.encodings.items()
        )
        raise UserError(
            f"problem {problem.name!r}: no family of networks serves its encodings ({kinds}); "
            "add one of layout flat with target value"
        )
    return names


def incompatibility(
    architecture: str, pruning: Pruning, runtime: str, precision: Precision
) -> str | None:
    """Return why a network can't be deployed in this way, or None if it can.

    Args:
        architecture: The network's family.
        pruning: How it is pruned.
        runtime: The runtime that executes it.
        precision: Its number format.
    """
    unsuited = ARCHITECTURES[architecture].unsuited
    for option in (pruning, runtime, precision, f"{runtime} {precision}"):
        if option in unsuited:
            return unsuited[option]
    return deployment_refusal((pruning, runtime, precision))


def deployable_combinations(problem: Problem) -> list[Combination]:
    """Return all combinations that can be deployed on this machine."""
    return [
        Combination(name, family, *deployment)
        for name, encoding in problem.encodings.items()
        for family in available_families(encoding)
        for deployment in family_deployments(family)
    ]


def family_deployments(family: str) -> list[tuple[Pruning, str, Precision]]:
    """Return the deployments of a family's networks that this machine supports."""
    return [
        (pruning, runtime, precision)
        for pruning, runtime, precision in product(Pruning, RUNTIMES, Precision)
        if incompatibility(family, pruning, runtime, precision) is None
    ]


def main_incompatibility(problem: Problem, restrictions: Restrictions) -> str:
    """Return the most frequent reason why none of the restricted combinations can be deployed.

    Runtimes that aren't available here are ignored, unless the restrictions name runtimes.
    """
    present = {combination.runtime for combination in deployable_combinations(problem)}
    runtimes = [name for name in RUNTIMES if name in present or "runtime" in restrictions.keep]
    pairs = [
        (name, family)
        for name, encoding in problem.encodings.items()
        for family in available_families(encoding)
    ]
    reasons = Counter(
        incompatibility(family, *deployment)
        for (name, family), deployment in product(pairs, product(Pruning, runtimes, Precision))
        if restrictions.allows(Combination(name, family, *deployment))
    )
    if reasons:
        return str(reasons.most_common(1)[0][0])
    kinds = (f"{name} is {e.layout}, {e.target}" for name, e in problem.encodings.items())
    return f"no encoding has a suitable layout and target ({'; '.join(kinds)})"


def _labelled_samples(choose: Choose, *, rolls: bool) -> dict[str, int]:
    """Return the chosen number of further samples that a teacher labels, by its setting.

    Args:
        choose: Chooses the number.
        rolls: Whether the encoding is rolled out.
    """
    name, options = ("labelled_paths", LABELLED_PATHS) if rolls else ("labelled", LABELLED_SAMPLES)
    return {name: choose.categorical(name, options)}


def pruning_prefix(family: str, pruning: Pruning) -> str:
    """Return the prefix of the parameters of a pruning, as in `mlp.structured`."""
    return f"{family}.{pruning}"


@dataclass(frozen=True)
class Space:
    """The candidates for a problem on this machine.

    Args:
        problem: The problem.
        restrictions: Resolved restrictions of the space.
    """

    problem: Problem
    restrictions: Restrictions = UNRESTRICTED

    @cached_property
    def combination_space(self) -> CombinationSpace:
        """All combinations that can be deployed and are kept."""
        return CombinationSpace(
            [
                combination
                for combination in deployable_combinations(self.problem)
                if self.restrictions.allows(combination)
            ]
        )

    def encoding_settings(self, encoding: str, choose: Choose) -> Settings:
        """Return chosen settings of an encoding."""
        return self.problem.encodings[encoding].settings(self._prefixed(encoding, choose))

    def family_settings(self, family: str, choose: Choose) -> Settings:
        """Return chosen settings of a family."""
        return ARCHITECTURES[family].settings(self._prefixed(family, choose))

    def pruning_settings(self, family: str, pruning: Pruning, choose: Choose) -> Settings:
        """Return chosen settings of a pruning.

        Args:
            family: The family whose networks are pruned.
            pruning: The kind of pruning.
            choose: Chooses the settings.
        """
        return prunings.settings(pruning, self._prefixed(pruning_prefix(family, pruning), choose))

    def training_kind(self, encoding: str, family: str) -> tuple[bool, bool, bool, bool, bool]:
        """Return what determines which settings training has.

        These are whether the family trains a policy, whether it is solved, whether the encoding is
        rolled out, whether the family may learn from further samples that a standard baseline
        predicts, and whether the target is a label. Further samples aren't free in an encoding that
        runs something for each of them.
        """
        unfitted, architecture = self.problem.encodings[encoding], ARCHITECTURES[family]
        rolls = isinstance(unfitted, RollsForward)
        flat = unfitted.layout is Layout.FLAT and unfitted.target in AVERAGED_TARGETS
        free = flat and not isinstance(unfitted, Remembers)
        teachable = unfitted.target is Target.VALUE if rolls else free
        fitted = teachable and self.problem.standard_baselines
        has_teacher = fitted and architecture.learns_from_teacher
        is_label = unfitted.target is Target.LABEL
        return architecture.trains_policy, architecture.solved, rolls, has_teacher, is_label

    def training_settings(self, choose: Choose, encoding: str, family: str) -> Training:
        """Return chosen settings of the training.

        RL training has fewer settings: its library determines the rest. A family that is solved
        has none but those of further pairs.

        Args:
            choose: Chooses the settings.
            encoding: The encoding's name.
            family: The family's name.
        """
        prefixed = self._prefixed("training", choose)
        trains_policy, solved, rolls, has_teacher, is_label = self.training_kind(encoding, family)
        labelled = _labelled_samples(prefixed, rolls=rolls) if has_teacher else {}
        if solved:
            return UNUSED_TRAINING.model_copy(update=labelled | self._augmentation(prefixed))
        training = Training(
            learning_rate=prefixed.real("learning_rate", 3e-4, 1e-2, log=True),
            batch_size=prefixed.categorical("batch_size", (128, 256, 512)),
            weight_decay=prefixed.real("weight_decay", 1e-6, 1e-2, log=True),
        )
        if trains_policy:
            return training
        further: dict[str, Arithmetic | float] = {
            "arithmetic": Arithmetic(
                prefixed.categorical("arithmetic", [*map(str, trainable_arithmetics())])
            ),
            "averaging": prefixed.categorical("averaging", AVERAGING_SPANS),
            "input_noise": prefixed.categorical("input_noise", INPUT_NOISE_STDS),
        }
        if rolls:
            further["unrolled"] = prefixed.categorical("unrolled", UNROLL_LENGTHS)
        if is_label:
            further["label_smoothing"] = prefixed.categorical("label_smoothing", LABEL_SMOOTHINGS)
            further["class_weights"] = prefixed.categorical("class_weights", (False, True))
            further["dropout"] = prefixed.categorical("dropout", DROPOUT_RATES)
            further["temperature"] = prefixed.categorical("temperature", (False, True))
        return training.model_copy(update=further | labelled | self._augmentation(prefixed))

    def _augmentation(self, choose: Choose) -> dict[str, int]:
        """Return the chosen augmentation, where the problem declares symmetries."""
        if not self.problem.symmetries:
            return {}
        return {"augmented": choose.categorical("augmented", AUGMENTATION_COPIES)}

    def choose_candidate(self, size: Size, choose: Choose, seed: int) -> Candidate:
        """Return a chosen candidate: first its combination, then its settings.

        Args:
            size: Size of the problem.
            choose: Chooses the combination and the settings.
            seed: Seed of initialisation and batches.
        """
        return self.choose_settings(self.combination_space.choose(choose), size, choose, seed)

    def choose_settings(
        self, combination: Combination, size: Size, choose: Choose, seed: int
    ) -> Candidate:
        """Return a candidate of a combination with chosen settings.

        Args:
            combination: The combination.
            size: Size of the problem.
            choose: Chooses the settings.
            seed: Seed of initialisation and batches.
        """
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

    def _prefixed(self, name: str, choose: Choose) -> PrefixedChoice:
        return PrefixedChoice(RestrictedChoice(choose, self.restrictions), name)


def choose_candidate(problem: Problem, size: Size, choose: Choose, seed: int) -> Candidate:
    """Return a chosen candidate of a problem's unrestricted space.

    Args:
        problem: The problem.
        size: Size of the problem.
        choose: Chooses the combination and the settings.
        seed: Seed of initialisation and batches.
    """
    return Space(problem).choose_candidate(size, choose, seed)
