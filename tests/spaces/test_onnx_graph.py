"""A graph that is taken over answers as the network does whose weights it gets."""

import copy
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from spaces import onnx_graph
from spaces.deployment_check import BATCH, example_network, lowered_shape
from spaces.onnx_graph import INPUT, OUTPUT, write_graph
from spaces.registered import ARCHITECTURES

FOLDED = "transformer"
"""A family whose weights the exporter turns round, so that none can be put in their place."""


@pytest.fixture(autouse=True)
def exported(monkeypatch: pytest.MonkeyPatch) -> list[nn.Module]:
    """The networks that were exported, with nothing remembered of other tests."""
    networks: list[nn.Module] = []
    export = onnx_graph.export_onnx

    def noted(network: nn.Module, inputs: Tensor, path: Path) -> None:
        networks.append(network)
        export(network, inputs, path)

    monkeypatch.setattr(onnx_graph, "export_onnx", noted)
    monkeypatch.setattr(onnx_graph, "graph_cache", {})
    return networks


def answers(path: Path, inputs: Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run([OUTPUT], {INPUT: inputs.numpy()})
    return np.asarray(found)


def check(network: nn.Module, inputs: Tensor, folder: Path, settings: str = "") -> None:
    write_graph(network, inputs, folder / "network.onnx", settings)
    with torch.inference_mode():
        exact = network(inputs).numpy()
    np.testing.assert_allclose(
        answers(folder / "network.onnx", inputs), exact, rtol=1e-3, atol=1e-4 * np.abs(exact).max()
    )


@pytest.mark.parametrize("family", ["mlp", "conv2d", "fno1d", "unet1d", FOLDED])
def test_other_weights_are_put_into_the_graph(
    family: str, exported: list[nn.Module], tmp_path: Path
) -> None:
    tried = example_network(family, lowered_shape(ARCHITECTURES[family]))
    inputs = tried.calibration[:BATCH]
    other = copy.deepcopy(tried.network)
    with torch.no_grad():
        for weight in other.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    check(tried.network, inputs, tmp_path)
    check(other, inputs, tmp_path)
    assert len(exported) == (2 if family == FOLDED else 1)


def test_the_same_network_is_exported_once(exported: list[nn.Module], tmp_path: Path) -> None:
    tried = example_network(FOLDED, lowered_shape(ARCHITECTURES[FOLDED]))
    for _ in range(2):
        check(tried.network, tried.calibration[:BATCH], tmp_path)
    assert len(exported) == 1


class Times(nn.Module):
    """A layer of which what is printed doesn't say what it does."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.layer = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the layer's answers, times the factor."""
        return self.factor * self.layer(inputs)


def test_what_answers_otherwise_is_exported_itself(
    exported: list[nn.Module], tmp_path: Path
) -> None:
    inputs = torch.randn(4, 3)
    for factor in (1.0, 2.0):
        check(Times(factor), inputs, tmp_path)
    assert len(exported) == 2


def test_of_other_settings_no_graph_is_taken(exported: list[nn.Module], tmp_path: Path) -> None:
    network, inputs = Times(1.0), torch.randn(4, 3)
    for steps in ("2", "8", "2"):
        check(network, inputs, tmp_path, steps)
    assert len(exported) == 2


def test_what_answers_no_numbers_is_exported_itself(
    exported: list[nn.Module], tmp_path: Path
) -> None:
    inputs = torch.randn(4, 3)
    for weight in (1.0, torch.nan):
        network = Times(1.0)
        nn.init.constant_(network.layer.weight, weight)
        write_graph(network, inputs, tmp_path / "network.onnx", "")
    assert len(exported) == 2
    assert np.isnan(answers(tmp_path / "network.onnx", inputs)).all()


def test_the_latest_graphs_are_remembered(
    exported: list[nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Times(1.0)
    check(network, torch.randn(1, 3), tmp_path)
    size = (tmp_path / "network.onnx").stat().st_size
    monkeypatch.setattr(onnx_graph, "GRAPH_CACHE_BYTES", 2.5 * size)
    for batch in (2, 3, 2, 3):
        check(network, torch.randn(batch, 3), tmp_path)
    assert len(exported) == 3
    check(network, torch.randn(1, 3), tmp_path)
    assert len(exported) == 4
