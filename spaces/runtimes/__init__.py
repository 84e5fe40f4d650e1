"""Runtimes, which execute deployed networks: a runtime per module, registered by that module.

A runtime lowers a trained network into files, and loads those files as a function of arrays. Most
runtimes fix the batch size at lowering, and are lowered for each batch size of the problem's
deployment; `FixedBatchPredictor` handles any other number of samples by several calls.
"""

import math
import os
import platform
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    files_fix_batch: ClassVar[bool] = True
    """Whether the files are for one batch size, so that any other needs files of its own."""
    pads_calls: ClassVar[bool] = True
    """Whether a call with fewer samples than the batch has to be filled up."""
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
        """Return the lowered network as a function of `batch` samples.

        Where `pads_calls` is false, the function also takes fewer samples.
        """

    def further_batches(self, batches: Sequence[int], batch: int) -> tuple[int, ...]:
        """Return the batch sizes for which a network is lowered besides that of the search.

        Args:
            batches: Batch sizes of the deployment.
            batch: Batch size of the search.
        """
        return tuple(n for n in batches if n != batch and (self.pads_calls or n > batch))

    def lower_further(
        self, network: nn.Module, calibration: Tensor, lowering: Lowering, folder: Path
    ) -> None:
        """Write the files of a further batch size, if it needs any, into a folder in `folder`.

        Args:
            network: The trained network.
            calibration: Training inputs (n, ...), of which whole calls are used.
            lowering: The lowering with the further batch size.
            folder: The folder of the artefact.
        """
        if not self.files_fix_batch:
            return
        own_folder = folder / batch_folder(lowering.batch)
        own_folder.mkdir()
        self.lower(network, whole_calls(calibration, lowering.batch), lowering, own_folder)

    def load_all(
        self, folder: Path, lowering: Lowering, further_batches: Sequence[int]
    ) -> "FixedBatchPredictor":
        """Return the lowered network as a function of any number of samples.

        Args:
            folder: The folder of the artefact.
            lowering: The lowering with the batch size of the search.
            further_batches: Further batch sizes for which the network is lowered.
        """
        others: dict[int, Predict] = {}
        for batch in further_batches:
            own_folder = folder / batch_folder(batch) if self.files_fix_batch else folder
            others[batch] = self.load(own_folder, replace(lowering, batch=batch))
        predict = self.load(folder, lowering)
        return FixedBatchPredictor(predict, lowering.batch, others, pads=self.pads_calls)


def whole_calls(calibration: Tensor, batch: int) -> Tensor:
    """Return calibration inputs (n * batch, ...), repeated where there are fewer than one call's.

    Args:
        calibration: Training inputs (m, ...).
        batch: Samples per call.
    """
    rows = batch * max(1, len(calibration) // batch)
    return calibration[torch.arange(rows) % len(calibration)]


def batch_folder(batch: int) -> str:
    """Return the name of the folder, in an artefact, of the files of a further batch size."""
    return f"batch-{batch}"


RUNTIMES: Registry[Runtime] = Registry("runtime")
register_runtime = RUNTIMES.register


@dataclass(frozen=True)
class FixedBatchPredictor:
    """Predicts any number of samples with a network lowered for one or several batch sizes.

    The samples are split into calls of the largest batch size. The rest is left to the smallest
    batch size that fits. It is filled up with zeros, which don't affect the other samples: in no
    runtime do the samples of a batch affect each other, except for an LSTM in int8 in ONNX Runtime,
    and there within the tolerance.

    Args:
        predict: The network with the batch size of the search.
        batch: That batch size.
        others: The network lowered for further batch sizes, by batch size.
        pads: Whether calls are filled up; otherwise the functions take fewer samples as well.
    """

    predict: Predict
    batch: int
    others: Mapping[int, Predict] = field(default_factory=dict[int, Predict])
    pads: bool = True

    def __call__(self, inputs: Array) -> Array:
        """Return outputs (b, o) of inputs (b, ...) float32; NaN where an input isn't finite."""
        # Compiled networks ignore strides.
        inputs = np.ascontiguousarray(inputs, dtype=np.float32)
        # A NaN or an infinity is in the sum of squares, too, which is the fastest test of all.
        if not math.isfinite(np.vdot(inputs, inputs)):
            return self._without_invalid(inputs)
        return self._predicted(inputs)

    def _without_invalid(self, inputs: Array) -> Array:
        """Return the outputs, NaN for samples of which an input isn't finite.

        Integer networks take NaN for a number, and some activations for 0.
        """
        valid = np.asarray(np.isfinite(inputs).reshape(len(inputs), -1).all(axis=1))
        shape = (len(inputs), *[1] * (inputs.ndim - 1))
        outputs = self._predicted(np.where(valid.reshape(shape), inputs, np.float32(0.0)))
        return np.where(valid[:, None], outputs, np.float32(np.nan))

    def _predicted(self, inputs: Array) -> Array:
        n = len(inputs)
        if n == self.batch:
            return self.predict(inputs)
        outputs: list[Array] = []
        first = 0
        while first < n or not outputs:  # without samples too, for the width
            size = self._fitting_batch(n - first)
            predict = self.predict if size == self.batch else self.others[size]
            part = inputs[first : first + size]
            outputs.append(predict(self._filled(part, size))[: len(part)])
            first += size
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    def by_batch(self) -> "list[FixedBatchPredictor]":
        """Return a predictor for each batch size, which uses that batch size alone."""
        others = [replace(self, predict=self.others[n], batch=n, others={}) for n in self.others]
        return [replace(self, others={}), *others]

    @property
    def batches(self) -> tuple[int, ...]:
        """The batch sizes, in increasing order."""
        return tuple(sorted((self.batch, *self.others)))

    def _fitting_batch(self, n: int) -> int:
        """Return the smallest batch size that is at least n, or else the largest."""
        batches = self.batches if self.others else (self.batch,)
        return next((size for size in batches if size >= n), batches[-1])

    def _filled(self, part: Array, size: int) -> Array:
        """Return samples (size, ...), the last of them zeros; without padding, those given."""
        if len(part) == size or (len(part) and not self.pads):
            return part
        filled = np.zeros((size, *part.shape[1:]), dtype=np.float32)
        filled[: len(part)] = part
        return filled
