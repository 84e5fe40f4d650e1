"""A candidate as the samplers see it: its parameters, what decides its network, its effects.

log10 of a network's error and log10 of its time are each modelled as a sum of effects.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property

from problems import Scalar
from search.sampling.choices import ParameterValue
from search.sampling.linear_model import Features
from spaces.combinations import DIMENSIONS, Combination

INTERCEPT_STD = 3.0
MAIN_EFFECT_STD, INTERACTION_STD, SETTING_STD, FAMILY_SETTING_STD = 0.6, 0.5, 0.3, 0.2
"""Prior standard deviations of effects on the error, in powers of ten: of the intercept, of an
encoding or a family, of both together, of a setting, of a training setting within one family."""

TIME_EFFECT_STD = {
    "encoding": 1.0,
    "architecture": 0.7,
    "runtime": 0.5,
    "family": 0.3,
    "setting": 0.4,
}
"""Prior standard deviations of effects on the time, in powers of ten."""

NetworkKey = frozenset[tuple[str, Scalar]]
"""The parameters that decide a trained network: all but those of its deployment."""


@dataclass(frozen=True)
class Configuration:
    """A candidate by its parameters.

    Args:
        parameter_values: Values by parameter names.
        combination: The candidate's combination.
    """

    parameter_values: Mapping[str, ParameterValue]
    combination: Combination

    @cached_property
    def _settings_by_branch(self) -> dict[str, dict[str, ParameterValue]]:
        branches: dict[str, dict[str, ParameterValue]] = defaultdict(dict)
        for name, value in self.parameter_values.items():
            branch, _, last = name.rpartition(".")
            if last not in DIMENSIONS:
                branches[branch][name] = value
        return branches

    def settings(self, *branches: str) -> dict[str, ParameterValue]:
        """Return the settings on some branches, without the combination and deeper branches."""
        settings = self._settings_by_branch
        return {
            name: value for branch in branches for name, value in settings.get(branch, {}).items()
        }

    @cached_property
    def network_key(self) -> NetworkKey:
        """The parameters that decide the trained network."""
        combination = self.combination
        settings = self.settings(combination.encoding, combination.architecture, "training")
        parameters: dict[str, Scalar] = {
            "encoding": combination.encoding,
            "architecture": combination.architecture,
        }
        parameters |= {name: setting.value for name, setting in settings.items()}
        return frozenset(parameters.items())

    @cached_property
    def error_features(self) -> Features:
        """The effects that add up to log10 of the trained network's error."""
        combination = self.combination
        features: dict[Hashable, float] = {
            "any": INTERCEPT_STD,
            ("encoding", combination.encoding): MAIN_EFFECT_STD,
            ("architecture", combination.architecture): MAIN_EFFECT_STD,
            ("both", combination.encoding, combination.architecture): INTERACTION_STD,
        }
        training = self.settings("training")
        settings = self.settings(combination.encoding, combination.architecture) | training
        for name, value in settings.items():
            features |= _setting_features(name, value, SETTING_STD)
        for name, value in training.items():
            family_setting = (combination.architecture, name)
            features |= _setting_features(family_setting, value, FAMILY_SETTING_STD)
        return features

    @cached_property
    def time_features(self) -> Features:
        """The effects that add up to log10 of the network's relative time."""
        combination = self.combination
        encoding, family = combination.encoding, combination.architecture
        deployment = (combination.runtime, combination.precision)
        features: dict[Hashable, float] = {
            "any": INTERCEPT_STD,
            ("encoding", encoding): TIME_EFFECT_STD["encoding"],
            ("architecture", encoding, family): TIME_EFFECT_STD["architecture"],
            ("runtime", *deployment): TIME_EFFECT_STD["runtime"],
            ("family", family, *deployment): TIME_EFFECT_STD["family"],
            ("pruning", combination.pruning): TIME_EFFECT_STD["family"],
        }
        for name, value in self.settings(encoding, family).items():
            features |= _setting_features(name, value, TIME_EFFECT_STD["setting"])
        return features


def _setting_features(name: Hashable, setting: ParameterValue, std: float) -> dict[Hashable, float]:
    """Return the effects of a setting: one per option, or a slope and a curvature of a number."""
    if setting.normalised_value is None:
        return {(name, str(setting.value)): std}
    return {
        (name, "slope"): std * setting.normalised_value,
        (name, "bend"): std * setting.normalised_value**2,
    }
