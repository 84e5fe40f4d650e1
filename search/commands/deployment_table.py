"""The table of deployments: which families run in which runtime and precision, and how exactly."""

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product, repeat
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import torch

from problems.sources import ProblemSource
from search.allocation import allocated_cores
from spaces.architectures import Shape
from spaces.candidate import Precision, Pruning
from spaces.deployment_check import (
    FAILURE_FILE,
    DeploymentAgreement,
    example_network,
    lower_example,
    lowered_shape,
    measure_agreement,
    predict_in_new_process,
)
from spaces.pruning import SPARSE_PRECISIONS, SPARSE_RUNTIME
from spaces.registered import ARCHITECTURES
from spaces.space import incompatibility

PRUNING_RUNTIMES = ("eager", "onnxruntime", "openvino")
"""Pruned networks are tried in these runtimes in float32. Other precisions only change numbers, and
the compilers take the same graph."""


class FamilyDeployment(NamedTuple):
    """One way to deploy the networks of a family."""

    family: str
    shape: Shape
    pruning: Pruning
    runtime: str
    precision: Precision

    @property
    def network(self) -> str:
        """The network's family, layout and target as text."""
        return f"{self.family} ({self.shape.layout} -> {self.shape.target})"


class DeploymentResult(NamedTuple):
    """The result of trying a deployment.

    Args:
        deployment: The deployment.
        excluded: The reason why the space excludes it, if it does.
        failed: The error with which it failed, if it did.
        agreement: Its agreement with the float32 network, if it was deployed.
    """

    deployment: FamilyDeployment
    excluded: str | None = None
    failed: str | None = None
    agreement: DeploymentAgreement | None = None

    @property
    def passed(self) -> bool:
        """Whether the deployment agrees with the float32 network."""
        return self.agreement is not None and self.agreement.passed


def deployments_of_families(
    families: Sequence[str], runtimes: Sequence[str]
) -> list[FamilyDeployment]:
    """Return every family in every runtime and precision, and pruned in float32."""
    return [
        FamilyDeployment(family, lowered_shape(ARCHITECTURES[family]), pruning, runtime, precision)
        for family in families
        for pruning, runtime, precision in product(Pruning, runtimes, Precision)
        if _is_tried(pruning, runtime, precision)
    ]


def _is_tried(pruning: Pruning, runtime: str, precision: Precision) -> bool:
    if pruning is Pruning.NONE:
        return True
    if pruning is Pruning.TWO_OF_FOUR:
        return runtime == SPARSE_RUNTIME and precision in SPARSE_PRECISIONS
    return runtime in PRUNING_RUNTIMES and precision is Precision.FP32


def check_deployments_in_parallel(
    deployments: Sequence[FamilyDeployment],
    source: ProblemSource | None,
    progress: Callable[[str], None],
) -> list[DeploymentResult]:
    """Try deployments, with as many families at a time as there are cores.

    Args:
        deployments: The deployments.
        source: A user's file or module that registers some of the families.
        progress: Called with a line for each family that is done.
    """
    results: list[DeploymentResult] = []
    by_family: dict[str, list[FamilyDeployment]] = {}
    for deployment in deployments:
        by_family.setdefault(deployment.family, []).append(deployment)
    with ProcessPoolExecutor(allocated_cores(), get_context("spawn"), _prepare, (source,)) as pool:
        reference = source.reference if source else ""
        for of_family in pool.map(check_deployments, by_family.values(), repeat(reference)):
            results += of_family
            passed = sum(result.passed for result in of_family)
            admitted = sum(result.excluded is None for result in of_family)
            family = of_family[0].deployment.family
            progress(f"{family}: {passed} of {admitted} admitted deployments pass")
    return results


def _prepare(source: ProblemSource | None) -> None:
    torch.set_num_threads(1)
    if source:
        source.load()


def check_deployments(
    deployments: Sequence[FamilyDeployment], source: str = ""
) -> list[DeploymentResult]:
    """Try deployments one after the other, and load all of them again in one new process.

    Args:
        deployments: The deployments.
        source: A user's file or module that registers some of the families.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return _check(deployments, Path(scratch), source)


def _check(
    deployments: Sequence[FamilyDeployment], scratch: Path, source: str
) -> list[DeploymentResult]:
    results: dict[FamilyDeployment, DeploymentResult] = {}
    folders: dict[FamilyDeployment, Path] = {}
    for number, deployment in enumerate(deployments):
        family, shape, pruning, runtime, precision = deployment
        excluded = incompatibility(family, pruning, runtime, precision)
        if excluded is not None:
            results[deployment] = DeploymentResult(deployment, excluded=excluded)
            continue
        folder = scratch / str(number)
        try:
            lower_example(example_network(family, shape, pruning), runtime, precision, folder)
        except Exception as error:  # noqa: BLE001 - any error of a compiler is a result
            failed = f"{type(error).__name__}: {error}"
            results[deployment] = DeploymentResult(deployment, failed=failed)
        else:
            folders[deployment] = folder
    predict_in_new_process(list(folders.values()), source)
    for deployment, folder in folders.items():
        failure = folder / FAILURE_FILE
        results[deployment] = (
            DeploymentResult(deployment, failed=failure.read_text())
            if failure.exists()
            else DeploymentResult(deployment, agreement=measure_agreement(folder))
        )
    return [results[deployment] for deployment in deployments]


def markdown_table(results: Sequence[DeploymentResult]) -> str:
    """Return results as Markdown: a table of networks by runtime and precision, with reasons.

    Columns without any admitted deployment, such as those of a missing device, are listed below the
    table with the most frequent reason.
    """
    unpruned = [r for r in results if r.deployment.pruning is Pruning.NONE]
    pruned = [r for r in results if r.deployment.pruning is not Pruning.NONE]
    reasons: dict[str, int] = {}
    parts = [
        _table(unpruned, lambda d: f"{d.runtime} {d.precision}", reasons),
        "Pruned networks:",
        _table(pruned, lambda d: f"{d.pruning}, {d.runtime} {d.precision}", reasons),
        "\n".join(f"{number}. {reason}" for reason, number in reasons.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(
    results: Sequence[DeploymentResult],
    column: Callable[[FamilyDeployment], str],
    reasons: dict[str, int],
) -> str:
    by_column: dict[str, list[DeploymentResult]] = {}
    for result in results:
        by_column.setdefault(column(result.deployment), []).append(result)
    empty_columns: dict[str, list[str]] = {}
    for name, in_column in list(by_column.items()):
        ((reason, _), *_) = Counter(result.excluded for result in in_column).most_common()
        if reason is not None and all(result.excluded for result in in_column):
            empty_columns.setdefault(reason, []).append(name)
            del by_column[name]
    rows: dict[str, dict[str, str]] = {}
    for name, in_column in by_column.items():
        for result in in_column:
            rows.setdefault(result.deployment.network, {})[name] = _entry(result, reasons)
    lines = [["network", *by_column], ["---"] * (1 + len(by_column))]
    lines += [[network, *(row[name] for name in by_column)] for network, row in rows.items()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    excluded = [f"- {', '.join(names)}: {reason}" for reason, names in empty_columns.items()]
    return "\n\n".join([table, "\n".join(excluded)] if excluded else [table])


def _entry(result: DeploymentResult, reasons: dict[str, int]) -> str:
    """Return the distance of a deployment that passes, else the number of the reason."""
    if result.agreement is not None and result.passed:
        return f"{result.agreement.distance:.0e}"
    if result.agreement is not None:
        reason = f"fails: {result.agreement}"
    elif result.excluded is not None:
        reason = result.excluded
    else:
        reason = f"fails: {result.failed}"
    number = reasons.setdefault(reason, len(reasons) + 1)
    return f"[{number}]" if result.excluded else f"**fails** [{number}]"
