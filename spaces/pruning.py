"""What is taken out of a network: channels, hidden units of recurrent layers, single weights.

Structured pruning makes a network smaller; single weights that are zero leave its shape, and buy
speed only where a runtime skips them: the stopwatch says which.

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
"""Channels are kept in multiples of a vector (AVX-512, fp32): odd counts can triple the latency.
Layers of fewer than `NARROW` channels, of which a ratio would leave none or all, go by halves."""

NARROW_LAYER = 64

PRUNING_RATIOS = {Pruning.STRUCTURED: (0.25, 0.5, 0.75), Pruning.MAGNITUDE: (0.5, 0.75, 0.9)}
"""Shares of channels, or of a layer's weights, that are taken out."""

CRITERIA = ("magnitude", "geometric median")
"""A channel goes whose weights are small, or are nearest to those of all others."""

MASK_ATTRIBUTE = "at_zero"
"""Attribute of a weight that says where it is held at zero."""

GATES_PER_CELL: dict[type[nn.Module], int] = {nn.LSTM: 4, nn.GRU: 3}

SPARSE_CORES = 8
"""CUDA's compute capability from which on tensor cores skip two of four weights (Ampere)."""

SPARSE_ROWS, SPARSE_COLUMNS = 32, 64
"""A matrix's extents must be multiples of these to be packed two of four."""

SPARSE_PRECISIONS = (Precision.FP16, Precision.BF16)
SPARSE_RUNTIME = "eager-cuda"


class NothingToPruneError(Exception):
    """A network has nothing of the kind that is taken out."""


def pruning_incompatibility(pruning: Pruning, runtime: str, precision: Precision) -> str | None:
    """Return why a pruned network can't be deployed so here, or None where it can."""
    if pruning is not Pruning.TWO_OF_FOUR:
        return None
    if not torch.cuda.is_available() or torch.cuda.get_device_capability()[0] < SPARSE_CORES:
        return "two of four weights are skipped by CUDA's sparse tensor cores alone"
    if runtime != SPARSE_RUNTIME or precision not in SPARSE_PRECISIONS:
        return f"weights two of four are packed for {SPARSE_RUNTIME} in fp16 or bf16 alone"
    return None


def settings(pruning: Pruning, choose: Choose) -> dict[str, Scalar]:
    """Ask the search how much is taken out, and by which criterion."""
    chosen: dict[str, Scalar] = {}
    if pruning in PRUNING_RATIOS:
        chosen["ratio"] = choose.categorical("ratio", PRUNING_RATIOS[pruning])
    if pruning is Pruning.STRUCTURED:
        chosen["criterion"] = choose.categorical("criterion", CRITERIA)
    return chosen


def prune(network: nn.Module, pruning: Pruning, chosen: Settings, example: Tensor) -> nn.Module:
    """Return a copy of the network with less in it; single weights taken out stay out in training.

    Args:
        network: On the CPU.
        pruning: What is taken out.
        chosen: What `settings` asked for.
        example: Inputs (b, ...) to trace with.

    Raises:
        NothingToPruneError: No layer's width is free, the rule for recurrent layers doesn't fit, or
            no matrix can be packed two of four.
    """
    smaller = copy.deepcopy(network)
    if pruning is Pruning.STRUCTURED:
        ratio, criterion = float(chosen["ratio"]), str(chosen["criterion"])
        if any(True for _ in _recurrent(smaller)):
            _prune_hidden_units(smaller, ratio, criterion)
        else:
            _prune_channels(smaller, ratio, criterion, example)
        if _size(smaller) == _size(network):
            raise NothingToPruneError(f"no layer is free to lose {ratio:.0%} of its channels")
    elif pruning is Pruning.MAGNITUDE:
        for weight in _matrices(smaller):
            _hold_at_zero(weight, _smallest(weight, float(chosen["ratio"])))
    elif pruning is Pruning.TWO_OF_FOUR:
        layers = sparsifiable_layers(smaller)
        if not layers:
            raise NothingToPruneError(
                f"no linear layer is a multiple of {SPARSE_ROWS} x {SPARSE_COLUMNS}, as sparse "
                "tensor cores take them"
            )
        for layer in layers:
            weight = layer.get_parameter("weight")
            _hold_at_zero(weight, _smaller_two_of_four(weight))
    return smaller


def sparsifiable_layers(network: nn.Module) -> list[nn.Linear]:
    """Return the layers whose weights sparse tensor cores can skip."""
    linear = (layer for layer in network.modules() if isinstance(layer, nn.Linear))
    return [
        layer
        for layer in linear
        if layer.out_features % SPARSE_ROWS == 0 and layer.in_features % SPARSE_COLUMNS == 0
    ]


def remaining_channels(width: int, ratio: float) -> int:
    """Return how many of a layer's channels stay: the nearest multiple, down from between two."""
    step = VECTOR_WIDTH if width >= NARROW_LAYER else HALF_VECTOR_WIDTH
    return min(width, max(step, math.ceil(width * (1.0 - ratio) / step - 0.5) * step))


def _prune_channels(network: nn.Module, ratio: float, criterion: str, example: Tensor) -> None:
    """Take out whole channels, and what they feed, wherever a layer's width is free."""
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.modules.conv._ConvNd)]  # noqa: SLF001 - the base of all convolutions # pyright: ignore[reportPrivateUsage]
    kept = [layer for module in network.modules() for layer in getattr(module, "kept", ())]
    widths = [(layer, layer.weight.shape[0]) for layer in layers]
    importance = torch_pruning.importance
    answers = _answers(network, example)
    with warnings.catch_warnings():
        # Parameters outside of layers, as positions, go with what they are added to: it says so.
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
    for layer in network.modules():  # it leaves those that it doesn't know with their old figures
        _restate_width(layer)
    if _answers(network, example) != answers:
        raise NothingToPruneError(
            "the layer that a network registers last is taken for the one that answers, and here "
            "it isn't: register it last, or set `kept = [layer]` on the module that has it; or say "
            'unsuited = {"structured": ...} of this family'
        )


@torch.no_grad()
def _answers(network: nn.Module, example: Tensor) -> int:
    return network(example).shape[1]


def _size(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _recurrent(network: nn.Module) -> Iterator[nn.LSTM | nn.GRU]:
    return (m for m in network.modules() if isinstance(m, nn.LSTM | nn.GRU))


@torch.no_grad()
def _prune_hidden_units(network: nn.Module, ratio: float, criterion: str) -> None:
    """Take hidden units out of every layer of a recurrent network, equally many of each.

    A unit is all that makes and reads it: its row in every gate, and its column in the recurrent
    weights and in those of the layer that follows.
    """
    layers = list(_recurrent(network))
    heads = [m for m in network.modules() if isinstance(m, nn.Linear)]
    layer, hidden = layers[0], layers[0].hidden_size
    if len(layers) > 1 or layer.bidirectional or [head.in_features for head in heads] != [hidden]:
        raise NothingToPruneError(
            "hidden units are taken out of one recurrent layer that reads forwards, with one "
            'linear layer behind it; say unsuited = {"structured": ...} of this family'
        )
    gates = GATES_PER_CELL[type(layer)]
    left = remaining_channels(hidden, ratio)
    chosen = [_units(layer, i, criterion)[:left].sort().values for i in range(layer.num_layers)]
    for i, units in enumerate(chosen):
        rows = torch.cat([gate * hidden + units for gate in range(gates)])
        biases = (f"bias_ih_l{i}", f"bias_hh_l{i}") if layer.bias else ()
        for name in (f"weight_ih_l{i}", f"weight_hh_l{i}", *biases):
            whole: Tensor = getattr(layer, name)
            weight = whole[rows]
            if name.startswith("weight_hh"):
                weight = weight[:, units]
            elif name.startswith("weight_ih") and i:
                weight = weight[:, chosen[i - 1]]
            setattr(layer, name, nn.Parameter(weight.clone()))
    heads[0].weight = nn.Parameter(heads[0].weight[:, chosen[-1]].clone())
    heads[0].in_features = layer.hidden_size = left
    layer.flatten_parameters()


def _units(layer: nn.LSTM | nn.GRU, i: int, criterion: str) -> Tensor:
    """Return the hidden units of the i-th layer, those to be kept first."""
    hidden = layer.hidden_size
    into, within = (getattr(layer, f"weight_{kind}_l{i}") for kind in ("ih", "hh"))
    rows = [w.view(-1, hidden, w.shape[1]).transpose(0, 1).flatten(1) for w in (into, within)]
    vectors = torch.cat([*rows, within.t()], dim=1)
    if criterion == "magnitude":
        return vectors.norm(dim=1).argsort(descending=True)
    return torch.cdist(vectors, vectors).sum(dim=1).argsort(descending=True)


def _matrices(network: nn.Module) -> list[nn.Parameter]:
    return [weight for weight in network.parameters() if weight.ndim > 1]


def _smallest(weight: Tensor, ratio: float) -> Tensor:
    """Return where a tensor's weights are among the smallest."""
    count = max(1, round(ratio * weight.numel()))
    return weight.abs() <= weight.abs().flatten().kthvalue(count).values


def _smaller_two_of_four(weight: Tensor) -> Tensor:
    """Return where weights are among the smaller two of each four in a row."""
    fours = weight.abs().flatten(1).unflatten(1, (-1, 4))
    return torch.zeros_like(fours, dtype=torch.bool).scatter_(
        2, fours.argsort(dim=2)[..., :2], value=True
    ).reshape(weight.shape)  # fmt: skip


def copy_with_masks(network: nn.Module) -> nn.Module:
    """Return a deep copy whose weights that were taken out stay out, too: hooks aren't copied."""
    twin = copy.deepcopy(network)
    for weight, own in zip(network.parameters(), twin.parameters(), strict=True):
        out: Tensor | None = getattr(weight, MASK_ATTRIBUTE, None)
        if out is not None:
            _hold_at_zero(own, out)
    return twin


def _hold_at_zero(weight: nn.Parameter, out: Tensor) -> None:
    """Set weights to zero and keep them there: without gradient, moments and decay leave zero."""
    weight.data[out] = 0.0
    setattr(weight, MASK_ATTRIBUTE, out)

    def without(gradient: Tensor) -> Tensor:
        return gradient.masked_fill(out.to(gradient.device), 0.0)

    weight.register_hook(without)


def load_pruned_weights(network: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """Return the network with its layers' widths changed to those of pruned weights.

    Settings rebuild a family's full width; a pruned artefact carries smaller tensors.
    """
    for name, layer in network.named_modules():
        own = (*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False))
        for key, full in own:
            smaller = weights.get(f"{name}.{key}" if name else key, full)
            if full.shape != smaller.shape:
                empty = torch.empty_like(smaller)
                kind = nn.Parameter if isinstance(full, nn.Parameter) else nn.Buffer
                setattr(layer, key, kind(empty))
        _restate_width(layer)
    network.load_state_dict(weights)
    return network


def _restate_width(layer: nn.Module) -> None:
    """Have a layer's own figures say what its weights' shapes are."""
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        each = layer.out_channels // layer.groups
        layer.out_channels, a_group_reads = layer.weight.shape[:2]
        if a_group_reads == 1:  # each channel by itself: there are as many groups as are left
            layer.groups = layer.out_channels // each
        layer.in_channels = a_group_reads * layer.groups
    elif isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.affine:  # noqa: SLF001 - the base of all of them # pyright: ignore[reportPrivateUsage]
        (layer.num_features,) = layer.weight.shape
    elif isinstance(layer, nn.LayerNorm | nn.RMSNorm):
        layer.normalized_shape = tuple(layer.weight.shape)
    elif isinstance(layer, nn.LSTM | nn.GRU):
        within: Tensor = getattr(layer, "weight_hh_l0")  # noqa: B009 - typed as a module otherwise
        layer.hidden_size = within.shape[1]
        layer.flatten_parameters()
