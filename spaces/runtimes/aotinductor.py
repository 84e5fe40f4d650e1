"""AOTInductor: PyTorch's ahead-of-time compiler, which writes a package of machine code.

Source: Ansel et al., PyTorch 2, ASPLOS 2024.
"""

import copy
import warnings
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from problems import Array, Predict
from spaces.candidate import Precision
from spaces.precision import cast_network
from spaces.runtimes import CPU, CUDA, Lowering, Runtime, disable_tf32, register_runtime

PACKAGE = "network.pt2"

OPTIONS: dict[str, Any] = {"freezing": True, "max_autotune": True, "compile_threads": 1}
"""Weights become constants, and kernels are chosen by timing: a small network becomes four times as
fast at batch 1. One thread compiles, since other trials run on the other cores."""


class AOTInductor(Runtime):
    """Writes one `.pt2` file: compiled kernels that contain the weights."""

    needs_compiler: ClassVar[bool] = True
    portable: ClassVar[bool] = False
    lowering_time_s: ClassVar[float] = 30.0

    unsuited: ClassVar[dict[Precision, str]] = {
        Precision.INT8: "its quantisation has moved to torchao, which isn't used yet"
    }

    def lower(
        self, network: nn.Module, calibration: Tensor, lowering: Lowering, folder: Path
    ) -> None:
        """Export the graph and compile it."""
        from torch._inductor import aoti_compile_and_package  # noqa: PLC0415 - seconds to import

        disable_tf32(self.device)
        lowered = cast_network(copy.deepcopy(network), lowering.precision).eval().to(self.device)
        example = calibration[: lowering.batch].to(self.device)
        with warnings.catch_warnings(), redirect_stderr(StringIO()), torch.no_grad():
            # Both warn of their internals and print which kernels they timed.
            warnings.simplefilter("ignore")
            program = torch.export.export(lowered, (example,))
            aoti_compile_and_package(
                program, package_path=str(folder / PACKAGE), inductor_configs=dict(OPTIONS)
            )

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the compiled package as a function of arrays."""
        from torch._inductor import aoti_load_package  # noqa: PLC0415 - seconds to import

        disable_tf32(self.device)
        torch.set_num_threads(lowering.threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package: Any = aoti_load_package(str(folder / PACKAGE), run_single_threaded=True)
        run = package.loader.run  # calling the package itself would flatten the arguments, in vain
        if self.device == CUDA:

            def predict_on_cuda(inputs: Array) -> Array:
                return run([torch.from_numpy(inputs).to(CUDA)])[0].cpu().numpy()

            return predict_on_cuda

        # Creating a tensor at each call would take as long as a small network.
        with torch.inference_mode():
            tensor = torch.empty(lowering.batch, *lowering.input_shape)
        buffer = tensor.numpy()

        def predict(inputs: Array) -> Array:
            buffer[...] = inputs
            return run([tensor])[0].numpy()

        return predict


register_runtime("aotinductor")(AOTInductor(CPU))
register_runtime("aotinductor-cuda")(AOTInductor(CUDA))
