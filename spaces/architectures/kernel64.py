"""Kernel machines that compute in float64, whose weights may cancel.

Where a simulation is smooth, the weights of a Gaussian process have alternating signs and sizes
that grow as the noise falls: on the oscillator of `simstead new` an error of 0.001 in float64 is
0.03 in float32. Inputs and outputs are float32 as everywhere; what lies between isn't.

Source: Rasmussen & Williams, Gaussian Processes for Machine Learning (MIT Press 2006), section 2.2.
"""

from typing import ClassVar

from torch import Tensor

from problems import Choose, Settings
from spaces.architectures import register_architecture
from spaces.architectures.kernel import OWN, Kernel, KernelFeatures, KernelMachine
from spaces.gaussian_process import KERNELS

MANY_CENTRES = (128, 256, 512, 1024)
"""Searched numbers of centres: with fewer ones float32 is exact enough."""

NO_ROUNDING = (0.0,)
"""Float64 rounds features by so little that weights need no penalty for it."""


class Float64Machine(KernelMachine):
    """A kernel machine in float64 with inputs (b, ...) and outputs (b, o) in float32.

    Args:
        features: The features.
        outputs: Number of outputs o.
    """

    def __init__(self, features: KernelFeatures, outputs: int) -> None:
        super().__init__(features, outputs)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        """Return outputs (b, o) of inputs (b, ...)."""
        return super().forward(x.double()).float()


@register_architecture("kernel64")
class Kernel64(Kernel):
    """Means of Gaussian processes in float64, with as little noise as the samples have."""

    unsuited: ClassVar = {**Kernel.unsuited, "openvino": "it computes in float32 at most"}
    machine = Float64Machine
    roundings = NO_ROUNDING
    first_settings: ClassVar[Settings] = {"kernel": "rbf", "centres": 512, "noise": 1e-9}

    @classmethod
    def settings(cls, choose: Choose) -> Settings:
        """Return chosen kernel, centres and smallest noise.

        Every input has a length scale and a slope of its own, of which the likelihood makes those
        long or small that the outputs don't need: few trials then suffice.
        """
        return {
            "kernel": choose.categorical("kernel", list(KERNELS)),
            "length_scales": OWN,
            "linear": True,
            "centres": choose.categorical("centres", MANY_CENTRES),
            "noise": choose.real("noise", 1e-10, 1e-5, log=True),
        }
