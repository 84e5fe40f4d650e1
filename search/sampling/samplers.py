"""Who asks for candidates once the opening is dealt: Optuna's samplers, by name.

The space is conditional: a parameter exists on its branch alone. TPE models each group of
parameters that occur together, of those groups that a trial comes to; genetic algorithms here let a
child inherit whole branches from two parents, where Optuna's own cross only what all trials have in
common.

Sources: Bergstra et al., NeurIPS 2011, and Watanabe, arXiv:2304.11127 (TPE); Deb et al., IEEE TEVC
2002 (NSGA-II) and 2014 (NSGA-III); Snoek et al., NeurIPS 2012 (Gaussian processes).
"""

import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    TPESampler,
)
from optuna.samplers._ga import BaseGASampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.run.spec import SamplerName
from search.sampling.choices import IndependentSampler, uniform_sampler

MAX_TPE_TRIALS = 1000
"""So many trials `auto` leaves to TPE, whose asking takes longer with each; then NSGA-II asks."""

TPE_INTERVAL = 4
"""Every so many candidates `auto` asks TPE, the others are the most promising of many."""

POPULATION_SIZE = 50
"""Parents of a generation."""


class BranchTPESampler(TPESampler):
    """Multivariate TPE of the groups of parameters that a trial comes to, one after the other.

    Optuna's own draws every group of the space beforehand: most are of branches that the trial
    isn't on, and each costs as much as those that it is. One such sampler serves one trial.
    """

    def __init__(self, *, seed: int) -> None:
        super().__init__(n_startup_trials=0, multivariate=True, group=True, seed=seed)
        self._drawn: dict[str, Any] = {}
        self._groups: list[dict[str, BaseDistribution]] = []

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Find the groups, and return none of them: nothing is drawn beforehand."""
        super().infer_relative_search_space(study, trial)
        if self._search_space_group:
            self._groups = self._search_space_group.search_spaces
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a parameter; the first one of a group draws the others with it."""
        if param_name not in self._drawn:
            group = next((each for each in self._groups if param_name in each), {})
            # Sorted as Optuna does: the hashes of names differ from process to process.
            space = {name: kind for name, kind in sorted(group.items()) if not kind.single()}
            self._drawn |= self._sample_relative(study, trial, space)
        if param_name in self._drawn:
            return self._drawn[param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)


class BranchInheritanceSampler(BaseGASampler):
    """A genetic algorithm whose children inherit whole branches of a conditional space.

    What was tried before it began, the opening or another sampler's trials, is its first
    population. A child has each parameter from one of two parents, where one of them has it; a few
    are drawn anew, and so are those of a branch that neither parent was on.
    """

    def __init__(self, *, seed: int) -> None:
        super().__init__(population_size=POPULATION_SIZE, seed=seed)  # pyright: ignore[reportCallIssue] - Optuna's own samplers come after this class
        self._draw = np.random.default_rng(seed)

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """Return a trial's generation; generation 0 is what was tried before the first."""
        generation = super().get_trial_generation(study, trial)
        if generation == 0:
            generation = 1
            key = self._get_generation_key()
            study._storage.set_trial_system_attr(trial._trial_id, key, generation)  # noqa: SLF001 - as the class that this extends # pyright: ignore[reportPrivateUsage]
        return generation

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """Return the trials of a generation."""
        if generation > 0:
            return super().get_population(study, generation)
        key = self._get_generation_key()
        trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [trial for trial in trials if key not in trial.system_attrs]

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return every parameter that a parent of the trial has."""
        parents = self.get_parent_population(study, self.get_trial_generation(study, trial))
        return {name: kind for each in parents for name, kind in each.distributions.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return what a child inherits."""
        parents = self.get_parent_population(study, self.get_trial_generation(study, trial))
        if len(parents) < 2:
            return {}
        first, second = (parents[i] for i in self._draw.choice(len(parents), 2, replace=False))
        return self._inherited(first.params, second.params, search_space)

    def _inherited(
        self, first: Mapping[str, Any], second: Mapping[str, Any], names: Mapping[str, object]
    ) -> dict[str, Any]:
        child: dict[str, Any] = {}
        mutation = 1.0 / max(len(first), len(second))
        for name in names:
            having = [parent[name] for parent in (first, second) if name in parent]
            chosen, mutated = self._draw.random(2)
            if having and mutated >= mutation:
                child[name] = having[int(chosen * len(having))]
        return child


class BranchNSGAIISampler(BranchInheritanceSampler, NSGAIISampler):
    """NSGA-II: parents by non-dominated rank and crowding."""


class BranchNSGAIIISampler(BranchInheritanceSampler, NSGAIIISampler):
    """NSGA-III: parents by non-dominated rank and reference points."""


def uses_acquisition(name: SamplerName, position: int, trials: int) -> bool:
    """Return whether a candidate is to be the most promising of many, if one promises anything.

    Args:
        name: As the search was given it.
        position: How many candidates were asked for before.
        trials: How many trials there are.
    """
    if name is SamplerName.AUTO:
        return trials < MAX_TPE_TRIALS and position % TPE_INTERVAL > 0
    return name is SamplerName.ADDITIVE


def resolve_sampler(name: SamplerName, trials: int) -> SamplerName:
    """Return whose turn it is where no candidate is settled.

    Args:
        name: As the search was given it.
        trials: How many there are.
    """
    if name is SamplerName.AUTO:
        return SamplerName.TPE if trials < MAX_TPE_TRIALS else SamplerName.NSGA2
    return SamplerName.TPE if name is SamplerName.ADDITIVE else name


def tpe_sampler(study: Study, seed: int) -> IndependentSampler:
    """Return what draws by TPE, for one trial that isn't there yet."""
    with _experimental():
        tpe = BranchTPESampler(seed=seed)
    trial = create_trial(state=TrialState.RUNNING)
    tpe.infer_relative_search_space(study, trial)

    alone = uniform_sampler(np.random.default_rng(seed))

    def draw(name: str, kind: BaseDistribution) -> Any:
        # As Optuna's own trial: what can't be but one thing has no part in what is learned.
        draws = alone if kind.single() else partial(tpe.sample_independent, study, trial)
        return draws(name, kind)

    return draw


def create_sampler(name: SamplerName, seed: int) -> BaseSampler:
    """Return the sampler of a trial that is asked for one parameter after the other.

    Args:
        name: NSGA-II, NSGA-III or GP.
        seed: Of this candidate alone: a sampler keeps no state from one to the next.
    """
    with _experimental():
        if name is SamplerName.NSGA2:
            return BranchNSGAIISampler(seed=seed)
        if name is SamplerName.NSGA3:
            return BranchNSGAIIISampler(seed=seed)
        if name is SamplerName.GP:
            return GPSampler(n_startup_trials=0, seed=seed)
    raise ValueError(f"{name} asks for whole candidates")


@contextmanager
def _experimental() -> Generator[None]:
    """Don't say of some that they are; remove when Optuna's stable releases no longer do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
