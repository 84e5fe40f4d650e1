"""The law of deployments as a table: which families run where, in which precision, and how near."""

import os
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
from spaces.architectures import Shape
from spaces.candidate import Precision, Pruning
from spaces.deployment_check import (
    FAILURE_FILE,
    DeploymentAgreement,
    agreement,
    example_network,
    lower_example,
    lowered_shape,
    predict_in_new_process,
)
from spaces.pruning import SPARSE_PRECISIONS, SPARSE_RUNTIME
from spaces.registered import ARCHITECTURES
from spaces.space import incompatibility

PRUNING_RUNTIMES = ("eager", "onnxruntime", "openvino")
"""Pruned networks are tried here, in float32: other precisions change their numbers alone, and the
compilers take the same graph."""


class Deployment(NamedTuple):
    """One way to deploy a family's networks."""

    family: str
    shape: Shape
    pruning: Pruning
    runtime: str
    precision: Precision

    @property
    def network(self) -> str:
        """What is deployed, in words."""
        return f"{self.family} ({self.shape.layout} -> {self.shape.target})"


class DeploymentResult(NamedTuple):
    """What became of a deployment: why it is excluded, how it failed, or how near it came."""

    deployment: Deployment
    excluded: str | None = None
    failed: str | None = None
    agreement: DeploymentAgreement | None = None

    @property
    def passed(self) -> bool:
        """Whether it is admitted and the law holds."""
        return self.agreement is not None and self.agreement.passed


def deployments(families: Sequence[str], runtimes: Sequence[str]) -> list[Deployment]:
    """Return what there is to try: every family, runtime and precision; prunings in fp32."""
    return [
        Deployment(family, lowered_shape(ARCHITECTURES[family]), pruning, runtime, precision)
        for family in families
        for pruning, runtime, precision in product(Pruning, runtimes, Precision)
        if _worth_trying(pruning, runtime, precision)
    ]


def _worth_trying(pruning: Pruning, runtime: str, precision: Precision) -> bool:
    if pruning is Pruning.NONE:
        return True
    if pruning is Pruning.TWO_OF_FOUR:
        return runtime == SPARSE_RUNTIME and precision in SPARSE_PRECISIONS
    return runtime in PRUNING_RUNTIMES and precision is Precision.FP32


def check_deployments_in_parallel(
    tried: Sequence[Deployment], source: ProblemSource | None, progress: Callable[[str], None]
) -> list[DeploymentResult]:
    """Try deployments, as many families at a time as there are cores.

    Args:
        tried: What to try.
        source: A user's file or module whose families are among them.
        progress: Told of each family that is done.
    """
    found: list[DeploymentResult] = []
    families = list(dict.fromkeys(each.family for each in tried))
    by_family = [[each for each in tried if each.family == family] for family in families]
    with ProcessPoolExecutor(
        len(os.sched_getaffinity(0)), get_context("spawn"), _prepare, (source,)
    ) as pool:
        reference = source.reference if source else ""
        for own in pool.map(check_deployments, by_family, repeat(reference)):
            found += own
            held = sum(each.passed for each in own)
            admitted = sum(each.excluded is None for each in own)
            progress(f"{own[0].deployment.family}: {held} of {admitted} admitted deployments hold")
    return found


def _prepare(source: ProblemSource | None) -> None:
    torch.set_num_threads(1)
    if source:
        source.load()


def check_deployments(tried: Sequence[Deployment], source: str = "") -> list[DeploymentResult]:
    """Try deployments one after the other; have all answered again by one new process.

    Args:
        tried: What to try.
        source: A user's file or module whose families are among them.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return _verdicts(tried, Path(scratch), source)


def _verdicts(tried: Sequence[Deployment], scratch: Path, source: str) -> list[DeploymentResult]:
    ended: dict[Deployment, DeploymentResult] = {}
    written: dict[Deployment, Path] = {}
    for number, each in enumerate(tried):
        family, shape, pruning, runtime, precision = each
        excluded = incompatibility(family, pruning, runtime, precision)
        if excluded is not None:
            ended[each] = DeploymentResult(each, excluded=excluded)
            continue
        folder = scratch / str(number)
        try:
            lower_example(example_network(family, shape, pruning), runtime, precision, folder)
        except Exception as error:  # noqa: BLE001 - whatever a compiler raises is its verdict
            ended[each] = DeploymentResult(each, failed=f"{type(error).__name__}: {error}")
        else:
            written[each] = folder
    predict_in_new_process(list(written.values()), source)
    for each, folder in written.items():
        if (folder / FAILURE_FILE).exists():
            ended[each] = DeploymentResult(each, failed=(folder / FAILURE_FILE).read_text())
        else:
            ended[each] = DeploymentResult(each, agreement=agreement(folder))
    return [ended[each] for each in tried]


def markdown_table(found: Sequence[DeploymentResult]) -> str:
    """Return verdicts as Markdown: a table of networks in runtimes and precisions, and reasons.

    A column in which no network can be had, as of a device that isn't there, stands below, with the
    reason that holds for most.
    """
    whole = [each for each in found if each.deployment.pruning is Pruning.NONE]
    less = [each for each in found if each.deployment.pruning is not Pruning.NONE]
    reasons: dict[str, int] = {}
    parts = [
        _table(whole, lambda d: f"{d.runtime} {d.precision}", reasons),
        "Pruned networks:",
        _table(less, lambda d: f"{d.pruning}, {d.runtime} {d.precision}", reasons),
        "\n".join(f"{number}. {reason}" for reason, number in reasons.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _table(
    found: Sequence[DeploymentResult], column: Callable[[Deployment], str], reasons: dict[str, int]
) -> str:
    by_column: dict[str, list[DeploymentResult]] = {}
    for each in found:
        by_column.setdefault(column(each.deployment), []).append(each)
    absent: dict[str, list[str]] = {}
    for name, own in list(by_column.items()):
        ((reason, _), *_) = Counter(each.excluded for each in own).most_common()
        if reason is not None and all(each.excluded for each in own):
            absent.setdefault(reason, []).append(name)
            del by_column[name]
    rows: dict[str, dict[str, str]] = {}
    for name, own in by_column.items():
        for each in own:
            rows.setdefault(each.deployment.network, {})[name] = _mark(each, reasons)
    lines = [["network", *by_column], ["---"] * (1 + len(by_column))]
    lines += [[name, *(row[each] for each in by_column)] for name, row in rows.items()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    left = [f"- {', '.join(names)}: {reason}" for reason, names in absent.items()]
    return "\n\n".join([table, "\n".join(left)] if left else [table])


def _mark(verdict: DeploymentResult, reasons: dict[str, int]) -> str:
    """Return the distance where it is admitted, else a bracketed number of the reason."""
    if verdict.agreement is not None and verdict.passed:
        return f"{verdict.agreement.distance:.0e}"
    if verdict.agreement is not None:
        words = f"fails: {verdict.agreement}"
    elif verdict.excluded is not None:
        words = verdict.excluded
    else:
        words = f"fails: {verdict.failed}"
    number = reasons.setdefault(words, len(reasons) + 1)
    return f"[{number}]" if verdict.excluded else f"**fails** [{number}]"
