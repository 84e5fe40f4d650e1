"""A candidate as the sampler sees it: its answers, what of it decides the network, its effects.

An effect is a term of the sums that log10 of a network's error and of its time are taken as.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

from problems import Scalar
from search.sampling.choices import ParameterValue
from search.sampling.linear_model import Effects
from spaces.combinations import DIMENSIONS, Combination

INTERCEPT_STD = 3.0
MAIN_EFFECT_STD, INTERACTION_STD, SETTING_STD, FAMILY_SETTING_STD = 0.6, 0.5, 0.3, 0.2
"""Standard deviations of effects on the error, in powers of ten: of anything, of an encoding or a
family, of both together, of a setting, of what a setting of training does to one family."""

TIME_EFFECT_STD = {
    "encoding": 1.0,
    "architecture": 0.7,
    "runtime": 0.5,
    "family": 0.3,
    "setting": 0.4,
}
"""Standard deviations of effects on the time, in powers of ten."""

NetworkKey = frozenset[tuple[str, Scalar]]
"""The parameters that decide a network once it is trained: all but those of its deployment."""


@dataclass(frozen=True)
class Configuration:
    """A candidate by its answers.

    Args:
        answers: By the names of the parameters.
        cell: What of the skeleton it is.
    """

    parameter_values: Mapping[str, ParameterValue]
    combination: Combination

    @cached_property
    def _by_branch(self) -> dict[str, dict[str, ParameterValue]]:
        history: dict[str, dict[str, ParameterValue]] = defaultdict(dict)
        for name, answer in self.parameter_values.items():
            branch, _, last = name.rpartition(".")
            if last not in DIMENSIONS:
                history[branch][name] = answer
        return history

    def settings(self, *branches: str) -> dict[str, ParameterValue]:
        """Return the answers on some branches, without the skeleton's and those further out."""
        known = self._by_branch
        return {n: answer for each in branches for n, answer in known.get(each, {}).items()}

    @cached_property
    def network_key(self) -> NetworkKey:
        """What the network is taught, and by which encoding."""
        combination = self.combination
        settings = self.settings(combination.encoding, combination.architecture, "training")
        chosen: dict[str, Scalar] = {
            "encoding": combination.encoding,
            "architecture": combination.architecture,
        }
        return frozenset((chosen | {n: answer.value for n, answer in settings.items()}).items())

    @cached_property
    def error_features(self) -> Effects:
        """The effects that add up to the network's error once it is trained."""
        combination = self.combination
        effects: dict[Hashable, float] = {
            "any": INTERCEPT_STD,
            ("encoding", combination.encoding): MAIN_EFFECT_STD,
            ("architecture", combination.architecture): MAIN_EFFECT_STD,
            ("both", combination.encoding, combination.architecture): INTERACTION_STD,
        }
        training = self.settings("training")
        for name, answer in (
            self.settings(combination.encoding, combination.architecture) | training
        ).items():
            effects |= _setting_features(name, answer, SETTING_STD)
        for name, answer in training.items():
            effects |= _setting_features(
                (combination.architecture, name), answer, FAMILY_SETTING_STD
            )
        return effects

    @cached_property
    def time_features(self) -> Effects:
        """The effects that add up to the network's time."""
        combination = self.combination
        deployment = (combination.runtime, combination.precision)
        effects: dict[Hashable, float] = {
            "any": INTERCEPT_STD,
            ("encoding", combination.encoding): TIME_EFFECT_STD["encoding"],
            ("architecture", combination.encoding, combination.architecture): TIME_EFFECT_STD[
                "architecture"
            ],
            ("runtime", *deployment): TIME_EFFECT_STD["runtime"],
            ("family", combination.architecture, *deployment): TIME_EFFECT_STD["family"],
            ("pruning", combination.pruning): TIME_EFFECT_STD["family"],
        }
        for name, answer in self.settings(combination.encoding, combination.architecture).items():
            effects |= _setting_features(name, answer, TIME_EFFECT_STD["setting"])
        return effects


def _setting_features(
    name: Hashable, answer: ParameterValue, spread: float
) -> dict[Hashable, float]:
    """Return a setting's effects: of a choice its own, of a number a slope and a bend."""
    if answer.normalised_value is None:
        return {(name, str(answer.value)): spread}
    return {
        (name, "slope"): spread * answer.normalised_value,
        (name, "bend"): spread * answer.normalised_value**2,
    }
