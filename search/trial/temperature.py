"""Temperature scaling: logits divided by one number, fitted after the training.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.
"""

import math
from functools import partial
from typing import Any

import torch
from scipy import optimize
from torch import Tensor

from problems import Pairs
from search.trial.training import INFERENCE_BATCH_SIZE
from spaces.output_layer import scale_outputs
from spaces.training_targets import ProbabilityOutput, cross_entropy

MAX_TEMPERATURE = 10.0
"""Largest temperature, and the inverse of the smallest: all classes are far from certain there."""


def scale_by_temperature(network: ProbabilityOutput, pairs: Pairs) -> float:
    """Return the temperature by which the logits of a network have been divided in place.

    It minimises the cross-entropy, and changes no order of the samples of an event. The weights of
    the output layer are divided, so that the network keeps its operations and its time.

    Args:
        network: The trained network, on the CPU in evaluation mode.
        pairs: Pairs with which it was not trained.
    """
    inputs, targets = torch.from_numpy(pairs.inputs), torch.from_numpy(pairs.targets)
    with torch.inference_mode():
        logits = torch.cat(
            [network.network(part) for part in inputs.split(INFERENCE_BATCH_SIZE)]
        ).double()
    limit = math.log(MAX_TEMPERATURE)
    minimum: Any = optimize.minimize_scalar(
        partial(_loss, logits, targets.double(), network.classes),
        bounds=(-limit, limit),
        method="bounded",
    )
    temperature = math.exp(minimum.x)
    scale_outputs(network.network, 1.0 / temperature, inputs[:INFERENCE_BATCH_SIZE])
    return temperature


def _loss(logits: Tensor, targets: Tensor, classes: int, log_temperature: float) -> float:
    return cross_entropy(logits / math.exp(log_temperature), targets, classes).item()
