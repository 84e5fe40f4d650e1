"""A family that a user's problem file registers: searched, deployed and loaded as ours are."""

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from problems import UserError, load_problem
from search.run.directory import RunDirectory
from search.run.records import State
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
    load_problem(str(own))
    assert "random_features" in ARCHITECTURES


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


@pytest.mark.slow
def test_it_is_searched_and_loaded_elsewhere(
    own: Path, simstead: RunSimstead, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    only = ("--only", "architecture=random_features", "--only", "runtime=eager,onnxruntime")
    few = ("--trials", 2, "--deployments", 1, "--retrain", 0)
    done = simstead("search", own, "--run", run, *few, *only)
    assert done.returncode == 0, done.stderr
    records = RunDirectory.open(run).records()
    assert {each.candidate.architecture for each in records} == {"random_features"}
    assert any(each.state is State.COMPLETE for each in records), [r.reason for r in records]
    assert simstead("export", run, tmp_path / "surrogate").returncode == 0
    load = "import sys; from spaces.surrogate import Surrogate; Surrogate.load(sys.argv[1])"
    loaded = subprocess.run(
        [sys.executable, "-c", load, str(tmp_path / "surrogate")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert loaded.returncode == 0, loaded.stderr
