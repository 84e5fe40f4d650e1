"""The next network of a search, once its opening is dealt: the most promising of many, or TPE's.

Where neither has anything new that is worth its training, what promises least is tried: proposals
are drawn ever more boldly, before what is known is taught again.
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
"""Drawn at random, for each network that is asked for."""

LARGER_STD_FACTORS = (1.0, 3.0, 10.0)
"""Standard deviations that draws spread over, one after the other, where nothing else is left."""


class NetworkSuggestion(NamedTuple):
    """A network to train.

    Args:
        parameters: All of them, with those of its deployment.
        goes_on_with: The trial that was stopped at a rung in training it, if one was.
    """

    parameters: Mapping[str, object]
    resumes: int | None = None


class NetworkSuggester(NamedTuple):
    """Chooses what is trained next by what is known.

    Args:
        space: Where it is looked for.
        spec: What is asked for.
        trials: Those of the run.
        found: What those that ended found.
    """

    space: Space
    spec: Spec
    observations: Observations
    history: History

    def suggest_by_acquisition(
        self, rng: np.random.Generator, std_factor: float = STD_FACTOR
    ) -> NetworkSuggestion | None:
        """Return the network that promises most of many, or of those stopped; None if none does.

        Args:
            rng: Draws proposals, and what they promise.
            boldness: Standard deviations that a draw spreads over.
        """
        proposals: list[Configuration] = []
        for _ in range(PROPOSAL_COUNT):
            drawn = RandomChooser(rng)
            self.space.choose_candidate(self.spec.size, drawn, self.spec.seed)
            values = {name: answer.value for name, answer in drawn.parameter_values.items()}
            proposals.append(
                Configuration(
                    drawn.parameter_values, self.space.combination_space.combination(values)
                )
            )
        chosen = best_configuration(proposals, self.observations, self.history, rng, std_factor)
        if chosen is None:
            return None
        stopped = self.observations.stopped().get(chosen.network_key)
        values = {name: answer.value for name, answer in chosen.parameter_values.items()}
        return NetworkSuggestion(values, stopped and stopped.number)

    def suggest_by_tpe(
        self, samplers: Iterable[IndependentSampler], rng: np.random.Generator
    ) -> NetworkSuggestion:
        """Return what TPE asks for; where that isn't worth training, a bold proposal if there is.

        Args:
            turns: What draws by TPE, turn by turn.
            rng: Draws proposals.
        """
        combination_space = self.space.combination_space
        asked = NetworkSuggestion({})
        for draw in samplers:
            choice = PartialFixedChooser({}, draw)
            self.space.choose_candidate(self.spec.size, choice, self.spec.seed)
            asked = NetworkSuggestion(dict(choice.values))
            network = Configuration(
                choice.parameter_values, combination_space.combination(choice.values)
            )
            if select_trainable(
                [network], self.observations, self.history, combination_space.options("runtime")
            ):
                return asked
        bold = (self.suggest_by_acquisition(rng, each) for each in LARGER_STD_FACTORS)
        return next(filter(None, bold), asked)
