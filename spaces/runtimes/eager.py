"""PyTorch as it trains: the slowest to call and the one that every network runs in."""

from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from problems import Array, Predict
from spaces.architectures import ARCHITECTURES
from spaces.candidate import Precision
from spaces.precision import FORMATS, ComputedIn
from spaces.pruning import shaped_like
from spaces.runtimes import Lowering, Runtime, register_runtime

WEIGHTS = "network.safetensors"


def computing_in(network: nn.Module, precision: Precision) -> nn.Module:
    """Return the network computing in a precision that PyTorch has a type for."""
    dtype = FORMATS[precision].dtype
    if dtype is None:
        raise ValueError(f"{precision} is a runtime's own")
    return network if dtype is torch.float32 else ComputedIn(network, dtype)


class Eager(Runtime):
    """Weights in safetensors, the network rebuilt from the candidate's settings."""

    unsuited: ClassVar[dict[Precision, str]] = {
        Precision.INT8: "torch.ao's eager quantisation is deprecated and torchao isn't used yet"
    }

    def lower(
        self,
        network: nn.Module,
        calibration: Tensor,  # noqa: ARG002 - the protocol's
        lowering: Lowering,  # noqa: ARG002
        folder: Path,
    ) -> None:
        """Write the weights."""
        save_file(network.state_dict(), folder / WEIGHTS)

    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the rebuilt network as a function of arrays."""
        candidate = lowering.candidate
        family = ARCHITECTURES[candidate.architecture]
        network = family.build(lowering.shape, candidate.architecture_settings)
        network = shaped_like(network, load_file(folder / WEIGHTS)).eval()
        network = computing_in(network, candidate.precision).eval()
        torch.set_num_threads(lowering.threads)

        def predict(inputs: Array) -> Array:
            with torch.inference_mode():
                return network(torch.from_numpy(inputs)).numpy()

        return predict


register_runtime("eager")(Eager())
