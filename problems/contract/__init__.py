"""What a problem promises, in plain words, and a run of it on any problem: `simstead check`.

The laws are data: the tests run the same ones over every registered problem. They stand in stages;
a stage is tried once all before it hold, so that a slip in a name costs no compute.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from problems.contract import components, declarations, environments, rollout, samples, simulation
from problems.contract.evidence import (
    DrawnChoice,
    Evidence,
    MemorisedNetwork,
    WalkedChoice,
)
from problems.data.shards import default_cache
from problems.errors import UserError, raised
from problems.interfaces.problem import Problem

__all__ = [
    "LAWS",
    "DrawnChoice",
    "Evidence",
    "Law",
    "MemorisedNetwork",
    "Stage",
    "Verdict",
    "WalkedChoice",
    "examine",
    "refuse_undeclared",
]


class Stage(StrEnum):
    """How much a law needs: nothing, a few samples, data, data and what is built on them."""

    DECLARED = "declared"
    SIMULATED = "simulated"
    SAMPLED = "sampled"
    USED = "used"


@dataclass(frozen=True)
class Law:
    """One promise: what it says and how it is tried; `broken` yields a message per breach."""

    stage: Stage
    says: str
    broken: Callable[[Evidence], Iterator[str]]

    def breaches(self, evidence: Evidence) -> list[str]:
        """Return what breaks it; an exception of the problem's own code is a breach too."""
        found: list[str] = []
        try:
            with np.errstate(all="ignore"):  # what isn't finite is told in words
                found.extend(self.broken(evidence))
        except UserError as error:
            found.append(str(error))
        except Exception as error:  # noqa: BLE001 - a user's code: whatever it raises is told
            found.append(f"it could not be tried: {raised(error)}")
        return list(dict.fromkeys(found))


class Verdict(NamedTuple):
    """A law, whether it was tried, and what breaks it."""

    law: Law
    tried: bool
    breaches: list[str]


def _laws(stage: Stage, said: Mapping[Callable[[Evidence], Iterator[str]], str]) -> dict[str, Law]:
    return {law.__name__: Law(stage, says, law) for law, says in said.items()}


LAWS: Mapping[str, Law] = {
    **_laws(
        Stage.DECLARED,
        {
            declarations.names_are_plain: "Names are plain.",
            declarations.fields_are_complete: "Fields have names, units, axes and ranges that fit.",
            declarations.simulation_can_be_named: "A simulation has methods, plain parameters.",
            declarations.encodings_are_encodings: "An encoding has a layout and a target.",
            declarations.settings_are_fields: "An encoding's settings are its fields.",
            declarations.score_names_its_metrics: "Score, baselines and metrics are what they say.",
            declarations.sizes_make_sense: "Samples, epochs and deployment make sense.",
            declarations.goals_can_be_met: "Goals and profile make sense.",
            declarations.recorded_data_are_there: "Recorded data have the declared fields.",
        },
    ),
    **_laws(
        Stage.SIMULATED,
        {
            simulation.runs_as_declared: "A few samples have the declared fields and ranges.",
            simulation.same_seed_same_data: "Equal seeds give equal data, others others.",
            simulation.sample_alone_as_in_batch: "A sample run alone equals the sample in a batch.",
        },
    ),
    **_laws(
        Stage.SAMPLED,
        {
            samples.values_in_range: "All values are finite and within the declared ranges.",
            samples.most_samples_succeed: "Few samples fail and none stands twice.",
            samples.columns_differ: "No field is constant or says what another says.",
            samples.splits_apart: "No sample stands in two splits.",
            samples.shifted_lies_outside: "The shifted split lies outside the training range.",
        },
    ),
    **_laws(
        Stage.USED,
        {
            components.reference_scores_zero: "The reference scores zero, errors score more.",
            components.baselines_stand_in: "Baselines and ceiling stand in for the reference.",
            components.pairs_well_formed: "Statistics are finite, training pairs finite float32.",
            components.statistics_from_training_alone: "Statistics come from training data alone.",
            components.decoding_undoes_encoding: "Decoding undoes encoding.",
            components.surrogate_alone_as_in_batch: "A sample alone equals itself in a batch.",
            rollout.unrolling_follows_the_reference: "Unrolled windows follow the reference.",
            environments.environments_serve_policies: "Policies can practise in environments.",
            environments.reward_prefers_the_reference: "Knowing the reference earns the most.",
            components.travels_to_workers: "The problem travels to workers.",
            components.calibration_runs: "The calibration run runs.",
            components.costs_are_positive: "What a sample costs is a positive number.",
            components.host_runs_with_the_reference: "The host runs with the reference in it.",
            components.pictures_are_facts: "Pictures are drawn from plain facts.",
        },
    ),
}


def examine(evidence: Evidence) -> Iterator[Verdict]:
    """Try every law, stage by stage; those of later stages stay untried once a stage is broken."""
    broken: Stage | None = None
    for law in LAWS.values():
        tried = broken in {None, law.stage}
        breaches = law.breaches(evidence) if tried else []
        if breaches:
            broken = law.stage
        yield Verdict(law, tried, breaches)


def refuse_undeclared(problem: Problem) -> None:
    """Try the laws that need no compute.

    Raises:
        UserError: One is broken; says which, and that `simstead check` says more.
    """
    evidence = Evidence(problem, cache=default_cache())
    for law in LAWS.values():
        if law.stage is Stage.DECLARED:
            for words in law.breaches(evidence):
                raise UserError(f"problem {problem.name!r}: {words} (`simstead check` says all)")
