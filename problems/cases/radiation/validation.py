"""Metrics and pictures of predicted fluxes against those of RRTMGP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.radiation.encodings import TROPOPAUSE_PA
from problems.cases.radiation.flux import FLUX_NAMES
from problems.cases.radiation.solver import heating_rate, layer_pressures
from problems.interfaces.pictures import Curve, Picture
from problems.interfaces.problem import Metric
from problems.interfaces.types import Array, Batch

COLUMNS_PLOTTED = 3

METRICS = (
    Metric("flux_error", "W m-2", "rms error of both fluxes over levels and columns"),
    Metric("heating_error", "K day-1", "rms error of the heating rate over all layers"),
    Metric("heating_error_below", "K day-1", "the same below 9948 Pa, RRTMGP's tropopause"),
    Metric("outgoing_error", "W m-2", "rms error of the upward flux at the top"),
    Metric("surface_error", "W m-2", "rms error of the downward flux at the surface"),
    Metric("optical_depth_error", "%", "rms relative error of the layers' optical depths"),
)


@dataclass(frozen=True)
class FluxScore:
    """Score of a set of columns.

    Args:
        spectrum: Part of the spectrum, for the titles of pictures.
    """

    IDENTITY: ClassVar[str] = "radiation/score"

    spectrum: str

    def __call__(self, predicted: Batch, reference: Batch, inputs: Batch) -> Mapping[str, float]:
        """Return the metrics, the error that is minimised first."""
        up, down = (
            np.subtract(predicted[name], reference[name], dtype=float) for name in FLUX_NAMES
        )
        pressure = inputs["pressure"]
        heating = heating_rate(
            up, down, pressure
        )  # linear in fluxes, so this is the error of the heating rate
        depth, true_depth = (
            np.asarray(outputs["optical_depth"], float) for outputs in (predicted, reference)
        )
        below = layer_pressures(pressure) > TROPOPAUSE_PA
        return {
            "flux_error": _rms(np.stack([up, down])),
            "heating_error": _rms(heating),
            "heating_error_below": _rms(heating[below]),
            "outgoing_error": _rms(up[:, 0]),
            "surface_error": _rms(down[:, -1]),
            "optical_depth_error": 100.0 * _rms(depth / true_depth - 1.0),
        }

    def pictures(self, predicted: Batch, reference: Batch, inputs: Batch) -> Sequence[Picture]:
        """Return the heating rate and the error of the fluxes for the first columns.

        Args:
            predicted: Outputs of the surrogate.
            reference: Outputs of the reference.
            inputs: Columns.
        """
        drawn: list[Picture] = []
        for column in range(min(COLUMNS_PLOTTED, len(inputs["pressure"]))):
            level = inputs["pressure"][column]
            layer = tuple(np.log10(layer_pressures(level)))
            heating: list[Curve] = []
            errors: list[Curve] = []
            for name, outputs, truth in (
                ("reference", reference, True),
                ("predicted", predicted, False),
            ):
                up, down = (outputs[f][column : column + 1] for f in FLUX_NAMES)
                rate = heating_rate(up, down, level[None])[0]
                heating.append(Curve(name, tuple(rate), layer, truth))
            for name in FLUX_NAMES:
                error = np.subtract(predicted[name][column], reference[name][column], dtype=float)
                errors.append(Curve(name, tuple(error[1:]), tuple(np.log10(level[1:])), False))
            title = f"Column {column + 1}"
            axis = "log10 of pressure [Pa]"
            drawn += [
                Picture(
                    f"{title}: {self.spectrum} heating", "heating [K/day]", axis, tuple(heating)
                ),
                Picture(f"{title}: error of the fluxes", "error [W/m²]", axis, tuple(errors)),
            ]
        return drawn


def _rms(error: Array) -> float:
    return float(np.sqrt(np.mean(np.square(error))))
