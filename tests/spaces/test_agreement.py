"""The law of deployments, over every family, runtime and precision that the space admits.

A compiler takes ten seconds for a network, so that PyTorch's are tried on the families that stand
for their kind of layer; `simstead deployments` tries them on all.
"""

from collections.abc import Sequence

import pytest

from search.deployments import Deployment, deployments, markdown, verdicts
from spaces.candidate import Precision, Pruning
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.runtimes import CUDA

QUICK = ("eager", "onnxruntime", "openvino")
COMPILERS = ("compiled", "aotinductor")
ON_CUDA = tuple(name for name in RUNTIMES if RUNTIMES[name].device == CUDA)
KINDS = ("conv2d", "gru", "transformer", "spline_flow")
"""Families that stand for their kind of layer, beside the perceptron's products."""


def failures(tried: list[Deployment]) -> list[str]:
    return [
        f"{each.deployment}: {each.failed or each.agreement}"
        for each in verdicts(tried)
        if each.excluded is None and not each.holds
    ]


def in_float32(families: Sequence[str], runtimes: Sequence[str]) -> list[Deployment]:
    return [d for d in unpruned(families, runtimes) if d.precision is Precision.FP32]


def unpruned(families: Sequence[str], runtimes: Sequence[str]) -> list[Deployment]:
    return [d for d in deployments(families, runtimes) if d.pruning is Pruning.NONE]


@pytest.mark.slow
@pytest.mark.parametrize("family", list(ARCHITECTURES))
def test_a_lowered_network_answers_as_it_did_in_float32(family: str) -> None:
    assert failures(unpruned([family], QUICK)) == []


@pytest.mark.slow
@pytest.mark.parametrize("family", KINDS)
def test_a_pruned_network_does_too(family: str) -> None:
    pruned = [d for d in deployments([family], QUICK) if d.pruning is not Pruning.NONE]
    assert failures(pruned) == []


@pytest.mark.slow
@pytest.mark.parametrize("family", KINDS)
def test_a_compiled_network_does_too(family: str) -> None:
    assert failures(in_float32([family], COMPILERS)) == []


@pytest.mark.slow
def test_compilers_compute_in_every_precision() -> None:
    assert failures(unpruned(["mlp"], COMPILERS)) == []


@pytest.mark.gpu
@pytest.mark.parametrize("family", list(ARCHITECTURES))
def test_it_answers_so_on_a_gpu(family: str) -> None:
    if RUNTIMES["eager-cuda"].excludes(Precision.FP32):
        pytest.skip("no CUDA device")
    assert failures(deployments([family], ON_CUDA)) == []


def test_the_table_has_every_network_and_reason() -> None:
    found = verdicts(deployments(["mlp"], ("eager",)))
    told = markdown(found)
    assert "| mlp (flat -> value) |" in told
    assert "- eager int8: torch.ao's eager quantisation" in told
    for each in found:
        assert each.holds or each.excluded
