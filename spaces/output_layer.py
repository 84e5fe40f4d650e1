"""The output layer of a network: the last layer that alone scales all outputs."""

import torch
from torch import Tensor, nn

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers that may be the output layer of a network."""


def output_layer(network: nn.Module, inputs: Tensor) -> nn.Module | None:
    """Return the last linear or convolutional layer without which all outputs are zero, or None.

    Args:
        network: The network, on the CPU in evaluation mode.
        inputs: Inputs of the network (b, ...).
    """
    layers = [module for module in network.modules() if isinstance(module, LAYERS)]
    for layer in reversed(layers):
        weights = {name: weight.clone() for name, weight in layer.state_dict().items()}
        with torch.inference_mode():
            for weight in layer.parameters():
                weight.zero_()
            all_zero = not bool(network(inputs).any())
        layer.load_state_dict(weights)
        if all_zero:
            return layer
    return None


def zero_outputs(network: nn.Module, inputs: Tensor) -> None:
    """Set the output layer of a network to zero in place, so that its outputs are zero.

    With such a layer a residual network begins as what it corrects (Zhang et al., ICLR 2019,
    "Fixup"; Goyal et al., arXiv:1706.02677). A network without an output layer keeps its weights.

    Args:
        network: The network, on the CPU in evaluation mode.
        inputs: Inputs of the network (b, ...).
    """
    scale_outputs(network, 0.0, inputs)


def scale_outputs(network: nn.Module, factor: float, inputs: Tensor) -> None:
    """Multiply the outputs of a network by a factor in place, by way of its output layer.

    A network whose outputs are no multiple of those of its output layer keeps its weights.

    Args:
        network: The network, on the CPU in evaluation mode.
        factor: The factor.
        inputs: Inputs of the network (b, ...).
    """
    layer = output_layer(network, inputs)
    if layer is None:
        return
    weights = {name: weight.clone() for name, weight in layer.state_dict().items()}
    with torch.inference_mode():
        expected = factor * network(inputs)
        for weight in layer.parameters():
            weight.mul_(factor)
        if torch.allclose(network(inputs), expected, rtol=1e-4, atol=1e-5):
            return
    layer.load_state_dict(weights)
