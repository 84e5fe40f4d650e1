"""Which inputs of a surrogate of labels matter, by differences of its network's logits.

Most runtimes give no gradients, so that the network of the artefact is called with inputs that are
moved by half a standard deviation to either side. For a single input, the mean |difference| is that
of |d logit / d input| times the standard deviation; an element, or a channel of all elements, is
moved in random directions. Inputs are those of the network, as its encoding makes them.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from problems import Array, Encoding, Layout, Split
from problems.contract.evidence import RecordingNetwork
from problems.interfaces.types import EncodedNetwork
from problems.label_scores import SMALLEST_PROBABILITY
from search.final.label_results import InputChange
from search.timing.reference import evenly_spaced_inputs

MAX_SAMPLES = 256
"""Test samples at most."""

FEWEST_SAMPLES = 8
"""Test samples at least. Elements are left out where so many would take too long."""


class InputPart(NamedTuple):
    """A part of a network's input that is moved together.

    Args:
        name: Name of the channel, or index of the element.
        place: Index of the part in one input.
    """

    name: str
    place: tuple[int | slice, ...]


class InputChanges(NamedTuple):
    """The changes by parts of the input.

    Args:
        samples: Number of test samples.
        channels: Those of each channel.
        elements: Those of each element; () for flat inputs, and where they would take too long.
    """

    samples: int
    channels: tuple[InputChange, ...]
    elements: tuple[InputChange, ...]


def input_changes(surrogate: EncodedNetwork, split: Split, budget_s: float) -> InputChanges:
    """Return how much each channel and element of a network's input changes its logits.

    Args:
        surrogate: A surrogate of labels.
        split: The test split, of which evenly spaced samples are used.
        budget_s: About the time that it may take [s].
    """
    inputs = network_inputs(surrogate, split, FEWEST_SAMPLES)
    channels = list(_channels(surrogate.encoding, inputs.shape[1:]))
    elements = list(_elements(surrogate.encoding, inputs.shape[1:]))
    surrogate.network(inputs)  # the first call may compile
    started = time.perf_counter()
    surrogate.network(inputs)
    call_s = time.perf_counter() - started
    if 2 * len(elements) * call_s > budget_s:
        elements = []
    calls = budget_s / (2 * len([*channels, *elements]) * call_s)
    affordable = max(FEWEST_SAMPLES, int(FEWEST_SAMPLES * calls))
    samples = min(len(split), MAX_SAMPLES, affordable)
    inputs = network_inputs(surrogate, split, samples)
    return InputChanges(
        samples,
        _changes(surrogate, inputs, channels),
        _changes(surrogate, inputs, elements),
    )


def network_inputs(surrogate: EncodedNetwork, split: Split, samples: int) -> Array:
    """Return what the network reads for evenly spaced samples of a split (n, ...).

    Args:
        surrogate: The surrogate.
        split: The split.
        samples: Number of samples; an encoding may make several inputs of one.
    """
    network = RecordingNetwork(surrogate.network, [])
    recording = EncodedNetwork(surrogate.encoding, network)
    recording.run(evenly_spaced_inputs(split, samples), np.random.default_rng(0))
    return np.concatenate(network.recorded_inputs)


def _channels(encoding: Encoding, shape: tuple[int, ...]) -> Iterator[InputPart]:
    """Yield the channels of an input, of a graph those of nodes and of edges."""
    is_graph = encoding.layout is Layout.GRAPH
    names = encoding.channel_names
    if len(names) > shape[-1] or (not is_graph and len(names) < shape[-1]):
        names = ()
    everywhere = (slice(None),) * (len(shape) - 1)
    nodes = (slice(None), 0) if is_graph else everywhere
    for index in range(len(names) or shape[-1]):
        yield InputPart(names[index] if names else f"channel {index}", (*nodes, index))
    if is_graph:
        for index in range(shape[-1]):
            yield InputPart(f"edges, channel {index}", (slice(None), slice(1, None), index))


def _elements(encoding: Encoding, shape: tuple[int, ...]) -> Iterator[InputPart]:
    """Yield the elements of an input with all their channels; of a graph nodes with their edges."""
    for index in np.ndindex(*(shape[:1] if encoding.layout is Layout.GRAPH else shape[:-1])):
        if index:
            yield InputPart(f"[{', '.join(map(str, index))}]", index)


def _changes(
    surrogate: EncodedNetwork, inputs: Array, parts: list[InputPart]
) -> tuple[InputChange, ...]:
    """Return the changes by parts of the input, the largest first; none by what is constant."""
    rng = np.random.default_rng(0)
    # The deviation of a constant may be one of rounding.
    scale = np.where(np.ptp(inputs, axis=0) > 0.0, 0.5 * inputs.std(axis=0), 0.0)
    changes: list[InputChange] = []
    for part in parts:
        moved = scale[part.place]
        if not np.any(moved):
            continue
        signs = rng.choice(np.array([-1.0, 1.0]), (len(inputs), *np.shape(moved)))
        sides: list[Array] = []
        for side in (1.0, -1.0):
            shifted = inputs.copy()
            shifted[:, *part.place] += (side * signs * moved).astype(inputs.dtype)
            sides.append(_logits(surrogate.network(shifted)))
        change = float(np.mean(np.abs(sides[0] - sides[1])))
        changes.append(InputChange(name=part.name, change=change))
    return tuple(sorted(changes, key=lambda each: -each.change))


def _logits(probabilities: Array) -> Array:
    """Return the logarithm of the odds, of probabilities (n, o)."""
    p = np.clip(probabilities.astype(float), SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
    return np.log(p) - np.log1p(-p)
