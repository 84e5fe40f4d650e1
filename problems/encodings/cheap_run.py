"""A cheap run of lower fidelity as a further input of an encoding.

The cheap run is part of the surrogate and of its time. The network predicts the outputs of the
reference from inputs and cheap outputs, or their difference from the cheap outputs. Source: Kennedy
& O'Hagan, Predicting the output from a complex computer code when fast approximations are
available, Biometrika 87 (2000) 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from problems.encodings.aligned import AlignedEncoding
from problems.encodings.run_cache import cached_run
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Encoding,
    Field,
    Layout,
    Pairs,
    Predict,
    Run,
    Settings,
    Split,
    Target,
)

SUFFIX = "-cheap"
"""What the name of an encoding has after it with the cheap run."""


@dataclass(frozen=True, eq=False)
class CheapRunEncoding(Encoding):
    """A ready-made encoding that also reads the outputs of a cheap run.

    Args:
        encoding: The encoding of the inputs.
        cheap: The cheap run, with the signature of the reference.
        correction: Searched: whether the network predicts what the reference adds to the cheap run.
        caches_runs: Whether equal batches are run only once, as in training.
    """

    IDENTITY: ClassVar[str] = "cheap-run"

    encoding: AlignedEncoding
    cheap: Run
    correction: bool = True
    caches_runs: bool = False

    @property
    def layout(self) -> Layout:  # pyright: ignore[reportIncompatibleVariableOverride] - by encoding
        """Layout of the encoding of the inputs."""
        return self.encoding.layout

    @property
    def target(self) -> Target:  # pyright: ignore[reportIncompatibleVariableOverride] - by encoding
        """Target of the encoding of the inputs."""
        return self.encoding.target

    @property
    def aligned(self) -> bool:
        """Whether the network predicts at every element."""
        return self.encoding.aligned

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels of the encoding with cheap outputs among its inputs."""
        return self._with_cheap_inputs.channel_names

    def settings(self, choose: Choose) -> Settings:
        """Return the settings of the encoding, and for values whether differences are predicted."""
        settings = self.encoding.settings(choose)
        if self.target is not Target.VALUE:
            return settings
        return {**settings, "correction": choose.categorical("correction", (True, False))}

    def configured(self, settings: Settings) -> Self:
        """Return this encoding with the given settings."""
        inner = {name: value for name, value in settings.items() if name != "correction"}
        correction = bool(settings.get("correction", self.correction))
        encoding = self.encoding.configured(inner)
        return replace(self, encoding=encoding, correction=correction)

    def remembering(self) -> Self:
        """Return this encoding with a cache of cheap runs."""
        return replace(self, caches_runs=True)

    def measure(self, train: Split) -> Batch:
        """Return the statistics of the encoding with cheap outputs among its inputs."""
        return self._with_cheap_inputs.measure(self._extended(train))

    def pairs(self, split: Split) -> Pairs:
        """Return inputs (n, *axes, c) and targets (n, o), a pair for each sample."""
        return self._fitted.pairs(self._extended(split))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return the output fields from a cheap run and one call of the network.

        Args:
            network: The network.
            inputs: Input fields of b samples.
            rng: Generator for the cheap run.
        """
        cheap = self._run_cached(inputs) if self.caches_runs else self.cheap(inputs, rng)
        predicted = self._fitted.apply(network, self._extended_inputs(inputs, cheap), rng)
        if not self._corrects:
            return predicted
        return {
            f.name: np.clip(cheap[f.name] + predicted[f.name], *f.valid)
            for f in self.encoding.outputs
        }

    @property
    def _corrects(self) -> bool:
        return self.correction and self.target is Target.VALUE

    @cached_property
    def _with_cheap_inputs(self) -> AlignedEncoding:
        """The encoding whose inputs are those of the reference and the cheap outputs."""
        outputs = self.encoding.outputs
        inputs = (*self.encoding.inputs, *map(_as_input, outputs))
        if not self._corrects:
            return replace(self.encoding, inputs=inputs)
        transforms = {
            name: transform
            for name, transform in self.encoding.transforms.items()
            if name in {f.name for f in inputs}
        }
        differences = tuple(replace(f, valid=(-np.inf, np.inf)) for f in outputs)
        return replace(self.encoding, inputs=inputs, outputs=differences, transforms=transforms)

    @cached_property
    def _fitted(self) -> AlignedEncoding:
        """The fitted encoding, kept because every call needs it, whose time is measured."""
        return self._with_cheap_inputs.restored(self.statistics)

    def _extended(self, split: Split) -> Split:
        """Return a split with cheap outputs among its inputs, and differences as its outputs."""
        cheap, outputs = self._run_cached(split.inputs), split.outputs
        if self._corrects:
            outputs = {f.name: outputs[f.name] - cheap[f.name] for f in self.encoding.outputs}
        return replace(split, inputs=self._extended_inputs(split.inputs, cheap), outputs=outputs)

    def _extended_inputs(self, inputs: Batch, cheap: Batch) -> Mapping[str, Array]:
        return {**inputs, **{_input_name(f): cheap[f.name] for f in self.encoding.outputs}}

    def _run_cached(self, inputs: Batch) -> Batch:
        return cached_run(_run_once, self.cheap, inputs)


def _run_once(cheap: Run, inputs: Batch) -> Batch:
    return cheap(inputs, np.random.default_rng(0))


def _as_input(output: Field) -> Field:
    """Return the input field that holds an output of the cheap run."""
    return replace(output, name=_input_name(output))


def _input_name(output: Field) -> str:
    return f"cheap_{output.name}"


def with_cheap_run(encodings: Mapping[str, Encoding], cheap: Run) -> dict[str, Encoding]:
    """Return the encodings, and the same once more with the cheap run where they are ready-made.

    Args:
        encodings: Encodings by name.
        cheap: The cheap run.
    """
    extended = dict(encodings)
    for name, encoding in encodings.items():
        if isinstance(encoding, AlignedEncoding):
            extended.setdefault(f"{name}{SUFFIX}", CheapRunEncoding(encoding, cheap))
    return extended
