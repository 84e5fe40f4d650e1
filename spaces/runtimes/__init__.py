"""What executes a deployed network, one file each: every module of this package registers its own.

A runtime lowers a trained network into files, and loads those files into a function of arrays. The
batch size is fixed at lowering, as the problem's deployment says; `InPortions` serves any other
number of samples by calling in portions of that size.
"""

import os
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
    """What a runtime needs to know to lower a network.

    Args:
        candidate: Whose network it is; settings rebuild it where a runtime keeps weights alone.
        shape: What the network reads, noise apart, and answers.
        noise: Normal numbers that it reads behind each sample's inputs.
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
        """Shape of one sample as the network reads it, noise and all."""
        return (*self.shape.inputs[:-1], self.shape.inputs[-1] + self.noise)

    @property
    def settings(self) -> str:
        """What the network was built by, as text: networks of one text differ in weights alone."""
        settings = sorted(self.candidate.architecture_settings.items())
        return f"{self.candidate.architecture} {settings} {self.shape} {self.noise}"

    @property
    def precision(self) -> Precision:
        """Number format to compute in."""
        return self.candidate.precision


def disable_tf32(device: str) -> None:
    """Have float32 mean float32 on a device: cuDNN's own default rounds it to 10 bits."""
    if device == CUDA:
        torch.backends.cudnn.allow_tf32 = False


CPUINFO_FILE = Path("/proc/cpuinfo")

INSTRUCTION_PREFIXES = ("sse", "ssse", "avx", "amx", "fma", "f16c", "bmi", "asimd", "sve")
"""What the names of instruction sets begin with that compilers use for arithmetic."""


def instruction_sets() -> tuple[str, ...]:
    """Return the processor's instruction sets for arithmetic; none where Linux doesn't tell."""
    if not CPUINFO_FILE.exists():
        return ()
    lines = CPUINFO_FILE.read_text(encoding="utf-8").splitlines()
    told = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return tuple(sorted({each for each in told.split() if each.startswith(INSTRUCTION_PREFIXES)}))


def missing_compiler() -> str | None:
    """Return that this machine has no C++ compiler, or None where it has one."""
    return None if shutil.which(os.environ.get("CXX", "g++")) else NO_COMPILER


class Runtime(ABC):
    """One way to execute a network."""

    unsuited: ClassVar[dict[Precision, str]]
    """Precisions it doesn't serve, each with the reason."""
    needs_compiler: ClassVar[bool] = False
    """Whether it needs a C++ compiler to lower a network."""
    portable: ClassVar[bool] = True
    """Whether its files run on another kind of processor."""
    lowering_time_s: ClassVar[float] = 1.0
    """About how long lowering a small network takes on one core [s], until a search has seen it."""
    max_speedup: ClassVar[float] = 3.0
    """How many times faster another deployment of a network may be: of 136 that a compiler, ONNX
    Runtime or OpenVINO had lowered first, 97 % became less than three times faster, one 4.5."""

    def __init__(self, device: str = CPU) -> None:
        self.device = device

    def cannot_lower(self, precision: Precision) -> str | None:
        """Return why a network can't be lowered here, on this machine, or None where it can."""
        return self.cannot_run(precision) or (missing_compiler() if self.needs_compiler else None)

    def cannot_run(self, precision: Precision) -> str | None:
        """Return why what was lowered doesn't run here, on this machine, or None where it does."""
        if self.device == CUDA and not torch.cuda.is_available():
            return NO_CUDA
        return self.unsuited.get(precision)

    def bound_to(self) -> tuple[str, ...]:
        """Return what of this machine the files need: instruction sets, or the kind of GPU."""
        if self.portable:
            return ()
        if self.device == CUDA:
            return (torch.cuda.get_device_name(),)
        return instruction_sets()

    @abstractmethod
    def lower(
        self, network: nn.Module, calibration: Tensor, lowering: Lowering, folder: Path
    ) -> None:
        """Write the network's files into `folder`.

        Args:
            network: Trained, on the CPU, in evaluation mode.
            calibration: Training inputs (n * batch, ...) from which quantisation takes its ranges.
            lowering: Shapes, batch, threads, precision.
            folder: Exists and is empty.
        """

    @abstractmethod
    def load(self, folder: Path, lowering: Lowering) -> Predict:
        """Return a function of exactly `batch` samples."""


RUNTIMES: Registry[Runtime] = Registry("runtime")
register_runtime = RUNTIMES.register


@dataclass(frozen=True)
class FixedBatchPredictor:
    """Serves any number of samples with a network of fixed batch size.

    The last portion is filled with zeros, which no sample sees: no runtime here lets the samples of
    a batch affect each other, but for an LSTM's in int8 in ONNX Runtime, within the tolerance.
    """

    predict: Predict
    batch: int

    def __call__(self, inputs: Array) -> Array:
        """Return (b, o) for inputs (b, ...) float32, b at least one."""
        # Compiled networks read memory as it lies.
        inputs = np.ascontiguousarray(inputs, dtype=np.float32)
        n = len(inputs)
        if n == self.batch:
            return self.predict(inputs)
        answers: list[Array] = []
        for first in range(0, n, self.batch):
            portion = inputs[first : first + self.batch]
            filled = np.zeros((self.batch, *inputs.shape[1:]), dtype=np.float32)
            filled[: len(portion)] = portion
            answers.append(self.predict(filled)[: len(portion)])
        return np.concatenate(answers)
