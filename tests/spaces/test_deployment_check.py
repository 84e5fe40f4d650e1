"""The law of deployments, over families, prunings, runtimes and precisions that the space admits.

What costs time is tried on the families that stand for their kind of layer: PyTorch's compilers,
which take ten seconds for a network and share what makes their code, and pruned networks in ONNX
Runtime and OpenVINO, which need a graph of their own. `pytest --whole` and `simstead deployments`
try them on all families: docs/deployments.md.
"""

import sys
from collections.abc import Iterable, Sequence
from itertools import chain, cycle
from pathlib import Path

import numpy as np
import pytest
import torch

from search.commands.deployment_table import (
    FamilyDeployment,
    check_deployments,
    deployments_of_families,
    markdown_table,
)
from spaces.architectures import Shape
from spaces.candidate import Precision, Pruning
from spaces.deployment_check import (
    FAILURE_FILE,
    example_network,
    example_shapes,
    lower_example,
    lowered_shape,
    measure_agreement,
    predict_in_new_process,
    predict_reloaded,
)
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.runtimes import CPU, CUDA, NO_COMPILER
from spaces.runtimes.eager import DuplicatedSample, avoid_slow_conv3d, rebuild_network
from spaces.space import incompatibility
from tests.pairwise import sampled, session
from tests.spaces import shapes
from tests.spaces.lowered import RunOnce, lower_once
from tests.spaces.shapes import NAMED

QUICK = ("eager", "onnxruntime", "openvino")
COMPILERS = {
    "aotinductor": ("mlp", "conv2d", "transformer"),
    "compiled": ("mlp", "gru", "spline_flow"),
}
"""PyTorch's compilers, each with the families that it compiles, one for each precision in turn."""

KINDS = tuple(dict.fromkeys(chain.from_iterable(COMPILERS.values())))
"""Families that stand for their kind of layer."""

ON_CUDA = tuple(name for name in RUNTIMES if RUNTIMES[name].device == CUDA)


def admitted(families: Iterable[str], runtimes: Iterable[str]) -> list[FamilyDeployment]:
    return [
        each
        for each in deployments_of_families(list(families), list(runtimes))
        if incompatibility(each.family, each.pruning, each.runtime, each.precision) is None
    ]


def choices(deployment: FamilyDeployment) -> tuple[str, ...]:
    return (deployment.family, deployment.pruning, deployment.runtime, deployment.precision)


def quick() -> list[FamilyDeployment]:
    """Return what is tried without a compiler: graphs of pruned networks for `KINDS` alone."""
    return [
        each
        for each in admitted(ARCHITECTURES, QUICK)
        if session.whole
        or each.family in KINDS
        or each.pruning is Pruning.NONE
        or each.runtime == "eager"
    ]


def compiled(runtime: str) -> list[FamilyDeployment]:
    """Return what a compiler is tried on: in each precision another family, unless all are."""
    everything = [
        each for each in admitted(ARCHITECTURES, (runtime,)) if each.pruning is Pruning.NONE
    ]
    precisions = list(dict.fromkeys(each.precision for each in everything))
    tried = set(zip(cycle(COMPILERS[runtime]), precisions, strict=False))
    return [each for each in everything if session.whole or (each.family, each.precision) in tried]


TRIED = sampled(f"{__name__}, quick deployments", quick(), choices)
TOGETHER = [list(ARCHITECTURES)[first::3] for first in range(3)]
"""Families whose networks one new process answers again: to start one takes seconds."""

COMPILED = {runtime: compiled(runtime) for runtime in COMPILERS}

SHAPES = {
    *sampled(f"{__name__}, shapes", NAMED, lambda case: shapes.choices(case)[1:]),
    *sampled(
        f"{__name__}, aligned outputs",
        [(family, shape) for family, shape in NAMED if shape.aligned],
        lambda case: case[:1],
    ),
}
"""All forms of inputs and outputs, and every family with aligned outputs, which it makes itself."""


def failures(tried: list[FamilyDeployment]) -> list[str]:
    assert tried
    return [
        f"{each.deployment}: {each.excluded or each.failed or each.agreement}"
        for each in check_deployments(tried)
        if not each.passed
    ]


@pytest.mark.slow
@pytest.mark.parametrize("families", TOGETHER, ids="-".join)
def test_a_lowered_network_answers_as_it_did_in_float32(families: Sequence[str]) -> None:
    assert failures([each for each in TRIED if each.family in families]) == []


@pytest.mark.slow
@pytest.mark.parametrize("runtime", list(COMPILERS))
def test_a_compiled_network_does_too(runtime: str, run_once: RunOnce) -> None:
    assert COMPILED[runtime]
    folders = [
        lower_once(run_once, each.family, runtime, each.precision) for each in COMPILED[runtime]
    ]
    predict_in_new_process(folders)
    for folder in folders:
        assert not (folder / FAILURE_FILE).exists(), (folder / FAILURE_FILE).read_text()
        agreement = measure_agreement(folder)
        assert agreement.passed, (folder, agreement)


def test_every_precision_of_a_compiler_is_tried() -> None:
    for runtime, tried in COMPILED.items():
        of_all = admitted(ARCHITECTURES, (runtime,))
        assert {each.precision for each in tried} == {each.precision for each in of_all}
    assert {each.family for tried in COMPILED.values() for each in tried} >= set(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "shape"),
    [pytest.param(*each, id="-".join(shapes.choices(each))) for each in NAMED if each in SHAPES],
)
def test_other_shapes_and_settings_do_too(family: str, shape: Shape, tmp_path: Path) -> None:
    seed = example_shapes(ARCHITECTURES[family]).index(shape)
    folder = tmp_path / "lowered"
    lower_example(example_network(family, shape, seed=seed), "onnxruntime", Precision.FP32, folder)
    predict_reloaded(folder)
    agreement = measure_agreement(folder)
    assert agreement.passed, agreement


@pytest.mark.parametrize("batch", [1, 2])
def test_one_sample_of_a_volume_takes_no_slow_path(batch: int, tmp_path: Path) -> None:
    tried = example_network("conv3d", lowered_shape(ARCHITECTURES["conv3d"]))
    lowering = tried.lowering_for("eager", Precision.FP32, batch)
    RUNTIMES["eager"].lower(tried.network, tried.calibration, lowering, tmp_path)
    network = rebuild_network(tmp_path, lowering, "cpu")
    inputs = tried.calibration[:batch]
    seen: list[int] = []
    counted = avoid_slow_conv3d(network, "cpu")
    assert isinstance(counted, DuplicatedSample)
    handle = network.register_forward_pre_hook(lambda _, rows: seen.append(len(rows[0])))
    counted(inputs)
    handle.remove()
    assert seen == [2]
    with torch.inference_mode():
        exact = network(inputs).numpy()
    answers = RUNTIMES["eager"].load(tmp_path, lowering)(inputs.numpy())
    np.testing.assert_allclose(answers, exact, rtol=1e-4, atol=1e-5)


def test_no_file_of_the_users_comes_before_ours(
    decoy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = example_network("mlp", lowered_shape(ARCHITECTURES["mlp"]))
    lower_example(tried, "eager", Precision.FP32, tmp_path / "lowered")
    monkeypatch.chdir(decoy_folder)
    predict_in_new_process([tmp_path / "lowered"])
    assert measure_agreement(tmp_path / "lowered").passed


@pytest.mark.slow
def test_openvino_tells_nobody_of_its_use() -> None:
    RUNTIMES["openvino"].cannot_lower(Precision.BF16)
    assert sys.modules["openvino_telemetry"] is None


def test_without_a_compiler_what_compiles_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    here = [RUNTIMES[name] for name in RUNTIMES if RUNTIMES[name].device == CPU]
    compile_ = [runtime for runtime in here if runtime.cannot_lower(Precision.FP32) == NO_COMPILER]
    assert [type(runtime).__name__ for runtime in compile_] == ["AOTInductor", "TorchCompile"]
    assert RUNTIMES["aotinductor"].cannot_run(Precision.FP32) is None  # what was compiled elsewhere


@pytest.mark.gpu
@pytest.mark.parametrize("family", list(ARCHITECTURES))
def test_it_answers_so_on_a_gpu(family: str) -> None:
    if RUNTIMES["eager-cuda"].cannot_lower(Precision.FP32):
        pytest.skip("no CUDA device")
    assert failures(admitted([family], ON_CUDA)) == []


def test_the_table_has_every_network_and_reason() -> None:
    found = check_deployments(deployments_of_families(["mlp"], ("eager",)))
    told = markdown_table(found)
    assert "| mlp (flat -> value) |" in told
    assert "- eager int8: torch.ao's eager quantisation" in told
    for each in found:
        assert each.passed or each.excluded
