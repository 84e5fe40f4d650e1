"""The law of deployments, over every family, runtime and precision that the space admits.

A compiler takes ten seconds for a network, so that PyTorch's are tried on the families that stand
for their kind of layer; `simstead deployments` tries them on all, and docs/deployments.md keeps
what it found.
"""

import pytest

from search.deployments import Deployment, deployments, markdown, verdicts
from spaces.candidate import Precision, Pruning
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.runtimes import CUDA

QUICK = ("eager", "onnxruntime", "openvino")
COMPILERS = ("compiled", "aotinductor")
ON_CUDA = tuple(name for name in RUNTIMES if RUNTIMES[name].device == CUDA)
KINDS = ("mlp", "conv2d", "gru", "transformer", "fno1d", "spline_flow")
"""One family for each kind of layer: products, convolutions, recurrence, attention, transforms."""


def failures(tried: list[Deployment]) -> list[str]:
    return [
        f"{each.deployment}: {each.failed or each.agreement}"
        for each in verdicts(tried)
        if each.excluded is None and not each.holds
    ]


@pytest.mark.slow
@pytest.mark.parametrize("family", list(ARCHITECTURES))
def test_a_lowered_network_answers_as_it_did_in_float32(family: str) -> None:
    assert failures(deployments([family], QUICK)) == []


@pytest.mark.slow
@pytest.mark.parametrize("family", KINDS)
def test_a_compiled_network_answers_as_it_did_in_float32(family: str) -> None:
    tried = deployments([family], COMPILERS)
    assert failures(
        [t for t in tried if t.precision is Precision.FP32 and t.pruning is Pruning.NONE]
    ) == []  # fmt: skip


@pytest.mark.slow
def test_compilers_compute_in_every_precision() -> None:
    assert failures([t for t in deployments(["mlp"], COMPILERS) if t.pruning is Pruning.NONE]) == []


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
    assert "1. torch.ao's eager quantisation" in told
    for each in found:
        assert each.holds or each.excluded
