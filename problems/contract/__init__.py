"""What a problem promises, in plain words, and a run of it on any problem: `simstead check`.

The laws are data: the tests run the same ones over every registered problem. They stand in stages;
a stage is tried once all before it hold, so that a slip in a name costs no compute.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from problems.contract import declared, environments, rolled, sampled, simulated, used
from problems.contract.evidence import (
    DrawnChoice,
    Evidence,
    MemorisedNetwork,
    WalkedChoice,
)
from problems.errors import UserError, raised
from problems.problem import Problem
from problems.shards import default_cache

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
            declared.names_are_plain: "Names are plain.",
            declared.fields_are_complete: "Fields have names, units, axes and ranges that fit.",
            declared.simulation_can_be_named: "The simulation has methods and plain parameters.",
            declared.encodings_are_encodings: "Every encoding is one, with a layout and a target.",
            declared.settings_are_fields: "An encoding's settings are its fields.",
            declared.score_names_its_metrics: "Score, baselines and metrics are what they say.",
            declared.sizes_make_sense: "Samples, epochs and deployment make sense.",
            declared.goals_can_be_met: "Goals and profile make sense.",
            declared.recorded_data_are_there: "Recorded data are there, with the declared fields.",
        },
    ),
    **_laws(
        Stage.SIMULATED,
        {
            simulated.runs_as_declared: "A few samples have the declared fields and ranges.",
            simulated.same_seed_same_data: "The same seed gives the same data, another other data.",
            simulated.sample_alone_as_in_batch: "A sample run alone equals the sample in a batch.",
        },
    ),
    **_laws(
        Stage.SAMPLED,
        {
            sampled.values_in_range: "All values are finite and within the declared ranges.",
            sampled.most_samples_succeed: "Few samples fail and none stands twice.",
            sampled.columns_differ: "No field is constant or says what another says.",
            sampled.splits_apart: "No sample stands in two splits.",
            sampled.shifted_lies_outside: "The shifted split lies outside the training range.",
        },
    ),
    **_laws(
        Stage.USED,
        {
            used.reference_scores_zero: "The reference scores zero against itself, errors more.",
            used.baselines_stand_in: "Baselines and ceiling stand in for the reference.",
            used.pairs_well_formed: "Statistics are finite, training pairs finite float32.",
            used.statistics_from_training_alone: "Statistics come from the training split alone.",
            used.decoding_undoes_encoding: "Decoding undoes encoding.",
            used.surrogate_alone_as_in_batch: "A surrogate's sample alone equals it in a batch.",
            rolled.unrolling_follows_the_reference: "Unrolled windows follow the reference.",
            environments.environments_serve_policies: "Policies can practise in environments.",
            environments.reward_prefers_the_reference: "Knowing the reference earns the most.",
            used.travels_to_workers: "The problem travels to workers.",
            used.calibration_runs: "The calibration run runs.",
            used.costs_are_positive: "What a sample costs is a positive number.",
            used.host_runs_with_the_reference: "The host runs with the reference as its kernel.",
            used.pictures_are_facts: "Pictures are drawn from plain facts.",
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
