"""CUDA graphs: the kernels of the eager network, recorded once and launched together.

Source: Nguyen et al., Accelerating PyTorch with CUDA graphs, PyTorch blog, 2021.
"""

from pathlib import Path
from typing import ClassVar

import torch
from torch import nn

from problems import Array, Predict
from spaces.runtimes import CUDA, Lowering, Runtime, register_runtime
from spaces.runtimes.eager import Eager, rebuild_network

WARM_UP = 3
"""Calls before recording, on a separate stream, as PyTorch's documentation requires."""


class CudaGraphs(Eager):
    """Writes the files of the eager runtime; loading records one call between two fixed buffers."""

    pads_calls: ClassVar[bool] = True
    max_speedup: ClassVar[float] = Runtime.max_speedup

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the recorded network as a function of exactly `batch` samples."""
        network = rebuild_network(folder, lowering, self.device)
        inputs_buffer = torch.zeros(lowering.batch, *lowering.input_shape, device=self.device)
        side_stream = torch.cuda.Stream()
        side_stream.wait_stream(torch.cuda.current_stream())
        with torch.no_grad(), torch.cuda.stream(side_stream):
            for _ in range(WARM_UP):
                network(inputs_buffer)
        torch.cuda.current_stream().wait_stream(side_stream)
        graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(graph):
            outputs_buffer = network(inputs_buffer)

        def predict(inputs: Array, _network: nn.Module = network) -> Array:
            # The default argument keeps the weights alive, whose memory the graph reads.
            inputs_buffer.copy_(torch.from_numpy(inputs))
            graph.replay()
            return outputs_buffer.cpu().numpy()

        return predict


register_runtime("cudagraphs")(CudaGraphs(CUDA))
