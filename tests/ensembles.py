"""A small ensemble with known members, as an artefact: networks with random weights are enough."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from problems import (
    Array,
    Batch,
    Encoding,
    Field,
    FlatEncoding,
    NormalisedError,
    Problem,
    Samples,
    Split,
)
from problems.interfaces.problem import Deployment
from problems.interfaces.types import EncodedNetwork
from spaces.architectures import ARCHITECTURES, Shape
from spaces.artefact import TrainedNetwork, calibration_inputs, write_artefact
from spaces.candidate import Candidate, Precision
from spaces.ensemble import NetworkMean
from spaces.members import EnsembleMembers
from tests.builders import make_candidate

INPUTS = (Field("heat", unit="K"), Field("wind", (3,), "m/s", ("x",)))
OUTPUTS = (Field("flux", (2,), "W", ("z",)), Field("lift", unit="N"))
SEEDS = (0, 1, 2)
BATCH = 4
SETTINGS = {"width": 32, "depth": 2, "residual": False, "activation": "silu"}


@dataclass(frozen=True)
class Weather:
    """A simulation with two inputs and two outputs, one of each an array."""

    IDENTITY = "tests.weather"
    inputs = INPUTS
    outputs = OUTPUTS

    def draw(self, n: int, rng: np.random.Generator) -> Batch:
        return {field.name: rng.uniform(-1.0, 1.0, (n, *field.shape)) for field in INPUTS}

    def run(self, inputs: Batch, rng: np.random.Generator) -> Batch:
        heat, wind = inputs["heat"], inputs["wind"]
        flux = np.stack([heat + wind[:, 0], 30.0 * np.sin(heat * wind[:, 1])], axis=1)
        return {"flux": flux, "lift": wind[:, 2] ** 2 + 0.01 * rng.standard_normal(len(heat))}


weather = Problem(
    name="weather",
    summary="two inputs and two outputs",
    simulation=Weather(),
    encodings={"flat": FlatEncoding(INPUTS, OUTPUTS)},
    score=NormalisedError(OUTPUTS),
    samples=Samples(32, 32, 32, 0),
    deployment=Deployment(batch=BATCH),
)


def weather_split(n: int, seed: int = 0) -> Split:
    """Return n samples."""
    rng = np.random.default_rng(seed)
    inputs = weather.simulation.draw(n, rng) if weather.simulation else {}
    return Split(inputs, Weather().run(inputs, rng))


def weather_candidate(runtime: str, precision: Precision) -> Candidate:
    """Return the candidate of the ensemble."""
    return make_candidate(
        problem=weather.name,
        problem_version=weather.version,
        architecture_settings=SETTINGS,
        runtime=runtime,
        precision=precision,
        ensemble_seeds=SEEDS,
    )


def weather_networks(encoding: Encoding, *, equal: bool = False) -> list[nn.Module]:
    """Return the members; equal ones have the same weights."""
    shape = Shape.of(encoding, encoding.pairs(weather_split(BATCH)))
    networks: list[nn.Module] = []
    for seed in SEEDS:
        torch.manual_seed(0 if equal else seed)
        networks.append(ARCHITECTURES["mlp"].untrained(shape, SETTINGS).eval())
    return networks


def weather_encoding() -> Encoding:
    """Return the fitted encoding."""
    return weather.encodings["flat"].fit(weather_split(256))


def write_ensemble(
    folder: Path,
    runtime: str = "eager",
    precision: Precision = Precision.FP32,
    *,
    equal: bool = False,
    problem: Problem = weather,
) -> Path:
    """Write the artefact of an ensemble, and return its folder.

    Args:
        folder: The folder.
        runtime: Name of the runtime.
        precision: Number format.
        equal: Whether all members have the same weights.
        problem: The problem, which may have another deployment.
    """
    encoding = weather_encoding()
    networks = weather_networks(encoding, equal=equal)
    pairs = encoding.pairs(weather_split(256))
    trained = TrainedNetwork(
        NetworkMean(networks).eval(),
        encoding,
        Shape.of(encoding, pairs),
        0,
        calibration_inputs(pairs, problem.deployment.batch),
        weather_split(8).inputs,
        EnsembleMembers(networks, weather_split(64, seed=1)),
    )
    write_artefact(trained, weather_candidate(runtime, precision), problem, folder)
    return folder


def exact_variances(inputs: Batch) -> dict[str, Array]:
    """Return the variances (b, ...) between the members in float32, by their definition."""
    encoding = weather_encoding()

    def predict(network: nn.Module, rows: Array) -> Array:
        with torch.inference_mode():
            return network(torch.from_numpy(rows)).numpy()

    outputs = [
        EncodedNetwork(encoding, partial(predict, network)).run(inputs)
        for network in weather_networks(encoding)
    ]
    return {f.name: np.var([each[f.name] for each in outputs], axis=0, ddof=1) for f in OUTPUTS}
