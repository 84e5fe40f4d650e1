"""The surrogate as users load it: an artefact, called as the simulation is."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Self, overload

import numpy as np
from safetensors.numpy import load_file

from problems import Array, Batch, Encoding, Field, Problem, Run, UserError, load_problem
from problems.interfaces.batch_checks import matching_inputs
from problems.interfaces.types import EncodedNetwork, n_samples, take_samples
from spaces.artefact import EXAMPLES, RANGES, STATISTICS
from spaces.input_flags import FlaggedOutputs, input_flags
from spaces.manifest import Manifest, read_manifest
from spaces.members import LoweredMembers
from spaces.precision import relative_distance
from spaces.registered import RUNTIMES
from spaces.runtimes import FixedBatchPredictor
from spaces.spread import Prediction, beyond

DOUBLE = np.dtype(np.float64)

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""Names of fields with the shapes of their arrays."""

MAX_CACHED_SHAPES = 64

NO_SPREAD = (
    "spread=True needs an ensemble, and this surrogate is one network; export an ensemble of its "
    "run, which the report lists (simstead export RUN FOLDER --pick NUMBER). A search makes "
    "ensembles of the networks that it retrains (--retrain)"
)

MEMBERS_NOT_STORED = (
    "spread=True needs the members of the ensemble, which {folder} lacks: an earlier version of "
    "simstead wrote it. Search again"
)


class GuardedOutputs(NamedTuple):
    """Outputs of a surrogate, and of the simulation where the surrogate's spread is too large.

    Args:
        outputs: Outputs (b, ...).
        simulated: Whether the outputs of each sample (b,) are those of the simulation.
    """

    outputs: Batch
    simulated: Array


@dataclass(frozen=True)
class Surrogate(EncodedNetwork):
    """A fitted encoding around a lowered network, with the signature of `Simulation.run`.

    Args:
        inputs: Input fields.
        outputs: Output fields.
        members: The members of an ensemble.
        no_spread: Why there is no spread, where there are no members.
        ranges: Smallest and largest training value (2, ...) by name of the input field.
    """

    inputs: tuple[Field, ...] = ()
    outputs: tuple[Field, ...] = ()
    members: LoweredMembers | None = None
    no_spread: str = NO_SPREAD
    ranges: Batch = field(default_factory=dict[str, Array])

    @overload
    def run(
        self,
        inputs: Batch,
        rng: np.random.Generator | None = None,
        *,
        spread: Literal[False] = False,
        flags: Literal[False] = False,
    ) -> Batch: ...
    @overload
    def run(
        self, inputs: Batch, rng: np.random.Generator | None = None, *, spread: Literal[True]
    ) -> Prediction: ...
    @overload
    def run(
        self, inputs: Batch, rng: np.random.Generator | None = None, *, flags: Literal[True]
    ) -> FlaggedOutputs: ...
    def run(
        self,
        inputs: Batch,
        rng: np.random.Generator | None = None,
        *,
        spread: bool = False,
        flags: bool = False,
    ) -> Batch | Prediction | FlaggedOutputs:
        """Return the predicted outputs; pass `rng` to make samples of a distribution repeatable.

        Args:
            inputs: Arrays of n samples by name of the input field; n may be 0.
            rng: Generator of the samples of a distribution.
            spread: Whether the outputs are returned with their standard deviations, as a
                `Prediction`. The outputs stay the same.
            flags: Whether the outputs are returned with `InputFlags`: which samples have inputs
                that aren't finite (their outputs are NaN), or are outside the declared range or
                that of the training samples.

        Raises:
            UserError: The inputs don't match the input fields; `spread` is true and the
                surrogate is no ensemble or lacks its members; or both options are true.
        """
        if flags:
            if spread:
                raise UserError("spread=True and flags=True are both given; call once for each")
            inputs = matching_inputs(inputs, self.inputs)
            return FlaggedOutputs(
                self.run(inputs, rng), input_flags(inputs, self.inputs, self.ranges)
            )
        if spread:
            return self._run_with_spread(inputs, rng)
        n = self._count_samples(inputs)
        if n < 0:
            inputs = matching_inputs(inputs, self.inputs)
            n = n_samples(inputs)
        if not n:
            return {field.name: np.empty((0, *field.shape)) for field in self.outputs}
        return super().run(inputs, rng)

    def _run_with_spread(self, inputs: Batch, rng: np.random.Generator | None) -> Prediction:
        members = self.members
        if members is None:
            raise UserError(self.no_spread)
        inputs = matching_inputs(inputs, self.inputs)
        outputs = self.run(inputs, rng)
        if n_samples(inputs):
            deviations = members.deviations(self.encoding, inputs)
        else:
            deviations = {name: np.empty_like(array) for name, array in outputs.items()}
        return Prediction(outputs, deviations, members.calibration)

    def run_or_simulate(
        self,
        inputs: Batch,
        simulate: Run,
        max_deviation: Mapping[str, float],
        rng: np.random.Generator | None = None,
    ) -> GuardedOutputs:
        """Return predicted outputs, with those of the simulation where the spread is too large.

        Args:
            inputs: Arrays of n samples by name of the input field.
            simulate: The simulation, called once with the samples left to it, or not at all.
            max_deviation: Largest standard deviation of an output by name of its field, in its
                unit; of an array every value counts. A deviation that isn't finite is too large.
            rng: Generator of both.

        Raises:
            UserError: The inputs don't match the input fields; a threshold isn't a number of at
                least 0, or belongs to no output; the surrogate has no spread; or the simulation
                lacks an output.
        """
        rng = np.random.default_rng() if rng is None else rng
        inputs = matching_inputs(inputs, self.inputs)
        prediction = self.run(inputs, rng, spread=True)
        simulated = beyond(prediction.deviations, max_deviation, self.outputs)
        if not simulated.any():
            return GuardedOutputs(prediction.outputs, simulated)
        exact = simulate(take_samples(inputs, np.flatnonzero(simulated)), rng)
        outputs: dict[str, Array] = {}
        for name, output in prediction.outputs.items():
            if name not in exact:
                raise UserError(f"the simulation returned no {name!r}, which the surrogate does")
            outputs[name] = np.array(output)
            outputs[name][simulated] = exact[name]
        return GuardedOutputs(outputs, simulated)

    @cached_property
    def _shapes(self) -> dict[int, Shapes]:
        """The names and shapes of all inputs, by the number of samples of recent calls."""
        return {}

    def _count_samples(self, inputs: Batch) -> int:
        """Return the number of samples of a batch, -1 if it is anything but a correct batch.

        It runs in every call, whose time is measured: a field takes a third of a microsecond.
        """
        try:
            n = len(inputs[self.inputs[0].name])
            shapes = self._shapes.get(n) or self._shapes_of(n)
            if len(inputs) != len(shapes):
                return -1
            for name, shape in shapes:
                array = inputs[name]
                if array.shape != shape:
                    return -1
                if array.dtype is not DOUBLE and array.dtype.kind not in "fiu":
                    return -1
                if type(array) is not np.ndarray and np.ma.isMaskedArray(array):
                    return -1
        except (AttributeError, IndexError, KeyError, TypeError):
            return -1
        return n

    def _shapes_of(self, n: int) -> Shapes:
        if len(self._shapes) >= MAX_CACHED_SHAPES:
            self._shapes.clear()
        shapes = tuple((field.name, (n, *field.shape)) for field in self.inputs)
        return self._shapes.setdefault(n, shapes)

    @classmethod
    def load(cls, folder: Path | str, problem: Problem | None = None) -> Self:
        """Return the surrogate stored in an artefact.

        PyTorch's runtimes set the number of threads of the process to that of the artefact.

        Args:
            folder: The artefact, or a folder written by `simstead export`.
            problem: The problem of the artefact; if not given, it is loaded from where the search
                had loaded it.

        Raises:
            UserError: The artefact is damaged; it belongs to another problem or kind of machine;
                its problem or runtime isn't available here; or its outputs differ from those
                recorded.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if problem is None:
            problem = _load_problem_of(manifest, folder)
        _check_compatible(manifest, problem, folder)
        candidate = manifest.candidate
        unfitted = _configured_encoding(manifest, problem, folder)
        encoding = unfitted.restored(load_file(folder / STATISTICS))
        network = RUNTIMES[candidate.runtime].load_all(
            folder, manifest.lowering, manifest.further_batches
        )
        _check_recorded_outputs(network, manifest, folder)
        return cls(
            encoding,
            network,
            manifest.noise,
            problem.inputs,
            problem.outputs,
            _stored_members(manifest, folder),
            MEMBERS_NOT_STORED.format(folder=folder) if candidate.ensemble_seeds else NO_SPREAD,
            load_file(folder / RANGES) if (folder / RANGES).is_file() else {},
        )


def _stored_members(manifest: Manifest, folder: Path) -> LoweredMembers | None:
    if manifest.spread is None:
        return None
    lowering = replace(manifest.lowering, batch=manifest.spread.batch)
    return LoweredMembers(folder, lowering, manifest.spread)


def _load_problem_of(manifest: Manifest, folder: Path) -> Problem:
    try:
        return load_problem(manifest.source, manifest.candidate.size)
    except UserError as error:
        raise UserError(
            f"{folder} was made for the problem {manifest.source}, which can't be loaded here "
            f"({error}); pass the problem: Surrogate.load(folder, problem)"
        ) from error


def _configured_encoding(manifest: Manifest, problem: Problem, folder: Path) -> Encoding:
    candidate = manifest.candidate
    try:
        return problem.encodings[candidate.encoding].configured(candidate.encoding_settings)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{folder} was made with the encoding {candidate.encoding!r} and its settings "
            f"{dict(candidate.encoding_settings)}, which {problem.name} no longer has "
            f"({error})"
        ) from error


def _check_compatible(manifest: Manifest, problem: Problem, folder: Path) -> None:
    candidate = manifest.candidate
    if (candidate.problem, candidate.problem_version) != (problem.name, problem.version):
        raise UserError(
            f"{folder} was made for {candidate.problem} version {candidate.problem_version}, "
            f"not {problem.name} version {problem.version}"
        )
    if not manifest.stands_in_for(problem):
        raise UserError(
            f"{folder} was made for {candidate.problem} at size {candidate.size}, "
            "whose simulation has other parameters; load that problem instead"
        )
    runtime = RUNTIMES[candidate.runtime]
    reason = runtime.cannot_run(candidate.precision)
    if reason is not None:
        raise UserError(f"{folder} runs in {candidate.runtime} {candidate.precision}: {reason}")
    missing = set(manifest.bound_to) - set(runtime.bound_to())
    if not runtime.portable and (manifest.machine != platform.machine() or missing):
        without = f", without {', '.join(sorted(missing))}" if missing else ""
        raise UserError(
            f"{folder} was compiled for {manifest.machine}; this is {platform.machine()}{without}: "
            "search on such a machine, or export a trial of another runtime"
        )


def _check_recorded_outputs(network: FixedBatchPredictor, manifest: Manifest, folder: Path) -> None:
    """Compare a network with its recorded call: PyTorch's are rebuilt by code that may change."""
    recorded = load_file(folder / EXAMPLES)
    distances = [
        relative_distance(lowered(recorded["inputs"]), recorded["answers"])
        for lowered in network.by_batch()
    ]
    distance = float(np.max(distances))
    if not distance <= manifest.tolerance:
        writer = manifest.versions.get("simstead", "another version")
        raise UserError(
            f"the outputs of {folder} differ by {distance:.2g} (relative) from those recorded when "
            f"simstead {writer} wrote it; {manifest.tolerance:g} is allowed: use that version, or "
            "search again"
        )
