"""Runtimes, which execute deployed networks: a runtime per module, registered by that module.

A runtime lowers a trained network into files, and loads those files as a function of arrays. The
batch size is fixed at lowering, as the problem's deployment states; `FixedBatchPredictor` handles
any other number of samples by several calls.
"""

import os
import platform
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from problems import Array, Predict, Registry
from spaces.architectures import Shape
from spaces.candidate import Candidate, Precision

CPU, CUDA = "cpu", "cuda"

NO_CUDA = "this machine has no CUDA device"
NO_COMPILER = "this machine has no C++ compiler (apt install g++, or set CXX)"


@dataclass(frozen=True)
class Lowering:
    """What a runtime needs to know to lower and load a network.

    Args:
        candidate: The candidate; a runtime that stores weights alone rebuilds the network from its
            settings.
        shape: Shape of the network's inputs, without noise, and outputs.
        noise: Normal random numbers that the network reads after the inputs of each sample.
        batch: Samples per call.
        threads: Threads per call.
    """

    candidate: Candidate
    shape: Shape
    noise: int
    batch: int
    threads: int

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample as the network reads it, including noise."""
        return (*self.shape.inputs[:-1], self.shape.inputs[-1] + self.noise)

    @property
    def settings(self) -> str:
        """What the network was built from, as text; with equal texts, only weights differ."""
        settings = sorted(self.candidate.architecture_settings.items())
        return f"{self.candidate.architecture} {settings} {self.shape} {self.noise}"

    @property
    def precision(self) -> Precision:
        """Number format of the lowered network."""
        return self.candidate.precision


def disable_tf32(device: str) -> None:
    """Disable TensorFloat-32 on a device: by default cuDNN rounds float32 to 10 bits."""
    if device == CUDA:
        torch.backends.cudnn.allow_tf32 = False


CPUINFO_FILE = Path("/proc/cpuinfo")

INSTRUCTION_PREFIXES = ("sse", "ssse", "avx", "amx", "fma", "f16c", "bmi", "asimd", "sve")
"""How the names of instruction sets begin that compilers use for arithmetic."""


def instruction_sets() -> tuple[str, ...]:
    """Return the processor's instruction sets for arithmetic; none if Linux doesn't list them."""
    if not CPUINFO_FILE.exists():
        return ()
    lines = CPUINFO_FILE.read_text(encoding="utf-8").splitlines()
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return tuple(sorted({flag for flag in flags.split() if flag.startswith(INSTRUCTION_PREFIXES)}))


def int8_products_saturate() -> bool:
    """Return whether sums of two int8 products overflow 16 bits on this processor.

    x86 processors without VNNI add pairs of products in 16 bits with saturation (vpmaddubsw), so
    weights may have 7 bits only.
    """
    if platform.machine() not in {"x86_64", "AMD64"}:
        return False
    return not any("vnni" in name for name in instruction_sets())


def missing_compiler() -> str | None:
    """Return a message if this machine has no C++ compiler, or None if it has one."""
    return None if shutil.which(os.environ.get("CXX", "g++")) else NO_COMPILER


class Runtime(ABC):
    """A library that executes networks, on one device."""

    unsuited: ClassVar[dict[Precision, str]]
    """The reason why the runtime doesn't support a precision, by precision."""
    needs_compiler: ClassVar[bool] = False
    """Whether lowering needs a C++ compiler."""
    portable: ClassVar[bool] = True
    """Whether the files can be loaded on another kind of processor."""
    lowering_time_s: ClassVar[float] = 1.0
    """Estimated time of lowering a small network on one core [s], used until it was measured."""
    max_speedup: ClassVar[float] = 3.0
    """Largest expected speed-up of a network by another deployment. Of 136 networks first deployed
    by a compiler, ONNX Runtime or OpenVINO, 97 % became less than 3 times faster, one 4.5 times."""

    def __init__(self, device: str = CPU) -> None:
        self.device = device

    def cannot_lower(self, precision: Precision) -> str | None:
        """Return why a network can't be lowered on this machine, or None if it can."""
        return self.cannot_run(precision) or (missing_compiler() if self.needs_compiler else None)

    def cannot_run(self, precision: Precision) -> str | None:
        """Return why a lowered network can't be executed on this machine, or None if it can."""
        if self.device == CUDA and not torch.cuda.is_available():
            return NO_CUDA
        return self.unsuited.get(precision)

    def bound_to(self) -> tuple[str, ...]:
        """Return what the files need of a machine: instruction sets, or the kind of GPU."""
        if self.portable:
            return ()
        if self.device == CUDA:
            return (torch.cuda.get_device_name(),)
        return instruction_sets()

    @abstractmethod
    def lower(
        self, network: nn.Module, calibration: Tensor, lowering: Lowering, folder: Path
    ) -> None:
        """Write the files of a network into a folder.

        Args:
            network: The trained network, on the CPU, in evaluation mode.
            calibration: Training inputs (n * batch, ...) from which quantisation takes its ranges.
            lowering: Shapes, batch, threads and precision.
            folder: An empty folder.
        """

    @abstractmethod
    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return the lowered network as a function of exactly `batch` samples."""


RUNTIMES: Registry[Runtime] = Registry("runtime")
register_runtime = RUNTIMES.register


@dataclass(frozen=True)
class FixedBatchPredictor:
    """Predicts any number of samples with a network of fixed batch size.

    The last call is filled up with zeros, which don't affect the other samples: in no runtime do
    the samples of a batch affect each other, except for an LSTM in int8 in ONNX Runtime, and there
    within the tolerance.
    """

    predict: Predict
    batch: int

    def __call__(self, inputs: Array) -> Array:
        """Return outputs (b, o) of inputs (b, ...) float32."""
        # Compiled networks ignore strides.
        inputs = np.ascontiguousarray(inputs, dtype=np.float32)
        n = len(inputs)
        if n == self.batch:
            return self.predict(inputs)
        outputs: list[Array] = []
        for first in range(0, max(n, 1), self.batch):  # without samples too, for the width
            part = inputs[first : first + self.batch]
            batch = np.zeros((self.batch, *inputs.shape[1:]), dtype=np.float32)
            batch[: len(part)] = part
            outputs.append(self.predict(batch)[: len(part)])
        return np.concatenate(outputs)
