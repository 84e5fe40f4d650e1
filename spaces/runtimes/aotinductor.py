"""AOTInductor: PyTorch's compiler, ahead of time, into a package of machine code.

Source: Ansel et al., PyTorch 2, ASPLOS 2024.
"""

import copy
import warnings
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn

from problems import Array, Predict
from spaces.candidate import Precision
from spaces.runtimes import Lowering, Runtime, register_runtime
from spaces.runtimes.eager import computing_in

PACKAGE = "network.pt2"


class AOTInductor(Runtime):
    """One `.pt2` file: compiled kernels with the weights frozen in."""

    portable: ClassVar[bool] = False

    unsuited: ClassVar[dict[Precision, str]] = {
        Precision.INT8: "its quantiser has moved to torchao, which isn't used yet"
    }

    def lower(
        self, network: nn.Module, calibration: Tensor, lowering: Lowering, folder: Path
    ) -> None:
        """Export the graph and compile it."""
        from torch._inductor import aoti_compile_and_package  # noqa: PLC0415 - seconds to import

        lowered = computing_in(copy.deepcopy(network), lowering.precision).eval()
        example = calibration[: lowering.batch]
        with warnings.catch_warnings(), torch.no_grad():
            # Inductor and the exporter warn of their own internals; nothing here is ours to mend.
            warnings.simplefilter("ignore")
            program = torch.export.export(lowered, (example,))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            aoti_compile_and_package(
                program,
                package_path=str(folder / PACKAGE),
                inductor_configs={"freezing": True, "compile_threads": 1},
            )

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the compiled package as a function of arrays."""
        from torch._inductor import aoti_load_package  # noqa: PLC0415 - seconds to import

        torch.set_num_threads(lowering.threads)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = aoti_load_package(str(folder / PACKAGE), run_single_threaded=True)

        def predict(inputs: Array) -> Array:
            with torch.inference_mode():
                return compiled(torch.from_numpy(inputs)).numpy()

        return predict


register_runtime("aotinductor")(AOTInductor())
