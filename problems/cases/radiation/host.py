"""A host of longwave radiation: the adjustment of the stratosphere to fourfold carbon dioxide.

The method is fixed dynamical heating (Fels et al., J. Atmos. Sci. 37 (1980) 2265; Forster & Shine,
J. Geophys. Res. 102 (1997) 10841). Before the change dynamics balance the radiative heating of a
layer. After the change the dynamical heating stays constant, and the sum of both warms the layer.
Temperatures below the 100 hPa level are constant.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from problems.cases.radiation.profiles import CO2_EXPERIMENTS, rfmip_columns
from problems.cases.radiation.solver import heating_rate, layer_pressures
from problems.interfaces.types import Array, Batch, Run, take_samples

ADJUSTMENT_PRESSURE_PA = 1e4
"""Pressure below which layers adjust [Pa]."""

MIN_TEMPERATURE, MAX_TEMPERATURE = 160.0, 355.0
"""Range of the tables of RRTMGP [K], to which temperatures are clipped."""


@dataclass(frozen=True)
class StratosphericAdjustment:
    """Adjustment of present-day RFMIP columns to 1137 ppm of carbon dioxide.

    Args:
        sites: RFMIP sites, held out from training.
        steps: Number of time steps.
        step_days: Length of a time step [days]; explicit Euler is stable at half a day.
    """

    sites: tuple[int, ...]
    steps: int
    step_days: float = 0.5

    def __call__(self, kernel: Run, rng: np.random.Generator) -> Batch:
        """Return forcings (b,) [W m-2], positive downward, and the adjustment (b, l) [K]."""
        present, fourfold = (
            take_samples(rfmip_columns(CO2_EXPERIMENTS[name]), np.array(self.sites))
            for name in ("present", "fourfold")
        )
        before = kernel(present, rng)
        balance = _heating(before, present)
        changed = kernel(fourfold, rng)
        level = present["pressure"]
        adjusts = layer_pressures(level) < ADJUSTMENT_PRESSURE_PA
        temperature, now = present["temperature"], changed
        for _ in range(self.steps):
            heating = np.where(adjusts, _heating(now, present) - balance, 0.0)
            temperature = np.clip(
                temperature + self.step_days * heating, MIN_TEMPERATURE, MAX_TEMPERATURE
            )
            now = kernel({**fourfold, "temperature": temperature}, rng)
        return {
            "forcing_top": _net_down(changed, 0) - _net_down(before, 0),
            "forcing_surface": _net_down(changed, -1) - _net_down(before, -1),
            "adjusted_forcing_top": _net_down(now, 0) - _net_down(before, 0),
            "adjustment": temperature - present["temperature"],
        }


def host_score(predicted: Batch, reference: Batch) -> Mapping[str, float]:
    """Return the rms errors of forcings [W m-2] and of the adjustment of temperatures [K]."""
    units = {name: "K" if name == "adjustment" else "W m-2" for name in reference}
    return {
        f"{name.replace('_', ' ')} [{unit}]": float(
            np.sqrt(np.mean((np.asarray(predicted[name]) - reference[name]) ** 2))
        )
        for name, unit in units.items()
    }


def _heating(fluxes: Batch, columns: Batch) -> Array:
    return heating_rate(fluxes["flux_up"], fluxes["flux_down"], columns["pressure"])


def _net_down(fluxes: Batch, level: int) -> Array:
    return np.subtract(fluxes["flux_down"][:, level], fluxes["flux_up"][:, level], dtype=float)
