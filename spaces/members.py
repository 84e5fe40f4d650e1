"""The members of an ensemble, stored in its artefact beside their mean for their spread.

Each member is lowered as the mean is, by the same runtime and in the same precision, and is called
through the encoding alone: in a roll-out each member continues from its own outputs (Chua et al.,
NeurIPS 2018). The members are loaded at the first request for a spread.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from problems import Array, Batch, Encoding, Split, Target, UserError
from problems.atomic_files import with_prefix
from problems.interfaces.types import EncodedNetwork
from spaces.precision import NUMBER_FORMATS, relative_distance
from spaces.registered import RUNTIMES
from spaces.runtimes import FixedBatchPredictor, Lowering, whole_calls
from spaces.spread import (
    Calibrated,
    SpreadCalibration,
    calibrate,
    deviations,
    members_variance,
)

MEMBERS_FOLDER = "members"
"""The folder, in an artefact, of the members: one folder for each, with its number."""

MEMBERS_FILE = "members.safetensors"
"""A recorded call of the members, "inputs" (b, ...) and "outputs" (k, b, o), both float32. Arrays
named "errors." and an output field hold the root mean square error of each value on the validation
split."""

ERRORS_PREFIX = "errors."

RANDOM_SEED = 0
"""Seed of what a stochastic encoding draws: it is the same for all members, which thus differ by
their networks alone."""


class EnsembleMembers(NamedTuple):
    """The members of an ensemble, with the samples on which their spread is calibrated.

    Args:
        networks: The trained networks, on the CPU, in evaluation mode.
        validation: The validation split.
    """

    networks: Sequence[nn.Module]
    validation: Split


def member_lowerings(lowering: Lowering) -> tuple[Lowering, ...]:
    """Return the lowering of each member, as that of one network with its seed.

    Args:
        lowering: The lowering of the ensemble, with the batch size of the members.
    """
    candidate = lowering.candidate
    return tuple(
        replace(
            lowering,
            candidate=candidate.model_copy(update={"seed": seed, "ensemble_seeds": ()}),
        )
        for seed in candidate.ensemble_seeds
    )


@dataclass(frozen=True)
class LoweredMembers:
    """The members of an ensemble in the folder of its artefact, with their calibration.

    Args:
        folder: The folder of the artefact.
        lowering: The lowering of the ensemble, with the batch size of the members.
        calibration: Calibration of the spread.
    """

    folder: Path
    lowering: Lowering
    calibration: SpreadCalibration

    @cached_property
    def _recorded(self) -> dict[str, Array]:
        return load_file(self.folder / MEMBERS_FILE)

    @cached_property
    def networks(self) -> tuple[FixedBatchPredictor, ...]:
        """The members as functions of encoded inputs, loaded and compared with a recorded call.

        Raises:
            UserError: The outputs of a member differ from those recorded.
        """
        networks = load_members(self.folder, self.lowering)
        recorded = self._recorded
        tolerance = NUMBER_FORMATS[self.lowering.precision].tolerance
        for number, network in enumerate(networks):
            distance = relative_distance(network(recorded["inputs"]), recorded["outputs"][number])
            if not distance <= tolerance:
                raise UserError(
                    f"the outputs of member {number} of {self.folder} differ by {distance:.2g} "
                    f"(relative) from those recorded; {tolerance:g} is allowed: use the version of "
                    "simstead that wrote them, or search again"
                )
        return networks

    def deviations(self, encoding: Encoding, inputs: Batch) -> dict[str, Array]:
        """Return the standard deviation (b, ...) of each output field.

        Args:
            encoding: The fitted encoding.
            inputs: Input fields of b samples.
        """
        variances = members_variance(_member_outputs(self.networks, encoding, inputs))
        errors = with_prefix(self._recorded, ERRORS_PREFIX)
        return deviations(variances, self.calibration, errors)


def load_members(folder: Path, lowering: Lowering) -> tuple[FixedBatchPredictor, ...]:
    """Return the members of an ensemble as functions of encoded inputs.

    Args:
        folder: The folder of the artefact.
        lowering: The lowering of the ensemble, with the batch size of the members.
    """
    runtime = RUNTIMES[lowering.candidate.runtime]
    return tuple(
        runtime.load_all(folder / MEMBERS_FOLDER / str(number), member, ())
        for number, member in enumerate(member_lowerings(lowering))
    )


def write_members(
    members: EnsembleMembers,
    ensemble: EncodedNetwork,
    calibration: Tensor,
    lowering: Lowering,
    folder: Path,
) -> SpreadCalibration:
    """Lower the members of an ensemble into its artefact, and return their calibration.

    Args:
        members: The members.
        ensemble: The lowered ensemble.
        calibration: Training inputs (n, ...) from which quantisation takes its ranges.
        lowering: The lowering of the ensemble, with the batch size of the members.
        folder: The folder of the artefact.
    """
    runtime = RUNTIMES[lowering.candidate.runtime]
    calls = whole_calls(calibration, lowering.batch)
    lowerings = member_lowerings(lowering)
    for number, (network, member) in enumerate(zip(members.networks, lowerings, strict=True)):
        own_folder = folder / MEMBERS_FOLDER / str(number)
        own_folder.mkdir(parents=True)
        runtime.lower(network, calls, member, own_folder)
    networks = load_members(folder, lowering)
    inputs = calls[: lowering.batch].numpy()
    outputs = np.stack([network(inputs) for network in networks])
    calibrated = _calibrated(members.validation, ensemble, networks, lowering)
    errors = {f"{ERRORS_PREFIX}{name}": array for name, array in calibrated.errors.items()}
    save_file({"inputs": inputs, "outputs": outputs, **errors}, folder / MEMBERS_FILE)
    return calibrated.calibration


def _calibrated(
    split: Split,
    ensemble: EncodedNetwork,
    networks: Sequence[FixedBatchPredictor],
    lowering: Lowering,
) -> Calibrated:
    """Return the calibration on a split; a label's probability is left as its members have it."""
    if lowering.shape.target is not Target.VALUE:
        unfitted = SpreadCalibration(batch=lowering.batch, samples=len(split), fields={})
        return Calibrated(unfitted, {})
    with np.errstate(all="ignore"):
        outputs = ensemble.run(split.inputs, np.random.default_rng(RANDOM_SEED))
        variances = members_variance(_member_outputs(networks, ensemble.encoding, split.inputs))
    return calibrate(outputs, variances, split, lowering.batch)


def _member_outputs(
    networks: Sequence[FixedBatchPredictor], encoding: Encoding, inputs: Batch
) -> Iterator[Batch]:
    """Yield the outputs (b, ...) of each member."""
    for network in networks:
        with np.errstate(all="ignore"):  # a member may diverge where the mean doesn't
            outputs = encoding.apply(network, inputs, np.random.default_rng(RANDOM_SEED))
        yield outputs
