"""Samplers that suggest candidates after the initial design: Optuna's, for a conditional space.

In a conditional space a parameter exists on its branch only. TPE models every group of parameters
that occur together, for those groups that the candidate needs. The genetic algorithms inherit whole
branches from two parents, where Optuna's cross only the parameters that all trials have in common.

Sources: Bergstra et al., NeurIPS 2011, and Watanabe, arXiv:2304.11127 (TPE); Deb et al., IEEE TEVC
2002 (NSGA-II) and 2014 (NSGA-III); Snoek et al., NeurIPS 2012 (Gaussian processes).
"""

import warnings
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

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
"""Trials after which `auto` replaces TPE, whose suggestions take longer with each, by NSGA-II."""

TPE_INTERVAL = 4
"""Of so many candidates, `auto` takes one from TPE and the others by acquisition."""

POPULATION_SIZE = 50
"""Parents of a generation."""


class BranchTPESampler(TPESampler):
    """Multivariate TPE that samples a group of parameters when the first of them is suggested.

    Optuna's sampler samples all groups of the space beforehand. Most of them belong to branches
    that the trial isn't on, and each costs as much as a group that it needs. A sampler serves one
    trial only.
    """

    def __init__(self, *, seed: int) -> None:
        super().__init__(n_startup_trials=0, multivariate=True, group=True, seed=seed)
        self._values: dict[str, Any] = {}
        self._groups: list[dict[str, BaseDistribution]] = []

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002 - Optuna's signature
    ) -> dict[str, BaseDistribution]:
        """Store the groups and return an empty space, so that nothing is sampled beforehand.

        Optuna's own search for groups takes three times as long as all else that TPE does.
        """
        states = (TrialState.COMPLETE, TrialState.PRUNED)
        trials = study.get_trials(deepcopy=False, states=states)
        self._groups = _parameters_in_groups(earlier.distributions for earlier in trials)
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return the value of a parameter; the rest of its group is sampled with it.

        Args:
            study: The study that the sampler learns from.
            trial: The trial that the value is suggested for.
            param_name: Name of the parameter.
            param_distribution: Its distribution.
        """
        if param_name not in self._values:
            group = next((group for group in self._groups if param_name in group), {})
            # Sorted as in Optuna: the hashes of names differ from process to process.
            space = {
                name: distribution
                for name, distribution in sorted(group.items())
                if not distribution.single()
            }
            self._values |= self._sample_relative(study, trial, space)
        if param_name in self._values:
            return self._values[param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)


def _parameters_in_groups(
    trials: Iterable[Mapping[str, BaseDistribution]],
) -> list[dict[str, BaseDistribution]]:
    """Return the groups of parameters that occur in the same trials."""
    branches = {frozenset(distributions): distributions for distributions in trials}
    occurrences: dict[str, list[int]] = {}
    for number, distributions in enumerate(branches.values()):
        for name in distributions:
            occurrences.setdefault(name, []).append(number)
    groups: dict[tuple[int, ...], dict[str, BaseDistribution]] = {}
    distributions = {name: each for branch in branches.values() for name, each in branch.items()}
    for name, numbers in occurrences.items():
        groups.setdefault(tuple(numbers), {})[name] = distributions[name]
    return list(groups.values())


class BranchInheritanceSampler(BaseGASampler):
    """A genetic algorithm whose children inherit whole branches of a conditional space.

    The trials before its first, of the initial design or of another sampler, are its first
    population. A child inherits each parameter from one of two parents. A few parameters are
    sampled at random (mutation), and so are those of branches that neither parent is on.
    """

    JOURNAL_NAME: ClassVar[str]
    """Prefix of the attributes that Optuna stores; by default it is the name of the class.

    It never changes, so that runs of earlier versions can be resumed.
    """

    @classmethod
    def _get_generation_key(cls) -> str:
        return f"{cls.JOURNAL_NAME}:generation"

    @classmethod
    def _get_parent_cache_key_prefix(cls) -> str:
        return f"{cls.JOURNAL_NAME}:parent:"

    def __init__(self, *, seed: int) -> None:
        super().__init__(population_size=POPULATION_SIZE, seed=seed)  # pyright: ignore[reportCallIssue] - Optuna's samplers follow this class in the MRO
        self._inheritance_rng = np.random.default_rng(seed)

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:
        """Return a trial's generation; generation 0 holds the trials before the first."""
        generation = super().get_trial_generation(study, trial)
        if generation == 0:
            generation = 1
            key = self._get_generation_key()
            study._storage.set_trial_system_attr(trial._trial_id, key, generation)  # noqa: SLF001 - as in the base class # pyright: ignore[reportPrivateUsage]
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
        """Return the distributions of all parameters of the parent population."""
        parents = self.get_parent_population(study, self.get_trial_generation(study, trial))
        return {
            name: distribution
            for parent in parents
            for name, distribution in parent.distributions.items()
        }

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters that a child inherits.

        Args:
            study: The study with the parents.
            trial: The child.
            search_space: Distributions of all parameters of the parent population.
        """
        parents = self.get_parent_population(study, self.get_trial_generation(study, trial))
        if len(parents) < 2:
            return {}
        pair = self._inheritance_rng.choice(len(parents), 2, replace=False)
        first, second = (parents[index] for index in pair)
        return self._cross(first.params, second.params, search_space)

    def _cross(
        self, first: Mapping[str, Any], second: Mapping[str, Any], names: Mapping[str, object]
    ) -> dict[str, Any]:
        child: dict[str, Any] = {}
        mutation = 1.0 / max(len(first), len(second))
        for name in names:
            values = [parent[name] for parent in (first, second) if name in parent]
            choice, mutated = self._inheritance_rng.random(2)
            if values and mutated >= mutation:
                child[name] = values[int(choice * len(values))]
        return child


class BranchNSGAIISampler(BranchInheritanceSampler, NSGAIISampler):
    """NSGA-II: parents are selected by non-dominated rank and crowding distance."""

    JOURNAL_NAME = "InheritingNSGA2"


class BranchNSGAIIISampler(BranchInheritanceSampler, NSGAIIISampler):
    """NSGA-III: parents are selected by non-dominated rank and reference points."""

    JOURNAL_NAME = "InheritingNSGA3"


def uses_acquisition(
    name: SamplerName, position: int, trials: int, *, with_care: bool = True
) -> bool:
    """Return whether a candidate is chosen by acquisition, if any proposal has a positive gain.

    Args:
        name: Sampler of the search.
        position: Number of candidates before this one.
        trials: Number of trials in the study.
        with_care: Whether there is time for it.
    """
    if name is SamplerName.AUTO:
        return with_care and trials < MAX_TPE_TRIALS and position % TPE_INTERVAL > 0
    return name is SamplerName.ADDITIVE


def resolve_sampler(name: SamplerName, trials: int, *, with_care: bool = True) -> SamplerName:
    """Return the sampler that is used where acquisition suggests nothing.

    Args:
        name: Sampler of the search.
        trials: Number of trials in the study.
        with_care: Whether there is time for TPE; otherwise `auto` uses NSGA-II.
    """
    if name is SamplerName.AUTO:
        has_time = with_care and trials < MAX_TPE_TRIALS
        return SamplerName.TPE if has_time else SamplerName.NSGA2
    return SamplerName.TPE if name is SamplerName.ADDITIVE else name


def tpe_sampler(study: Study, seed: int) -> IndependentSampler:
    """Return a TPE sampler of the parameters of one trial, which needn't exist yet."""
    with _experimental():
        tpe = BranchTPESampler(seed=seed)
    trial = create_trial(state=TrialState.RUNNING)
    tpe.infer_relative_search_space(study, trial)

    uniform = uniform_sampler(np.random.default_rng(seed))

    def sample(name: str, distribution: BaseDistribution) -> Any:
        # As in Optuna's trials, a parameter with a single value isn't part of the model.
        if distribution.single():
            return uniform(name, distribution)
        return tpe.sample_independent(study, trial, name, distribution)

    return sample


def create_sampler(name: SamplerName, seed: int) -> BaseSampler:
    """Return a sampler for one trial, which suggests one parameter after the other.

    Args:
        name: NSGA-II, NSGA-III or GP.
        seed: Seed of this candidate only: no state is kept from one candidate to the next.

    Raises:
        ValueError: The sampler suggests whole candidates.
    """
    with _experimental():
        if name is SamplerName.NSGA2:
            return BranchNSGAIISampler(seed=seed)
        if name is SamplerName.NSGA3:
            return BranchNSGAIIISampler(seed=seed)
        if name is SamplerName.GP:
            return GPSampler(n_startup_trials=0, seed=seed)
    raise ValueError(f"{name} suggests whole candidates")


@contextmanager
def _experimental() -> Generator[None]:
    """Ignore warnings that a sampler is experimental, until Optuna's stable releases stop them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        yield
