"""A family that a user's problem file registers; the tutorial's test searches with one."""

import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from problems import UserError
from spaces.architectures import Architecture, register_architecture
from spaces.architectures.mlp import MLP
from spaces.registered import ARCHITECTURES

RunSimstead = Callable[..., subprocess.CompletedProcess[str]]

FAMILY = """

import torch
from torch import nn

from problems import Layout
from spaces.architectures import Architecture, register_architecture, serving


class RandomFeatures(nn.Module):
    def __init__(self, shape, width):
        super().__init__()
        self.register_buffer("frequencies", torch.randn(shape.channels, width))
        self.head = nn.Linear(width, shape.outputs)

    def forward(self, x):
        return self.head(torch.cos(x @ self.frequencies))


@register_architecture("random_features")
class RandomFourierFeatures(Architecture):
    serves = serving((Layout.FLAT,))

    @classmethod
    def settings(cls, choose):
        return {"width": choose.categorical("width", (64, 128))}

    @classmethod
    def build(cls, shape, settings):
        return RandomFeatures(shape, int(settings["width"]))
"""


@pytest.fixture(scope="module")
def own(
    tmp_path_factory: pytest.TempPathFactory, small_template: Callable[[str, Path], Path]
) -> Path:
    path = small_template("waves", tmp_path_factory.mktemp("own"))
    with path.open("a") as file:
        file.write(textwrap.dedent(FAMILY))
    return path


def test_it_stands_in_the_space(own: Path, simstead: RunSimstead) -> None:
    told = simstead("space", own)
    assert told.returncode == 0, told.stderr
    assert "random_features" in told.stdout


def test_a_family_that_lacks_something_is_told() -> None:
    class Bare(Architecture):
        pass

    with pytest.raises(UserError, match="has no build and no settings and no serves"):
        register_architecture("bare")(Bare)
    assert "bare" not in ARCHITECTURES


def test_a_family_with_the_earlier_name_of_an_attribute_is_refused() -> None:
    class Earlier(MLP):
        practises = True

    with pytest.raises(UserError, match="'practises', which is called 'trains_policy' now"):
        register_architecture("earlier")(Earlier)
    assert "earlier" not in ARCHITECTURES
