"""The contract checks that every problem must pass, and their execution by `simstead check`.

The checks are data: the tests run the same checks over every registered problem. They are grouped
in stages. A stage runs once all checks of the stages before it pass, so an error in a name costs
no compute.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from problems.contract import (
    components,
    corrections,
    declarations,
    environments,
    rollout,
    samples,
    simulation,
)
from problems.contract.evidence import (
    CyclicChoice,
    Evidence,
    MemorisedNetwork,
    RandomChoice,
)
from problems.data.cache import default_cache
from problems.entrance.calls import described
from problems.entrance.process_state import preserved_process_state
from problems.errors import UserError
from problems.interfaces.problem import Problem

__all__ = [
    "CHECKS",
    "CheckResult",
    "CheckStage",
    "ContractCheck",
    "CyclicChoice",
    "Evidence",
    "MemorisedNetwork",
    "RandomChoice",
    "check_declarations",
    "run_checks",
]


class CheckStage(StrEnum):
    """What a check needs: declarations, a few samples, a dataset, or components fitted to it."""

    DECLARATIONS = "declarations"
    SIMULATION = "simulation"
    SAMPLES = "samples"
    COMPONENTS = "components"


@dataclass(frozen=True)
class ContractCheck:
    """One contract check.

    Args:
        stage: Part of the problem that the check needs.
        description: What the check requires, in one sentence.
        find_violations: Yields a message for each violation.
    """

    stage: CheckStage
    description: str
    find_violations: Callable[[Evidence], Iterator[str]]

    def violations(self, evidence: Evidence) -> list[str]:
        """Return a message for each violation.

        An exception raised by the problem's own code is a violation too.
        """
        messages: list[str] = []
        try:
            # The checks report values that are not finite.
            with preserved_process_state(), np.errstate(all="ignore"):
                messages.extend(self.find_violations(evidence))
        except UserError as error:
            messages.append(str(error))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - user code: every exception is a violation
            messages.append(f"the check could not run: {described(error)}")
        return list(dict.fromkeys(messages))


class CheckResult(NamedTuple):
    """A check, whether it was run, and a message for each violation."""

    check: ContractCheck
    was_run: bool
    violations: list[str]


def _checks_of_stage(
    stage: CheckStage, descriptions: Mapping[Callable[[Evidence], Iterator[str]], str]
) -> dict[str, ContractCheck]:
    return {
        function.__name__: ContractCheck(stage, description, function)
        for function, description in descriptions.items()
    }


CHECKS: Mapping[str, ContractCheck] = {
    **_checks_of_stage(
        CheckStage.DECLARATIONS,
        {
            declarations.names_are_valid: "Names are valid.",
            declarations.fields_are_complete: "Fields have valid names, units, axes and ranges.",
            declarations.simulation_is_identifiable: "Simulations have methods, plain parameters.",
            declarations.encodings_are_valid: "An encoding has a layout and a target.",
            declarations.settings_are_fields: "The settings of an encoding are its fields.",
            declarations.score_and_metrics_are_valid: "Score, baselines and metrics are valid.",
            declarations.sizes_are_valid: "Samples, epochs and deployment are valid.",
            declarations.goals_are_valid: "Goals and profile are valid.",
            declarations.recorded_data_exist: "Recorded data have the declared fields.",
        },
    ),
    **_checks_of_stage(
        CheckStage.SIMULATION,
        {
            simulation.runs_as_declared: "A few samples have the declared fields and ranges.",
            simulation.same_seed_same_data: "Equal seeds give equal data, other seeds other data.",
            simulation.samples_are_independent: "A sample run alone equals the sample in a batch.",
        },
    ),
    **_checks_of_stage(
        CheckStage.SAMPLES,
        {
            samples.values_are_plausible: "No recorded value may stand for a missing one.",
            samples.most_samples_succeed: "Few samples fail or leave the ranges; few occur twice.",
            samples.fields_are_distinct: "No field is constant or equivalent to another.",
            samples.splits_are_disjoint: "No sample is in two splits.",
            samples.shifted_split_is_outside: "The shifted split lies outside the training range.",
        },
    ),
    **_checks_of_stage(
        CheckStage.COMPONENTS,
        {
            components.reference_scores_zero: "The reference scores zero, errors score more.",
            components.baselines_are_valid: "Baselines and ceiling can replace the reference.",
            components.pairs_are_valid: "Statistics and pairs are finite, pairs float32.",
            components.statistics_come_from_training: "Statistics come from training data only.",
            components.decoding_inverts_encoding: "Decoding inverts encoding.",
            corrections.zero_outputs_are_baseline: "Zero outputs are the corrected baseline.",
            components.surrogate_samples_are_independent: "A sample alone equals one in a batch.",
            rollout.unrolling_follows_reference: "Unrolled windows follow the reference.",
            environments.environments_are_valid: "Policies can be trained in environments.",
            environments.reward_prefers_reference: "The reference earns more than random actions.",
            components.problem_is_picklable: "The problem can be sent to workers.",
            components.calibration_runs: "The calibration run runs.",
            components.costs_are_positive: "The cost of each sample is a positive number.",
            components.host_runs_with_reference: "The host runs with the reference as its kernel.",
            components.pictures_are_valid: "Pictures are Picture values.",
        },
    ),
}


def run_checks(find_violations: Callable[[str], list[str]]) -> Iterator[CheckResult]:
    """Run all checks, stage by stage; a stage with violations is the last one that is run.

    Args:
        find_violations: Returns the violations of the check of a name.
    """
    failed_stage: CheckStage | None = None
    for name, check in CHECKS.items():
        was_run = failed_stage in {None, check.stage}
        violations = find_violations(name) if was_run else []
        if violations:
            failed_stage = check.stage
        yield CheckResult(check, was_run, violations)


def check_declarations(problem: Problem) -> None:
    """Run the checks that need no compute.

    Raises:
        UserError: The problem has a violation; the text is the first message.
    """
    evidence = Evidence(problem, cache=default_cache())
    for check in CHECKS.values():
        if check.stage is CheckStage.DECLARATIONS:
            for message in check.violations(evidence):
                raise UserError(
                    f"problem {problem.name!r}: {message} (`simstead check` lists all violations)"
                )
