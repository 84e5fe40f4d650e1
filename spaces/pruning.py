"""Pruning of channels, of hidden units of recurrent layers, and of single weights.

Structured pruning makes a network smaller. Pruning of single weights keeps its shape, and is faster
only in a runtime that skips zeros, which the stopwatch shows.

Sources: Fang et al., DepGraph, CVPR 2023 (torch-pruning); Li et al., ICLR 2017 (magnitude); He et
al., CVPR 2019 (geometric median); Han et al., NeurIPS 2015 (single weights); Mishra et al., 2021
(two of four).
"""

import copy
import math
import warnings
from collections.abc import Iterator
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from problems import Choose, Scalar, Settings
from spaces.candidate import Precision, Pruning

VECTOR_WIDTH, HALF_VECTOR_WIDTH = 16, 8
"""Channels are kept in multiples of a vector (AVX-512, fp32): odd numbers can triple the latency.
In layers with fewer than `NARROW_LAYER` channels, multiples of half a vector are kept, since a
whole vector would often leave none or all."""

NARROW_LAYER = 64
"""Layers with fewer channels count as narrow."""

PRUNING_RATIOS = {Pruning.STRUCTURED: (0.25, 0.5, 0.75), Pruning.MAGNITUDE: (0.5, 0.75, 0.9)}
"""Searched shares of channels, or of the weights of a layer, that are removed."""

CRITERIA = ("magnitude", "geometric median")
"""Channels are removed whose weights are smallest, or nearest to those of all other channels."""

MASK_ATTRIBUTE = "at_zero"
"""Attribute of a weight: a boolean tensor of its shape, true where the weight stays at zero."""

GATES_PER_CELL: dict[type[nn.Module], int] = {nn.LSTM: 4, nn.GRU: 3}
"""Number of gates of a recurrent layer, whose weights PyTorch stacks."""

SPARSE_CORES = 8
"""Smallest CUDA compute capability whose tensor cores skip two of four weights (Ampere)."""

SPARSE_ROWS, SPARSE_COLUMNS = 32, 64
"""The extents of a matrix must be multiples of these for two-of-four sparsity."""

SPARSE_PRECISIONS = (Precision.FP16, Precision.BF16)
SPARSE_RUNTIME = "eager-cuda"


class NothingToPruneError(Exception):
    """A network has nothing that the pruning could remove."""


def pruning_incompatibility(pruning: Pruning, runtime: str, precision: Precision) -> str | None:
    """Return why a pruned network can't be deployed in this way here, or None if it can.

    Args:
        pruning: How the network is pruned.
        runtime: The runtime that executes it.
        precision: Its number format.
    """
    if pruning is Pruning.TWO_OF_FOUR and not _has_sparse_cores():
        return "only CUDA's sparse tensor cores skip two of four weights"
    return sparsity_incompatibility(pruning, runtime, precision)


def _has_sparse_cores() -> bool:
    return torch.cuda.is_available() and torch.cuda.get_device_capability()[0] >= SPARSE_CORES


def sparsity_incompatibility(pruning: Pruning, runtime: str, precision: Precision) -> str | None:
    """Return why no machine deploys a pruned network in this way, or None if some do.

    Args:
        pruning: How the network is pruned.
        runtime: The runtime that executes it.
        precision: Its number format.
    """
    deployed_sparse = runtime == SPARSE_RUNTIME and precision in SPARSE_PRECISIONS
    if pruning is Pruning.TWO_OF_FOUR and not deployed_sparse:
        return f"two-of-four sparsity is available in {SPARSE_RUNTIME} with fp16 or bf16 only"
    return None


def settings(pruning: Pruning, choose: Choose) -> dict[str, Scalar]:
    """Return chosen settings of a pruning: its ratio and criterion, where it has them."""
    chosen: dict[str, Scalar] = {}
    if pruning in PRUNING_RATIOS:
        chosen["ratio"] = choose.categorical("ratio", PRUNING_RATIOS[pruning])
    if pruning is Pruning.STRUCTURED:
        chosen["criterion"] = choose.categorical("criterion", CRITERIA)
    return chosen


def prune(network: nn.Module, pruning: Pruning, chosen: Settings, example: Tensor) -> nn.Module:
    """Return a pruned copy of the network; single weights that are zero stay zero in training.

    Args:
        network: The network, on the CPU.
        pruning: The kind of pruning.
        chosen: Its settings, from `settings`.
        example: Inputs (b, ...) with which the network is traced.

    Raises:
        NothingToPruneError: No layer's width is free, the recurrent layers aren't supported, or no
            matrix has the extents for two-of-four sparsity.
    """
    smaller = copy.deepcopy(network)
    if pruning is Pruning.STRUCTURED:
        ratio, criterion = float(chosen["ratio"]), str(chosen["criterion"])
        if any(True for _ in _recurrent(smaller)):
            _prune_hidden_units(smaller, ratio, criterion)
        else:
            _prune_channels(smaller, ratio, criterion, example)
        if _count_weights(smaller) == _count_weights(network):
            raise NothingToPruneError(
                f"{ratio:.0%} of the channels can't be removed from any layer"
            )
    elif pruning is Pruning.MAGNITUDE:
        for weight in _matrices(smaller):
            _mask(weight, _smallest(weight, float(chosen["ratio"])))
    elif pruning is Pruning.TWO_OF_FOUR:
        layers = sparsifiable_layers(smaller)
        if not layers:
            raise NothingToPruneError(
                f"no linear layer has extents that are multiples of {SPARSE_ROWS} x "
                f"{SPARSE_COLUMNS}, as sparse tensor cores require"
            )
        for layer in layers:
            weight = layer.get_parameter("weight")
            _mask(weight, _smaller_two_of_four(weight))
    return smaller


def sparsifiable_layers(network: nn.Module) -> list[nn.Linear]:
    """Return the layers that sparse tensor cores can execute."""
    linear = (layer for layer in network.modules() if isinstance(layer, nn.Linear))
    return [
        layer
        for layer in linear
        if layer.out_features % SPARSE_ROWS == 0 and layer.in_features % SPARSE_COLUMNS == 0
    ]


def remaining_channels(width: int, ratio: float) -> int:
    """Return how many channels of a layer are kept: the nearest multiple, the lower of two."""
    step = VECTOR_WIDTH if width >= NARROW_LAYER else HALF_VECTOR_WIDTH
    return min(width, max(step, math.ceil(width * (1.0 - ratio) / step - 0.5) * step))


def _prune_channels(network: nn.Module, ratio: float, criterion: str, example: Tensor) -> None:
    """Remove channels, and the weights that read them, from all layers whose width is free."""
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]  # noqa: SLF001 - the base of all convolutions # pyright: ignore[reportPrivateUsage]
    kept = [layer for module in network.modules() for layer in getattr(module, "kept", ())]
    widths = [(layer, layer.weight.shape[0]) for layer in layers]
    importance = torch_pruning.importance
    n_outputs = _n_outputs(network, example)
    with warnings.catch_warnings():
        # It warns of parameters outside layers, such as positions, which it prunes correctly.
        warnings.simplefilter("ignore", UserWarning)
        pruner: Any = torch_pruning.pruner.BasePruner(
            network,
            example,
            importance=importance.GroupMagnitudeImportance(p=2)
            if criterion == "magnitude"
            else importance.FPGMImportance(p=1),
            pruning_ratio=0.0,
            pruning_ratio_dict={
                layer: 1.0 - remaining_channels(w, ratio) / w for layer, w in widths
            },
            ignored_layers=[layers[-1], *kept],
            round_to=HALF_VECTOR_WIDTH,
        )
    pruner.step()
    for layer in network.modules():  # it doesn't update the attributes of all kinds of layers
        _update_width_attributes(layer)
    if _n_outputs(network, example) != n_outputs:
        raise NothingToPruneError(
            "pruning assumes that the layer registered last computes the outputs, which isn't so "
            "in this network: register that layer last, or set `kept = [layer]` on its module, or "
            'set unsuited = {"structured": ...} in the family'
        )


@torch.no_grad()
def _n_outputs(network: nn.Module, example: Tensor) -> int:
    return network(example).shape[1]


def _count_weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _recurrent(network: nn.Module) -> Iterator[nn.LSTM | nn.GRU]:
    return (m for m in network.modules() if isinstance(m, nn.LSTM | nn.GRU))


@torch.no_grad()
def _prune_hidden_units(network: nn.Module, ratio: float, criterion: str) -> None:
    """Remove the same number of hidden units from every layer of a recurrent network.

    A unit consists of all weights that compute and read it: its row in every gate, and its column
    in the recurrent weights and in those of the next layer.
    """
    layers = list(_recurrent(network))
    heads = [m for m in network.modules() if isinstance(m, nn.Linear)]
    layer, hidden = layers[0], layers[0].hidden_size
    if len(layers) > 1 or layer.bidirectional or [head.in_features for head in heads] != [hidden]:
        raise NothingToPruneError(
            "hidden units can be removed from one unidirectional recurrent module followed by one "
            'linear layer; set unsuited = {"structured": ...} in this family'
        )
    gates = GATES_PER_CELL[type(layer)]
    remaining = remaining_channels(hidden, ratio)
    chosen = [
        _rank_units(layer, i, criterion)[:remaining].sort().values for i in range(layer.num_layers)
    ]
    for i, units in enumerate(chosen):
        rows = torch.cat([gate * hidden + units for gate in range(gates)])
        biases = (f"bias_ih_l{i}", f"bias_hh_l{i}") if layer.bias else ()
        for name in (f"weight_ih_l{i}", f"weight_hh_l{i}", *biases):
            unpruned: Tensor = getattr(layer, name)
            weight = unpruned[rows]
            if name.startswith("weight_hh"):
                weight = weight[:, units]
            elif name.startswith("weight_ih") and i:
                weight = weight[:, chosen[i - 1]]
            setattr(layer, name, nn.Parameter(weight.clone()))
    heads[0].weight = nn.Parameter(heads[0].weight[:, chosen[-1]].clone())
    heads[0].in_features = layer.hidden_size = remaining
    layer.flatten_parameters()


def _rank_units(layer: nn.LSTM | nn.GRU, i: int, criterion: str) -> Tensor:
    """Return the indices (h,) of the hidden units of the i-th layer, those to be kept first."""
    hidden = layer.hidden_size
    weights, recurrent = (getattr(layer, f"weight_{kind}_l{i}") for kind in ("ih", "hh"))
    rows = [w.view(-1, hidden, w.shape[1]).transpose(0, 1).flatten(1) for w in (weights, recurrent)]
    vectors = torch.cat([*rows, recurrent.t()], dim=1)
    if criterion == "magnitude":
        return vectors.norm(dim=1).argsort(descending=True)
    return torch.cdist(vectors, vectors).sum(dim=1).argsort(descending=True)


def _matrices(network: nn.Module) -> list[nn.Parameter]:
    return [weight for weight in network.parameters() if weight.ndim > 1]


def _smallest(weight: Tensor, ratio: float) -> Tensor:
    """Return a mask, of the tensor's shape, of a share of its smallest weights."""
    count = max(1, round(ratio * weight.numel()))
    return weight.abs() <= weight.abs().flatten().kthvalue(count).values


def _smaller_two_of_four(weight: Tensor) -> Tensor:
    """Return a mask, of the tensor's shape, of the smaller two of every four weights in a row."""
    fours = weight.abs().flatten(1).unflatten(1, (-1, 4))
    return torch.zeros_like(fours, dtype=torch.bool).scatter_(
        2, fours.argsort(dim=2)[..., :2], value=True
    ).reshape(weight.shape)  # fmt: skip


def copy_with_masks(network: nn.Module) -> nn.Module:
    """Return a deep copy in which pruned weights stay at zero, too: a plain copy has no hooks."""
    copied = copy.deepcopy(network)
    for original, weight in zip(network.parameters(), copied.parameters(), strict=True):
        mask: Tensor | None = getattr(original, MASK_ATTRIBUTE, None)
        if mask is not None:
            _mask(weight, mask)
    return copied


def _mask(weight: nn.Parameter, mask: Tensor) -> None:
    """Set weights to zero; with zero gradients, the optimiser's moments and decay keep them so."""
    weight.data[mask] = 0.0
    setattr(weight, MASK_ATTRIBUTE, mask)

    def mask_gradient(gradient: Tensor) -> Tensor:
        return gradient.masked_fill(mask.to(gradient.device), 0.0)

    weight.register_hook(mask_gradient)


def load_pruned_weights(network: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """Return the network with pruned weights, to whose shapes its layers are changed.

    A network built from its settings has the full width, whereas the weights of a pruned artefact
    are smaller.

    Args:
        network: The network as built from its settings; changed in place.
        weights: The `state_dict` of the pruned network.
    """
    for name, layer in network.named_modules():
        tensors = (*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False))
        for key, full in tensors:
            smaller = weights.get(f"{name}.{key}" if name else key, full)
            if full.shape != smaller.shape:
                empty = torch.empty_like(smaller)
                kind = nn.Parameter if isinstance(full, nn.Parameter) else nn.Buffer
                setattr(layer, key, kind(empty))
        _update_width_attributes(layer)
    network.load_state_dict(weights)
    return network


def _update_width_attributes(layer: nn.Module) -> None:
    """Set the attributes of a layer, such as `in_features`, from the shapes of its weights."""
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        per_group = layer.out_channels // layer.groups
        layer.out_channels, inputs_per_group = layer.weight.shape[:2]
        if layer.groups > 1 and inputs_per_group == 1:  # depthwise: groups were removed
            layer.groups = layer.out_channels // per_group
        layer.in_channels = inputs_per_group * layer.groups
    elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.affine:  # noqa: SLF001 - the base of all of them # pyright: ignore[reportPrivateUsage]
        (layer.num_features,) = layer.weight.shape
    elif isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        layer.normalized_shape = tuple(layer.weight.shape)
    elif isinstance(layer, nn.LSTM | nn.GRU):
        recurrent: Tensor = getattr(layer, "weight_hh_l0")  # noqa: B009 - typed as a module otherwise
        layer.hidden_size = recurrent.shape[1]
        layer.flatten_parameters()
