"""Export of networks as ONNX graphs, with a cache of graphs whose weights are replaced.

Exporting takes half a second or more, nearly all the time of lowering by ONNX Runtime or OpenVINO.
A network is lowered untrained (to be timed), again when it is trained, and for further deployments:
its graph is the same each time.
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
"""Size of the graphs in the cache of a process, weights included; the oldest go first."""


class CachedGraph(NamedTuple):
    """A graph that was written, with a hash of its weights."""

    weights: str
    graph: bytes


graph_cache: dict[str, CachedGraph] = {}
"""The graphs that this process wrote last, by the form of their networks."""


def write_graph(network: nn.Module, example: Tensor, path: Path, settings: str) -> None:
    """Write a network's graph and weights as one ONNX file.

    If this process has written the graph of a network of the same form, that graph is used again,
    with the weights replaced if they differ, provided that its outputs agree with the network's.

    Args:
        network: In float32.
        example: Inputs (batch, ...) of one call.
        path: The file.
        settings: What the network was built from: its printed form doesn't determine the graph.
    """
    shapes = [(name, tuple(weight.shape)) for name, weight in network.state_dict().items()]
    form = f"{settings} {network} {shapes} {tuple(example.shape)}"
    cached, weights = graph_cache.pop(form, None), _hash_weights(network)
    graph = None
    if cached:
        unchanged = cached.weights == weights
        graph = cached.graph if unchanged else replace_weights(cached.graph, network)
    if graph is not None and _agrees(graph, network, example):
        path.write_bytes(graph)
    else:
        export_onnx(network, example, path)
        graph = path.read_bytes()
    graph_cache[form] = CachedGraph(weights, graph)
    while sum(len(entry.graph) for entry in graph_cache.values()) > GRAPH_CACHE_BYTES:
        del graph_cache[next(iter(graph_cache))]


def _hash_weights(network: nn.Module) -> str:
    hashed = sha256()
    for weight in network.state_dict().values():
        hashed.update(weight.contiguous().numpy().tobytes())
    return hashed.hexdigest()


def replace_weights(graph: bytes, network: nn.Module) -> bytes | None:
    """Return a graph with the weights of a network, or None if the graph lacks one of them.

    The exporter omits weights that aren't used, and folds or joins others.
    """
    import onnx  # noqa: PLC0415 - a fifth of a second to import

    model = onnx.load_from_string(graph)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, weight in network.state_dict().items():
        if name not in tensors or list(tensors[name].dims) != list(weight.shape):
            return None
        tensors[name].CopyFrom(onnx.numpy_helper.from_array(weight.numpy(), name))
    return model.SerializeToString()


def _agrees(graph: bytes, network: nn.Module, example: Tensor) -> bool:
    """Return whether a graph's outputs agree with a network's; False if one of them is NaN."""
    (outputs,) = create_session(graph, threads=1).run([OUTPUT], {INPUT: example.numpy()})
    with torch.inference_mode():
        exact = network(example).numpy()
    return relative_distance(outputs, exact) <= NUMBER_FORMATS[Precision.FP32].tolerance


def create_session(graph: bytes | str, threads: int) -> Any:
    """Return a session of ONNX Runtime for a graph, given as bytes or as the name of its file."""
    import onnxruntime  # noqa: PLC0415 - half a second to import

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def export_onnx(network: nn.Module, example: Tensor, path: Path) -> None:
    """Write a network's graph and weights as one ONNX file, by PyTorch's exporter.

    Args:
        network: In float32.
        example: Inputs (batch, ...) of one call.
        path: The file.
    """
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)  # it warns at every export that torchvision is missing
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
