"""A network as an ONNX graph: exported, or the graph of a like one with its own weights.

Exporting takes half a second or more, nearly all that lowering by ONNX Runtime or OpenVINO takes. A
network is lowered untrained, to be timed, once it is trained, and for further deployments: its
graph is the same each time.
"""

import logging
import warnings
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spaces.candidate import Precision
from spaces.precision import NUMBER_FORMATS, relative_distance

INPUT, OUTPUT = "inputs", "outputs"

GRAPH_CACHE_BYTES = 64 * 2**20
"""So much of the graphs that it wrote last does a process keep, weights included."""


class CachedGraph(NamedTuple):
    """A graph that was written, and a hash of the weights that it had."""

    weights: str
    graph: bytes


_remembered: dict[str, CachedGraph] = {}


def write_graph(network: nn.Module, example: Tensor, path: Path, settings: str) -> None:
    """Write a network's graph and weights as one ONNX file.

    The graph of a like network that this process wrote is taken if it answers as this one does:
    with this one's weights, or as it is where these are the same.

    Args:
        network: In float32.
        example: A call's inputs (batch, ...).
        path: The file.
        settings: What it was built by: not all that decides a graph is printed of a network.
    """
    shapes = [(name, tuple(weight.shape)) for name, weight in network.state_dict().items()]
    like = f"{settings} {network} {shapes} {tuple(example.shape)}"
    before, weights = _remembered.pop(like, None), _weights(network)
    graph = None
    if before:
        alike = before.weights == weights
        graph = before.graph if alike else replace_weights(before.graph, network)
    if graph is not None and _answers(graph, network, example):
        path.write_bytes(graph)
    else:
        export(network, example, path)
        graph = path.read_bytes()
    _remembered[like] = CachedGraph(weights, graph)
    while sum(len(each.graph) for each in _remembered.values()) > GRAPH_CACHE_BYTES:
        del _remembered[next(iter(_remembered))]


def _weights(network: nn.Module) -> str:
    found = sha256()
    for weight in network.state_dict().values():
        found.update(weight.contiguous().numpy().tobytes())
    return found.hexdigest()


def replace_weights(graph: bytes, network: nn.Module) -> bytes | None:
    """Return a graph with a network's weights, or nothing where it doesn't hold them all as such.

    The exporter leaves out what isn't used, and folds or joins what it can.
    """
    import onnx  # noqa: PLC0415 - a fifth of a second to import

    model = onnx.load_from_string(graph)
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, weight in network.state_dict().items():
        if name not in held or list(held[name].dims) != list(weight.shape):
            return None
        held[name].CopyFrom(onnx.numpy_helper.from_array(weight.numpy(), name))
    return model.SerializeToString()


def _answers(graph: bytes, network: nn.Module, example: Tensor) -> bool:
    """Return whether a graph answers as a network does; of what isn't a number it never does."""
    (found,) = create_session(graph, threads=1).run([OUTPUT], {INPUT: example.numpy()})
    with torch.inference_mode():
        exact = network(example).numpy()
    return relative_distance(found, exact) <= NUMBER_FORMATS[Precision.FP32].tolerance


def create_session(graph: bytes | str, threads: int) -> Any:
    """Return ONNX Runtime's session of a graph, given itself or by its file's name."""
    import onnxruntime  # noqa: PLC0415 - half a second to import

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def export(network: nn.Module, example: Tensor, path: Path) -> None:
    """Write a network's graph and weights as one ONNX file, as PyTorch's exporter has them."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)  # it says of every export that torchvision isn't there
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            program: Any = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                verbose=False,
                input_names=[INPUT],
                output_names=[OUTPUT],
            )
        program.save(str(path), external_data=False)
    finally:
        exporter.setLevel(level)
