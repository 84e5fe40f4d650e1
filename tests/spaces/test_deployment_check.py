"""The law of deployments, over every family, runtime and precision that the space admits.

A compiler takes ten seconds for a network, so that PyTorch's, which share what makes their code,
are tried in turn on the families that stand for their kind of layer; `simstead deployments` tries
them on all: docs/deployments.md.
"""

import sys
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch

from problems import Target
from search.commands.deployment_table import (
    Deployment,
    check_deployments,
    deployments,
    markdown_table,
)
from spaces.architectures import Shape
from spaces.candidate import Precision, Pruning
from spaces.deployment_check import (
    DeploymentAgreement,
    agreement,
    example_network,
    example_shapes,
    lower,
    lowered_shape,
    predict_in_new_process,
    predict_reloaded,
)
from spaces.registered import ARCHITECTURES, RUNTIMES
from spaces.runtimes import CPU, CUDA, NO_COMPILER
from spaces.runtimes.eager import DuplicatedSample, avoid_slow_conv3d, rebuild_network

QUICK = ("eager", "onnxruntime", "openvino")
COMPILERS = ("compiled", "aotinductor")
ON_CUDA = tuple(name for name in RUNTIMES if RUNTIMES[name].device == CUDA)
KINDS = ("conv2d", "gru", "transformer", "spline_flow")
"""Families that stand for their kind of layer, beside the perceptron's products."""

TOGETHER = [list(ARCHITECTURES)[first::6] for first in range(6)]
"""Families whose networks one new process answers again: to start one takes seconds."""


def failures(tried: list[Deployment]) -> list[str]:
    return [
        f"{each.deployment}: {each.failed or each.agreement}"
        for each in check_deployments(tried)
        if each.excluded is None and not each.passed
    ]


def in_float32(families: Sequence[str], runtimes: Sequence[str]) -> list[Deployment]:
    return [d for d in unpruned(families, runtimes) if d.precision is Precision.FP32]


def unpruned(families: Sequence[str], runtimes: Sequence[str]) -> list[Deployment]:
    return [d for d in deployments(families, runtimes) if d.pruning is Pruning.NONE]


@pytest.mark.slow
@pytest.mark.parametrize("families", TOGETHER, ids="-".join)
def test_a_lowered_network_answers_as_it_did_in_float32(families: Sequence[str]) -> None:
    assert failures(unpruned(families, QUICK)) == []


def telling(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the shapes between them that have every layout, target, place and function behind."""
    aligned = {(shape.layout, shape.target) for shape in shapes if shape.aligned}
    return [
        shape
        for shape in shapes
        if shape.aligned
        or (shape.layout, shape.target) not in aligned
        or (shape.target is Target.LABEL and shape.answers == 1)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("family", list(ARCHITECTURES))
def test_other_shapes_and_settings_do_too(family: str, tmp_path: Path) -> None:
    shapes = telling(example_shapes(ARCHITECTURES[family]))
    found: dict[str, DeploymentAgreement] = {}
    for seed, shape in enumerate(shapes, start=1):
        folder = tmp_path / str(seed)
        lower(example_network(family, shape, seed=seed), "onnxruntime", Precision.FP32, folder)
        predict_reloaded(folder)
        found[str(shape)] = agreement(folder)
    assert [f"{shape}: {each}" for shape, each in found.items() if not each.passed] == []


@pytest.mark.parametrize("batch", [1, 2])
def test_one_sample_of_a_volume_takes_no_slow_path(batch: int, tmp_path: Path) -> None:
    tried = example_network("conv3d", lowered_shape(ARCHITECTURES["conv3d"]))
    lowering = tried.lowering_for("eager", Precision.FP32, batch)
    RUNTIMES["eager"].lower(tried.network, tried.calibration, lowering, tmp_path)
    network = rebuild_network(tmp_path, lowering, "cpu")
    assert isinstance(avoid_slow_conv3d(network, lowering, "cpu"), DuplicatedSample) == (batch == 1)
    inputs = tried.calibration[:batch]
    with torch.inference_mode():
        exact = network(inputs).numpy()
    answers = RUNTIMES["eager"].load(tmp_path, lowering)(inputs.numpy())
    np.testing.assert_allclose(answers, exact, rtol=1e-4, atol=1e-5)


def test_no_file_of_the_users_comes_before_ours(
    decoy_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = example_network("mlp", lowered_shape(ARCHITECTURES["mlp"]))
    lower(tried, "eager", Precision.FP32, tmp_path / "lowered")
    monkeypatch.chdir(decoy_folder)
    predict_in_new_process([tmp_path / "lowered"])
    assert agreement(tmp_path / "lowered").passed


@pytest.mark.slow
@pytest.mark.parametrize("family", KINDS)
def test_a_pruned_network_does_too(family: str) -> None:
    pruned = [d for d in deployments([family], QUICK) if d.pruning is not Pruning.NONE]
    assert failures(pruned) == []


@pytest.mark.slow
@pytest.mark.parametrize(("family", "compiler"), list(zip(KINDS, cycle(COMPILERS))))
def test_a_compiled_network_does_too(family: str, compiler: str) -> None:
    assert failures(in_float32([family], [compiler])) == []


@pytest.mark.slow
def test_openvino_tells_nobody_of_its_use() -> None:
    RUNTIMES["openvino"].cannot_lower(Precision.BF16)
    assert sys.modules["openvino_telemetry"] is None


@pytest.mark.slow
def test_compilers_compute_in_halves_too() -> None:
    halves = [d for d in unpruned(["mlp"], COMPILERS) if d.precision is not Precision.FP32]
    assert halves
    assert failures(halves) == []


def test_without_a_compiler_what_compiles_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "/no/such/compiler")
    here = [RUNTIMES[name] for name in RUNTIMES if RUNTIMES[name].device == CPU]
    compile_ = [runtime for runtime in here if runtime.cannot_lower(Precision.FP32) == NO_COMPILER]
    assert [type(runtime).__name__ for runtime in compile_] == ["AOTInductor", "Compiled"]
    assert RUNTIMES["aotinductor"].cannot_run(Precision.FP32) is None  # what was compiled elsewhere


@pytest.mark.gpu
@pytest.mark.parametrize("family", list(ARCHITECTURES))
def test_it_answers_so_on_a_gpu(family: str) -> None:
    if RUNTIMES["eager-cuda"].cannot_lower(Precision.FP32):
        pytest.skip("no CUDA device")
    assert failures(deployments([family], ON_CUDA)) == []


def test_the_table_has_every_network_and_reason() -> None:
    found = check_deployments(deployments(["mlp"], ("eager",)))
    told = markdown_table(found)
    assert "| mlp (flat -> value) |" in told
    assert "- eager int8: torch.ao's eager quantisation" in told
    for each in found:
        assert each.passed or each.excluded
