"""Suggests the next network after the initial design: by acquisition or by TPE.

Where neither suggests a new network that is worth training, networks are sampled with ever larger
standard deviations before one is trained that was trained already.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from search.run.spec import Spec
from search.sampling.acquisition import STD_FACTOR, best_configuration, select_trainable
from search.sampling.choices import IndependentSampler, PartialFixedChooser, RandomChooser
from search.sampling.configuration import Configuration
from search.sampling.history import History, Observations
from spaces.space import Space

PROPOSAL_COUNT = 128
"""Random proposals for each suggestion."""

LARGER_STD_FACTORS = (1.0, 3.0, 10.0)
"""Factors of the posterior's standard deviations, tried in turn where nothing else is left."""


class NetworkSuggestion(NamedTuple):
    """A network to train.

    Args:
        parameters: All its parameters, including those of its deployment.
        resumes: The trial whose stopped training is resumed, if any.
    """

    parameters: Mapping[str, object]
    resumes: int | None = None


class NetworkSuggester(NamedTuple):
    """Suggests the network to train next.

    Args:
        space: The search space.
        spec: The specification of the run.
        observations: The trials that the effects model learns from.
        history: The finished trials.
    """

    space: Space
    spec: Spec
    observations: Observations
    history: History

    def suggest_by_acquisition(
        self, rng: np.random.Generator, std_factor: float = STD_FACTOR
    ) -> NetworkSuggestion | None:
        """Return the random proposal or stopped training with the largest gain in hypervolume.

        Returns None where no gain is positive.

        Args:
            rng: Generator of the proposals and of the model's sample.
            std_factor: Factor by which the posterior's standard deviations are multiplied.
        """
        if not self.history.points:  # no proposal would be chosen
            return None
        proposals: list[Configuration] = []
        for _ in range(PROPOSAL_COUNT):
            chooser = RandomChooser(rng)
            self.space.choose_candidate(self.spec.size, chooser, self.spec.seed)
            combination = self.space.combination_space.combination(_values(chooser))
            proposals.append(Configuration(chooser.parameter_values, combination))
        best = best_configuration(proposals, self.observations, self.history, rng, std_factor)
        if best is None:
            return None
        stopped = self.observations.resumable_trainings().get(best.network_key)
        return NetworkSuggestion(_values(best), stopped and stopped.number)

    def suggest_by_tpe(
        self, samplers: Iterable[IndependentSampler], rng: np.random.Generator
    ) -> NetworkSuggestion:
        """Return the first suggestion of TPE that is worth training.

        Where there is none, a proposal sampled with a larger standard deviation is returned or,
        where that fails too, the last suggestion of TPE.

        Args:
            samplers: TPE samplers, one for each attempt.
            rng: Generator of the proposals.
        """
        combination_space = self.space.combination_space
        suggestion = NetworkSuggestion({})
        for sampler in samplers:
            chooser = PartialFixedChooser({}, sampler)
            self.space.choose_candidate(self.spec.size, chooser, self.spec.seed)
            suggestion = NetworkSuggestion(dict(chooser.parameters))
            combination = combination_space.combination(chooser.parameters)
            network = Configuration(chooser.parameter_values, combination)
            runtimes = combination_space.options("runtime")
            if select_trainable([network], self.observations, self.history, runtimes):
                return suggestion
        exploratory = (self.suggest_by_acquisition(rng, factor) for factor in LARGER_STD_FACTORS)
        return next(filter(None, exploratory), suggestion)


def _values(choices: RandomChooser | Configuration) -> dict[str, object]:
    return {name: parameter.value for name, parameter in choices.parameter_values.items()}
