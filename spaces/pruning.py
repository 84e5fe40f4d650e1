"""Structured pruning: whole channels go, so the network really gets smaller.

Source: Fang et al., DepGraph, CVPR 2023 (torch-pruning).
"""

import copy
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

VECTOR_WIDTH = 16
"""Channels are kept in multiples of this: odd counts can triple the latency (AVX-512, fp32)."""


def prune_structured(network: nn.Module, ratio: float, example: Tensor) -> nn.Module:
    """Return a copy of the network without the channels of smallest magnitude.

    Args:
        network: Made of linear and convolutional layers.
        ratio: Share of each layer's channels to take out.
        example: Inputs (b, ...) to trace with.
    """
    pruned = copy.deepcopy(network)
    last = [layer for layer in pruned.modules() if isinstance(layer, nn.Linear | nn.Conv1d)][-1]
    pruner: Any = torch_pruning.pruner.MagnitudePruner(
        pruned,
        example,
        importance=torch_pruning.importance.MagnitudeImportance(p=2),
        pruning_ratio=ratio,
        ignored_layers=[last],
        round_to=VECTOR_WIDTH,
    )
    pruner.step()
    return pruned


def shaped_like(network: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """Return the network with its layers' widths changed to those of pruned weights.

    Settings rebuild a family's full width; a pruned artefact carries smaller tensors.
    """
    for name, layer in network.named_modules():
        weight = weights.get(f"{name}.weight")
        if weight is None:
            continue
        if isinstance(layer, nn.Linear):
            layer.out_features, layer.in_features = weight.shape
        elif isinstance(layer, nn.Conv1d):
            layer.out_channels, layer.in_channels = weight.shape[:2]
        for key, _ in list(layer.named_parameters(recurse=False)):
            setattr(layer, key, nn.Parameter(torch.empty_like(weights[f"{name}.{key}"])))
    network.load_state_dict(weights)
    return network
