"""torch.compile: PyTorch's just-in-time compiler, which runs when an artefact is loaded.

Source: Ansel et al., PyTorch 2, ASPLOS 2024.
"""

import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from problems import Array, Predict
from spaces.candidate import Precision
from spaces.runtimes import CPU, CUDA, Lowering, Runtime, missing_compiler, register_runtime
from spaces.runtimes.eager import Eager, cpu_predictor, rebuild_network

OPTIONS: dict[str, Any] = {"freezing": True, "compile_threads": 1}
"""Weights become constants. Kernels aren't chosen by timing, which would slow down each loading."""


class TorchCompile(Eager):
    """Writes the files of the eager runtime; loading compiles the network and calls it once."""

    pads_calls: ClassVar[bool] = True
    lowering_time_s: ClassVar[float] = 15.0
    max_speedup: ClassVar[float] = Runtime.max_speedup

    def cannot_run(self, precision: Precision) -> str | None:
        """Return why not, or None: loading needs a compiler, too."""
        return super().cannot_run(precision) or missing_compiler()

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the compiled network as a function of exactly `batch` samples."""
        torch.set_num_threads(lowering.threads)
        compiled = self.compile_network(rebuild_network(folder, lowering, self.device), lowering)
        if self.device == CPU:
            return cpu_predictor(compiled)

        def predict(inputs: Array) -> Array:
            with torch.inference_mode():
                return compiled(torch.from_numpy(inputs).to(CUDA)).cpu().numpy()

        return predict

    def compile_network(self, network: nn.Module, lowering: Lowering) -> Callable[[Tensor], Tensor]:
        """Return the compiled network, (batch, ...) -> (batch, o), after one call of it."""
        example = torch.zeros(lowering.batch, *lowering.input_shape, device=self.device)
        with warnings.catch_warnings(), redirect_stderr(StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")  # the compiler warns of its internals
            # Exported first: else networks of one family would share and exhaust one compile cache.
            program = torch.export.export(network, (example,)).module()
            compiled: Any = torch.compile(program, fullgraph=True, dynamic=False, options=OPTIONS)
            with torch.inference_mode():
                compiled(example)
        return compiled


register_runtime("compiled")(TorchCompile(CPU))
register_runtime("compiled-cuda")(TorchCompile(CUDA))
