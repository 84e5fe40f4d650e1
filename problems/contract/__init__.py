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
    CyclicChoice,
    Evidence,
    MemorisedNetwork,
    RandomChoice,
)
from problems.data.shards import default_cache
from problems.errors import UserError, describe_error
from problems.interfaces.problem import Problem

__all__ = [
    "CHECKS",
    "RandomChoice",
    "Evidence",
    "ContractCheck",
    "MemorisedNetwork",
    "CheckStage",
    "CheckResult",
    "CyclicChoice",
    "run_checks",
    "check_declarations",
]


class CheckStage(StrEnum):
    """How much a law needs: nothing, a few samples, data, data and what is built on them."""

    DECLARATIONS = "declared"
    SIMULATION = "simulated"
    SAMPLES = "sampled"
    COMPONENTS = "used"


@dataclass(frozen=True)
class ContractCheck:
    """One promise: what it says and how it is tried; `broken` yields a message per breach."""

    stage: CheckStage
    description: str
    broken: Callable[[Evidence], Iterator[str]]

    def violations(self, evidence: Evidence) -> list[str]:
        """Return what breaks it; an exception of the problem's own code is a breach too."""
        found: list[str] = []
        try:
            with np.errstate(all="ignore"):  # what isn't finite is told in words
                found.extend(self.broken(evidence))
        except UserError as error:
            found.append(str(error))
        except Exception as error:  # noqa: BLE001 - a user's code: whatever it raises is told
            found.append(f"it could not be tried: {describe_error(error)}")
        return list(dict.fromkeys(found))


class CheckResult(NamedTuple):
    """A law, whether it was tried, and what breaks it."""

    check: ContractCheck
    was_run: bool
    violations: list[str]


def _laws(
    stage: CheckStage, said: Mapping[Callable[[Evidence], Iterator[str]], str]
) -> dict[str, ContractCheck]:
    return {
        check.__name__: ContractCheck(stage, description, check)
        for check, description in said.items()
    }


CHECKS: Mapping[str, ContractCheck] = {
    **_laws(
        CheckStage.DECLARATIONS,
        {
            declarations.names_are_valid: "Names are plain.",
            declarations.fields_are_complete: "Fields have names, units, axes and ranges that fit.",
            declarations.simulation_is_identifiable: "A simulation has methods, plain parameters.",
            declarations.encodings_are_valid: "An encoding has a layout and a target.",
            declarations.settings_are_fields: "An encoding's settings are its fields.",
            declarations.score_and_metrics_are_valid: "Score, baselines and metrics are what they say.",
            declarations.sizes_are_valid: "Samples, epochs and deployment make sense.",
            declarations.goals_are_valid: "Goals and profile make sense.",
            declarations.recorded_data_exist: "Recorded data have the declared fields.",
        },
    ),
    **_laws(
        CheckStage.SIMULATION,
        {
            simulation.runs_as_declared: "A few samples have the declared fields and ranges.",
            simulation.same_seed_same_data: "Equal seeds give equal data, others others.",
            simulation.samples_are_independent: "A sample run alone equals the sample in a batch.",
        },
    ),
    **_laws(
        CheckStage.SAMPLES,
        {
            samples.values_in_range: "All values are finite and within the declared ranges.",
            samples.most_samples_succeed: "SampleRun samples fail and none stands twice.",
            samples.fields_are_distinct: "No field is constant or says what another says.",
            samples.splits_are_disjoint: "No sample stands in two splits.",
            samples.shifted_split_is_outside: "The shifted split lies outside the training range.",
        },
    ),
    **_laws(
        CheckStage.COMPONENTS,
        {
            components.reference_scores_zero: "The reference scores zero, errors score more.",
            components.baselines_are_valid: "Baselines and ceiling stand in for the reference.",
            components.pairs_are_valid: "Statistics are finite, training pairs finite float32.",
            components.statistics_come_from_training: "Statistics come from training data alone.",
            components.decoding_inverts_encoding: "Decoding undoes encoding.",
            components.surrogate_samples_are_independent: "A sample alone equals itself in a batch.",
            rollout.unrolling_follows_reference: "Unrolled windows follow the reference.",
            environments.environments_are_valid: "Policies can practise in environments.",
            environments.reward_prefers_reference: "Knowing the reference earns the most.",
            components.problem_is_picklable: "The problem travels to workers.",
            components.calibration_runs: "The calibration run runs.",
            components.costs_are_positive: "What a sample costs is a positive number.",
            components.host_runs_with_reference: "The host runs with the reference in it.",
            components.pictures_are_valid: "Pictures are drawn from plain facts.",
        },
    ),
}


def run_checks(evidence: Evidence) -> Iterator[CheckResult]:
    """Try every law, stage by stage; those of later stages stay untried once a stage is broken."""
    broken: CheckStage | None = None
    for check in CHECKS.values():
        was_run = broken in {None, check.stage}
        violations = check.violations(evidence) if was_run else []
        if violations:
            broken = check.stage
        yield CheckResult(check, was_run, violations)


def check_declarations(problem: Problem) -> None:
    """Try the laws that need no compute.

    Raises:
        UserError: One is broken; says which, and that `simstead check` says more.
    """
    evidence = Evidence(problem, cache=default_cache())
    for check in CHECKS.values():
        if check.stage is CheckStage.DECLARATIONS:
            for words in check.violations(evidence):
                raise UserError(f"problem {problem.name!r}: {words} (`simstead check` says all)")
