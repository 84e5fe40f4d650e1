"""Eager PyTorch: every network runs in it, but each layer is called from Python."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from problems import Array, Predict
from spaces.architectures import ARCHITECTURES
from spaces.candidate import Precision, Pruning
from spaces.ensemble import NetworkMean
from spaces.precision import cast_network
from spaces.pruning import load_pruned_weights, sparsifiable_layers
from spaces.runtimes import CPU, CUDA, Lowering, Runtime, disable_tf32, register_runtime

WEIGHTS = "network.safetensors"


def rebuild_network(folder: Path, lowering: Lowering, device: str) -> nn.Module:
    """Return the network built from its settings with the weights in a folder.

    Args:
        folder: The folder with the weights.
        lowering: The candidate and the shapes.
        device: Device of the returned network.
    """
    disable_tf32(device)
    candidate = lowering.candidate
    family = ARCHITECTURES[candidate.architecture]
    build = partial(family.untrained, lowering.shape, candidate.architecture_settings)
    seeds = candidate.ensemble_seeds
    network = NetworkMean([build() for _ in seeds]) if seeds else build()
    network = load_pruned_weights(network, load_file(folder / WEIGHTS)).eval()
    network = cast_network(network, candidate.precision).eval().to(device)
    if candidate.pruning is Pruning.TWO_OF_FOUR:
        for layer in sparsifiable_layers(network):
            layer.weight = nn.Parameter(torch.sparse.to_sparse_semi_structured(layer.weight))
    return network.requires_grad_(requires_grad=False)


class DuplicatedSample(nn.Module):
    """A network that receives a single sample twice; the second output is dropped."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of inputs (b, ...)."""
        if len(x) > 1:
            return self.network(x)
        return self.network(x.expand(2, *x.shape[1:]))[:1]


def avoid_slow_conv3d(network: nn.Module, device: str) -> nn.Module:
    """Return a network that avoids a slow path: Conv3d takes 4 times as long for 1 sample as for 2.

    Observed in PyTorch 2.13 on CPUs with and without AMX; remove this once a single sample is
    faster than two.

    Args:
        network: The network.
        device: The network's device.
    """
    has_conv3d = any(isinstance(layer, nn.Conv3d) for layer in network.modules())
    return DuplicatedSample(network) if device == CPU and has_conv3d else network


class Eager(Runtime):
    """Writes the weights (safetensors); loading rebuilds the network from its settings."""

    unsuited: ClassVar[dict[Precision, str]] = {
        Precision.INT8: "torch.ao's eager quantisation is deprecated and torchao isn't used yet"
    }

    files_fix_batch: ClassVar[bool] = False
    pads_calls: ClassVar[bool] = False
    max_speedup: ClassVar[float] = 10.0
    """One in ten of 88 networks first deployed in eager mode became more than 4 times faster."""

    def lower(
        self,
        network: nn.Module,
        calibration: Tensor,  # noqa: ARG002 - required by the base class
        lowering: Lowering,  # noqa: ARG002
        folder: Path,
    ) -> None:
        """Write the weights."""
        save_file(network.state_dict(), folder / WEIGHTS)

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the rebuilt network as a function of any number of samples."""
        network = avoid_slow_conv3d(rebuild_network(folder, lowering, self.device), self.device)
        torch.set_num_threads(lowering.threads)
        if self.device == CPU:
            return cpu_predictor(network)

        def predict(inputs: Array) -> Array:
            with torch.inference_mode():
                return network(torch.from_numpy(inputs).to(CUDA)).cpu().numpy()

        return predict


def cpu_predictor(network: Callable[[Tensor], Tensor]) -> Predict:
    """Return a network on the CPU as a function of arrays, (b, ...) -> (b, o)."""

    def predict(inputs: Array) -> Array:
        with torch.inference_mode():
            return network(torch.from_numpy(inputs)).numpy()

    return predict


register_runtime("eager")(Eager(CPU))
register_runtime("eager-cuda")(Eager(CUDA))
