"""CUDA graphs: the eager network's kernels, recorded once and launched all together.

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
"""Calls before recording, on a stream of their own, as PyTorch's notes ask."""


class CudaGraphs(Eager):
    """The eager runtime's files; loading records one call between two fixed buffers."""

    max_speedup: ClassVar[float] = Runtime.max_speedup

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the recorded network as a function of arrays."""
        network = rebuild_network(folder, lowering, self.device)
        source = torch.zeros(lowering.batch, *lowering.input_shape, device=self.device)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.no_grad(), torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                network(source)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.no_grad(), torch.cuda.graph(graph):
            answer = network(source)

        def predict(inputs: Array, _held: nn.Module = network) -> Array:
            # The graph reads the weights where they lie: they are there as long as it is.
            source.copy_(torch.from_numpy(inputs))
            graph.replay()
            return answer.cpu().numpy()

        return predict


register_runtime("cudagraphs")(CudaGraphs(CUDA))
