"""Encodings of pairs of tops, whose muons and jets differ in number from event to event."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from problems.cases.events.encodings import LOG_PT_RANGE, EventEncoding, QuantileMap, on_shell
from problems.cases.events.observables import (
    AZIMUTH,
    PSEUDORAPIDITY,
    TRANSVERSE,
    collider_coordinates,
    four_momenta,
    masses,
    wrapped,
)
from problems.cases.events.top_observables import (
    JETS,
    LARGEST_JET_PSEUDORAPIDITY,
    SMALLEST_JET_GEV,
    are_present,
    first_muon,
)
from problems.interfaces.types import Array, Batch

MINUS_ALONE, PLUS_ALONE, BOTH_MUONS = range(3)

JET_COLUMNS = 4
SECOND_MUON, FIRST_JET_COLUMN = slice(6, 9), 9
"""Columns of the coordinates; before them are both counts, missing momentum and the first muon."""

LOG_STEP_RANGE, LOG_MASS_SHARE_RANGE = (-14.0, 2.0), (-14.0, 1.0)
"""Ranges of drawn logarithms: of steps between jets, and of the mass of a jet over its momentum."""

LOWEST_FREQUENCY, FREQUENCY_STEP = 23.0, 4.7
"""Frequencies by which `_digits` makes numbers of the missing momentum."""

MARGIN = 0.05
"""Distance of the fraction of a count from whole numbers: rounding doesn't change a count."""


@dataclass(frozen=True, eq=False)
class TopEncoding(EventEncoding):
    """Coordinates that don't change when an event is turned around the beam, of any objects.

    They are which muons there are, the number of jets, logarithm and azimuth of the missing
    momentum, log pT and pseudorapidity of the first muon, the same and the azimuth of the second,
    and of each jet the logarithm of log(pT / pT of the next one), pseudorapidity, azimuth, and the
    logarithm of mass over pT. Azimuths are relative to the first muon, less pi. Decoded jets are in
    order and within the cuts for any network, and muons are on their mass shells.

    A density is finite only if all coordinates are continuous. Counts receive a fraction, and the
    coordinates of absent objects are uniform numbers, which decoding ignores.
    """

    IDENTITY: ClassVar[str] = "events/top-invariant"

    def coordinates(self, events: Batch) -> Array:
        """Return the coordinates (b, 25) of events."""
        missing, jets, leptons = (
            np.asarray(events[name], float) for name in ("missing", "jets", "leptons")
        )
        there, both = are_present(jets), np.all(are_present(leptons), axis=1)
        alone = np.where(are_present(leptons[:, 0]), MINUS_ALONE, PLUS_ALONE)
        muons = np.stack([first_muon(leptons), leptons[:, 1]], axis=1)
        transverse, eta, azimuth = np.moveaxis(collider_coordinates(muons), -1, 0)
        log_missing = np.log(np.maximum(np.hypot(missing[:, 0], missing[:, 1]), 1e-3))
        around = np.arctan2(missing[:, 1], missing[:, 0])

        def relative(angle: Array) -> Array:
            return wrapped(angle - azimuth[:, 0] - np.pi)

        log_pt = np.log(transverse)
        columns = [
            np.where(both, BOTH_MUONS, alone),
            there.sum(axis=1),
            log_missing,
            relative(around),
            log_pt[:, 0],
            eta[:, 0],
            log_pt[:, 1],
            eta[:, 1],
            relative(azimuth[:, 1]),
            *_jet_columns(jets, azimuth[:, 0]),
        ]
        values = np.stack(columns, axis=1).astype(float)
        digits = _digits(log_missing, values.shape[1])
        values[:, :2] += MARGIN + (1.0 - 2.0 * MARGIN) * digits[:, :2]
        values[:, SECOND_MUON] = np.where(
            both[:, None], values[:, SECOND_MUON], digits[:, SECOND_MUON]
        )
        of_jets = np.s_[:, FIRST_JET_COLUMN:]
        values[of_jets] = np.where(
            np.repeat(there, JET_COLUMNS, axis=1), values[of_jets], digits[of_jets]
        )
        return values

    def events(self, coordinates: Array, rng: np.random.Generator) -> Batch:
        """Return events that are turned by a random azimuth."""
        first = rng.uniform(-np.pi, np.pi, len(coordinates))
        kind = np.clip(np.floor(coordinates[:, 0]), MINUS_ALONE, BOTH_MUONS)
        number = np.clip(np.floor(coordinates[:, 1]), 0, JETS)
        log_missing = np.clip(coordinates[:, 2], *LOG_PT_RANGE)
        around = first + np.pi + coordinates[:, 3]
        missing = np.exp(log_missing)[:, None] * np.stack([np.cos(around), np.sin(around)], axis=1)
        muon = on_shell(coordinates[:, 4], coordinates[:, 5], first)
        log_pt, eta, opening = coordinates[:, SECOND_MUON].T
        second = on_shell(log_pt, eta, wrapped(first + np.pi + opening))
        leptons = np.stack(
            [
                np.where((kind != PLUS_ALONE)[:, None], muon, 0.0),
                np.where(
                    (kind == MINUS_ALONE)[:, None],
                    0.0,
                    np.where((kind == PLUS_ALONE)[:, None], muon, second),
                ),
            ],
            axis=1,
        )
        jets = _jets(coordinates[:, FIRST_JET_COLUMN:], number, first)
        return {"missing": missing, "jets": jets, "leptons": leptons}


@dataclass(frozen=True, eq=False)
class TopQuantileEncoding(QuantileMap, TopEncoding):
    """The same coordinates, each mapped to a normal variable."""

    IDENTITY: ClassVar[str] = "events/top-quantile"


def _jet_columns(jets: Array, first: Array) -> list[Array]:
    """Return four coordinates of each jet (b,), without meaning for absent ones.

    Args:
        jets: Momenta (b, 4, 4) [GeV], hardest first.
        first: Azimuth of the first muon (b,) [rad].
    """
    measured = collider_coordinates(jets)
    log_pt = np.log(np.maximum(measured[..., TRANSVERSE], SMALLEST_JET_GEV))
    floor = np.full((len(jets), 1), np.log(SMALLEST_JET_GEV))
    steps = -np.diff(np.concatenate([log_pt, floor], axis=1), axis=1)
    log_steps = np.log(np.maximum(steps, np.exp(LOG_STEP_RANGE[0])))
    share = masses(jets) / np.maximum(measured[..., TRANSVERSE], SMALLEST_JET_GEV)
    log_share = np.log(np.maximum(share, np.exp(LOG_MASS_SHARE_RANGE[0])))
    azimuth = wrapped(measured[..., AZIMUTH] - first[:, None] - np.pi)
    by_jet = np.stack([log_steps, measured[..., PSEUDORAPIDITY], azimuth, log_share], axis=2)
    return list(by_jet.reshape(len(jets), -1).T)


def _jets(columns: Array, number: Array, first: Array) -> Array:
    """Return jets (b, 4, 4) [GeV].

    Args:
        columns: Their coordinates (b, 16).
        number: Number of jets (b,).
        first: Azimuth of the first muon (b,) [rad].
    """
    log_steps, eta, azimuth, log_share = np.moveaxis(columns.reshape(-1, JETS, JET_COLUMNS), -1, 0)
    there = np.arange(JETS) < number[:, None]
    steps = np.where(there, np.exp(np.clip(log_steps, *LOG_STEP_RANGE)), 0.0)
    log_pt = np.log(SMALLEST_JET_GEV) + np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]
    transverse = np.exp(np.minimum(log_pt, LOG_PT_RANGE[1]))
    bounded = np.clip(eta, -LARGEST_JET_PSEUDORAPIDITY, LARGEST_JET_PSEUDORAPIDITY)
    around = wrapped(azimuth + first[:, None] + np.pi)
    mass = transverse * np.exp(np.clip(log_share, *LOG_MASS_SHARE_RANGE))
    jets = four_momenta(np.stack([transverse, bounded, around], axis=-1), mass)
    return np.where(there[..., None], jets, 0.0)


def _digits(log_missing: Array, columns: int) -> Array:
    """Return numbers (b, columns) that are uniform from 0 to 1 and about independent.

    They are triangular waves of the logarithm of the missing momentum. Random numbers won't do:
    the coordinates of an event must be the same in any batch. A wave is continuous: rounding
    changes it little.

    Args:
        log_missing: Logarithm of the missing momentum (b,).
        columns: Number of columns.
    """
    frequencies = LOWEST_FREQUENCY + FREQUENCY_STEP * np.arange(columns)
    return np.abs(2.0 * np.mod(log_missing[:, None] * frequencies, 1.0) - 1.0)
