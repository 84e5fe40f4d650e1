"""Encodings of muon pairs: coordinates in which a network draws an event for an energy."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import ndtr, ndtri

from problems.cases.events.observables import (
    AZIMUTH,
    PSEUDORAPIDITY,
    TRANSVERSE,
    collider_coordinates,
    four_momenta,
    wrapped,
)
from problems.encodings.transforms import nonzero
from problems.interfaces.types import (
    Array,
    Batch,
    Choose,
    Encoding,
    Layout,
    Pairs,
    Predict,
    Settings,
    Split,
    Target,
)

LARGEST_PSEUDORAPIDITY = 14.0
"""Drawn pseudorapidities are clipped here, far outside the phase space at energies of colliders,
so that every drawn momentum is finite."""

LOG_PT_RANGE = (-7.0, 9.0)
"""Range of the logarithms of drawn transverse momenta in GeV."""

LOG_MASS_RANGE = (-2.0, 9.0)
"""Range of the logarithms of drawn masses of a pair in GeV."""


@dataclass(frozen=True, eq=False)
class EventEncoding(Encoding):
    """The logarithm of the energy -> coordinates of an event, standardised."""

    layout: ClassVar[Layout] = Layout.FLAT
    target: ClassVar[Target] = Target.DISTRIBUTION

    def settings(self, choose: Choose) -> Settings:  # noqa: ARG002 - nothing to choose
        """Return no settings."""
        return {}

    def measure(self, train: Split) -> Batch:
        """Return centres and scales of the energy (1,) and of the coordinates (o,)."""
        energy, coordinates = _log_energy(train.inputs), self.coordinates(train.outputs)
        return {
            "energy_centre": energy.mean(axis=0),
            "energy_scale": nonzero(energy.std(axis=0)),
            "centre": coordinates.mean(axis=0),
            "scale": nonzero(coordinates.std(axis=0)),
        }

    def pairs(self, split: Split) -> Pairs:
        """Return energies (n, 1) and coordinates (n, o), standardised."""
        targets = self.scaled(self.coordinates(split.outputs))
        return Pairs(self._network_input(split.inputs), targets.astype(np.float32))

    def apply(self, network: Predict, inputs: Batch, rng: np.random.Generator) -> Batch:
        """Return drawn events (b, ...)."""
        drawn = np.asarray(network(self._network_input(inputs)), float)
        return self.events(self.unscaled(drawn), rng)

    @abstractmethod
    def coordinates(self, events: Batch) -> Array:
        """Return the coordinates (b, o) of events.

        Args:
            events: Measured events (b, ...).
        """

    @abstractmethod
    def events(self, coordinates: Array, rng: np.random.Generator) -> Batch:
        """Return measured events (b, ...).

        Args:
            coordinates: Coordinates (b, o).
            rng: Generator for what the coordinates leave out.
        """

    def scaled(self, coordinates: Array) -> Array:
        """Return standardised coordinates (b, o)."""
        return (coordinates - self.statistics["centre"]) / self.statistics["scale"]

    def unscaled(self, targets: Array) -> Array:
        """Return coordinates (b, o) of standardised ones."""
        return targets * self.statistics["scale"] + self.statistics["centre"]

    def _network_input(self, inputs: Batch) -> Array:
        centre, scale = self.statistics["energy_centre"], self.statistics["energy_scale"]
        return ((_log_energy(inputs) - centre) / scale).astype(np.float32)


@dataclass(frozen=True, eq=False)
class FourVectorEncoding(EventEncoding):
    """px, py, pz and E of each muon, as networks for events were first trained.

    Nothing ties a drawn energy to its momentum: drawn muons are near their mass shells, not on
    them.
    """

    IDENTITY: ClassVar[str] = "events/fourvector"

    def coordinates(self, events: Batch) -> Array:
        """Return the coordinates (b, 8) of events [GeV]."""
        measured = np.asarray(events["leptons"], float)
        return measured.reshape(len(measured), -1)

    def events(self, coordinates: Array, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return both muons as drawn."""
        return {"leptons": coordinates.reshape(-1, 2, 4)}


@dataclass(frozen=True, eq=False)
class ColliderEncoding(EventEncoding):
    """Log transverse momentum, pseudorapidity, and sine and cosine of the azimuth of each muon."""

    IDENTITY: ClassVar[str] = "events/collider"

    def coordinates(self, events: Batch) -> Array:
        """Return the coordinates (b, 8) of events."""
        measured = collider_coordinates(events["leptons"])
        azimuth = measured[..., AZIMUTH]
        columns = (
            np.log(measured[..., TRANSVERSE]),
            measured[..., PSEUDORAPIDITY],
            np.sin(azimuth),
            np.cos(azimuth),
        )
        return np.stack(columns, axis=-1).reshape(len(measured), -1)

    def events(self, coordinates: Array, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Return both muons on their mass shells."""
        log_pt, eta, sine, cosine = np.moveaxis(coordinates.reshape(-1, 2, 4), -1, 0)
        return {"leptons": on_shell(log_pt, eta, np.arctan2(sine, cosine))}


@dataclass(frozen=True, eq=False)
class InvariantEncoding(EventEncoding):
    """Coordinates that don't change when an event is turned around the beam.

    They are the logarithm of the mass of the pair (muons taken as massless), the mean and the
    difference of the pseudorapidities, the azimuth from the first muon to the second less pi, and
    the logarithm of the ratio of transverse momenta. Decoding turns each event by a random azimuth.
    """

    IDENTITY: ClassVar[str] = "events/invariant"

    def coordinates(self, events: Batch) -> Array:
        """Return the coordinates (b, 5) of events."""
        transverse, eta, azimuth = np.moveaxis(collider_coordinates(events["leptons"]), -1, 0)
        difference = eta[:, 0] - eta[:, 1]
        opening = wrapped(azimuth[:, 1] - azimuth[:, 0] - np.pi)
        log_pt = np.log(transverse)
        log_mass = 0.5 * (log_pt.sum(axis=1) + _log_mass2_over_pt2(difference, opening))
        columns = (log_mass, eta.mean(axis=1), difference, opening, log_pt[:, 1] - log_pt[:, 0])
        return np.stack(columns, axis=1)

    def events(self, coordinates: Array, rng: np.random.Generator) -> Batch:
        """Return both muons on their mass shells."""
        log_mass, middle, difference, opening, ratio = coordinates.T
        # The network may draw any number: what is clipped lies outside the phase space.
        log_mass = np.clip(log_mass, *LOG_MASS_RANGE)
        bound = 2.0 * LARGEST_PSEUDORAPIDITY
        difference = np.clip(difference, -bound, bound)
        log_pt = log_mass - 0.5 * _log_mass2_over_pt2(difference, opening)
        first = rng.uniform(-np.pi, np.pi, len(coordinates))
        leptons = on_shell(
            np.stack([log_pt - 0.5 * ratio, log_pt + 0.5 * ratio], axis=1),
            np.stack([middle + 0.5 * difference, middle - 0.5 * difference], axis=1),
            np.stack([first, wrapped(first + np.pi + opening)], axis=1),
        )
        return {"leptons": leptons}


@dataclass(frozen=True, eq=False)
class QuantileMap(EventEncoding):
    """Coordinates that are each mapped to a normal variable by its empirical distribution.

    The map is monotonic and linear between `knots` quantiles of the training events. Beyond the
    outermost quantiles it continues with the slope of the last interval.

    Args:
        knots: Searched: number of quantiles.
    """

    knots: int = 256

    def settings(self, choose: Choose) -> Settings:
        """Return the chosen number of quantiles."""
        return {"knots": choose.categorical("knots", (64, 256, 1024))}

    def measure(self, train: Split) -> Batch:
        """Return statistics with quantiles (knots, o) and their places on the normal (knots,)."""
        coordinates = self.coordinates(train.outputs)
        number = min(self.knots, len(coordinates))
        # Normal quantiles of equally spaced ranks, of which none is infinite.
        ranks = (np.arange(number) + 0.5) / number
        places = ndtri(ranks)
        quantiles = np.quantile(coordinates, ndtr(places), axis=0)
        return {**super().measure(train), "quantiles": quantiles, "places": places}

    def scaled(self, coordinates: Array) -> Array:
        """Return normal variables (b, o)."""
        quantiles, places = self.statistics["quantiles"], self.statistics["places"]
        columns = [
            _interpolated(column, knots, places)
            for column, knots in zip(coordinates.T, quantiles.T, strict=True)
        ]
        return np.stack(columns, axis=1)

    def unscaled(self, targets: Array) -> Array:
        """Return coordinates (b, o) of normal variables."""
        quantiles, places = self.statistics["quantiles"], self.statistics["places"]
        columns = [
            _interpolated(column, places, knots)
            for column, knots in zip(targets.T, quantiles.T, strict=True)
        ]
        return np.stack(columns, axis=1)


@dataclass(frozen=True, eq=False)
class QuantileEncoding(QuantileMap, InvariantEncoding):
    """The invariant coordinates, each mapped to a normal variable."""

    IDENTITY: ClassVar[str] = "events/quantile"


def _log_energy(inputs: Batch) -> Array:
    """Return the logarithm of the energy in TeV (b, 1)."""
    return np.log(np.asarray(inputs["energy"], float))[:, None]


def _log_mass2_over_pt2(difference: Array, opening: Array) -> Array:
    """Return the logarithm of m^2 / (pt1 pt2) (b,) of massless leptons.

    Args:
        difference: Difference of pseudorapidities (b,).
        opening: Difference of azimuths less pi (b,) [rad].
    """
    # cosh(a) + cos(b) = 2 (sinh(a / 2)^2 + cos(b / 2)^2): exact for parallel leptons too.
    half = np.sinh(0.5 * difference) ** 2 + np.cos(0.5 * opening) ** 2
    return np.log(4.0 * np.maximum(half, np.finfo(float).tiny))


def on_shell(log_pt: Array, eta: Array, azimuth: Array) -> Array:
    """Return finite momenta (..., 4) of muons [GeV] for any coordinates (...).

    Args:
        log_pt: Logarithms of transverse momenta in GeV (...).
        eta: Pseudorapidities (...).
        azimuth: Azimuths (...) [rad].
    """
    transverse = np.exp(np.clip(log_pt, *LOG_PT_RANGE))
    bounded_eta = np.clip(eta, -LARGEST_PSEUDORAPIDITY, LARGEST_PSEUDORAPIDITY)
    return four_momenta(np.stack([transverse, bounded_eta, azimuth], axis=-1))


def _interpolated(values: Array, knots: Array, images: Array) -> Array:
    """Return the piecewise linear map of values (b,), continued beyond the outermost knots.

    Args:
        values: Where it is evaluated.
        knots: Increasing places (k,).
        images: Values at these places (k,).
    """
    interval = np.clip(np.searchsorted(knots, values) - 1, 0, len(knots) - 2)
    width = np.maximum(knots[interval + 1] - knots[interval], np.finfo(float).tiny)
    share = (values - knots[interval]) / width
    return images[interval] + share * (images[interval + 1] - images[interval])
