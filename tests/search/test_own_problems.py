"""Problems from a user's own folder, searched whole from another one that holds decoys."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from problems.data.dataset import generate
from problems.sources import locate_problem
from search.data_summary import describe_data
from search.run.directory import RunDirectory
from search.run.records import State
from search.workers.ray_cluster import cluster
from search.workers.tasks import in_parallel

RunSimstead = Callable[..., subprocess.CompletedProcess[str]]
RunOnce = Callable[[str, Callable[[Path], object]], Path]
pytestmark = pytest.mark.slow

ROWS, PIPES = 240, 12
QUICKLY = ("--only", "runtime=eager,onnxruntime,openvino", "--retrain", 0)
"""Without compilers, which take half a minute a network."""


class SearchedProblem(NamedTuple):
    """A problem file, the run of a search for it, and what that said."""

    file: Path
    run: Path
    said: str


HEAD = """
from pathlib import Path

from problems import (
    BaselineMargin, Beyond, Field, FlatEncoding, Goals, Grid1DEncoding, NormalisedError, Problem,
    Recorded,
)

HERE = Path(__file__).parent
"""
TABLE = """
INPUTS = (
    Field("speed", unit="m/s", valid=(0.1, 100.0)),
    Field("width", unit="m", valid=(0.01, 10.0)),
)
OUTPUTS = (Field("pressure", unit="Pa", valid=(0.0, 1e6)),)


def quadratic(inputs, rng):
    return {"pressure": 0.5 * inputs["speed"] ** 2}


problem = Problem(
    name="pipes",
    data=Recorded(
        HERE / "pipes.csv", INPUTS, OUTPUTS, cost_s=2.0, group="pipe", shifted=Beyond("width"),
        columns={"pressure": "p"},
    ),
    encodings={"flat": FlatEncoding(INPUTS, OUTPUTS)},
    score=NormalisedError(OUTPUTS),
    baselines={"quadratic": quadratic},
    standard_baselines=False,
    goals=Goals(error=BaselineMargin(0.01), speedup=100.0),
    epochs=4,
)
"""
GRID = """
INPUTS = (Field("wind", (6,), "m/s", ("x",)), Field("height", unit="m", valid=(1.0, 100.0)))
OUTPUTS = (Field("heat", (6,), "W/m^2", ("x",)),)
problem = Problem(
    name="fields",
    data=Recorded(HERE / "fields.nc", INPUTS, OUTPUTS, cost_s=0.5, blocks=12),
    encodings={
        "line": Grid1DEncoding(INPUTS, OUTPUTS, axes=("x",)),
        "flat": FlatEncoding(INPUTS, OUTPUTS),
    },
    score=NormalisedError(OUTPUTS),
    epochs=4,
)
"""


@pytest.fixture(scope="module")
def user_folder(
    tmp_path_factory: pytest.TempPathFactory,
    quick_final_evaluation: str,
    small_template: Callable[[str, Path], Path],
) -> Path:
    """A user's folder: a simulation, a table and a netCDF file, with a problem for each."""
    folder = tmp_path_factory.mktemp("theirs")
    small_template("mine", folder)
    rng = np.random.default_rng(0)
    width = np.repeat(rng.uniform(0.1, 1.0, PIPES), ROWS // PIPES)
    speed = rng.uniform(1.0, 5.0, ROWS)
    pipes = [f"pipe {i}" for i in np.repeat(np.arange(PIPES), ROWS // PIPES)]
    table = pd.DataFrame({"pipe": pipes, "speed": speed, "width": width})
    table["p"] = 0.5 * speed**2 / width
    table.loc[[3, 50], "p"] = np.nan
    pd.concat([table, table.tail(1)]).to_csv(folder / "pipes.csv", index=False)
    (folder / "pipes.py").write_text(HEAD + TABLE + quick_final_evaluation)
    wind, height = rng.normal(size=(ROWS, 6)), rng.uniform(1.0, 10.0, ROWS)
    heat = np.roll(wind, 1, axis=1) * height[:, None]
    xr.Dataset(
        {
            "wind": (("sample", "x"), wind, {"units": "m/s"}),
            "height": ("sample", height, {"units": "m"}),
            "heat": (("sample", "x"), heat, {"units": "W/m^2"}),
        }
    ).to_netcdf(folder / "fields.nc", engine="h5netcdf")
    (folder / "fields.py").write_text(HEAD + GRID + quick_final_evaluation)
    return folder


@pytest.fixture(scope="module")
def searched(simstead: RunSimstead, user_folder: Path, run_once: RunOnce) -> SearchedProblem:
    """A table of theirs, searched whole; the tutorial does so with a simulation."""
    file = user_folder / "pipes.py"

    def search(folder: Path) -> None:
        folder.mkdir()
        few = ("--trials", 3, "--deployments", 2, "--workers", 1)
        done = simstead("search", file, "--run", folder / "run", *few, *QUICKLY)
        (folder / "said.txt").write_text(done.stdout + done.stderr)

    folder = run_once("searched", search)
    said = (folder / "said.txt").read_text()
    assert "report:" in said, said
    return SearchedProblem(file, folder / "run", said)


def test_a_problem_is_searched_whole_from_elsewhere(
    searched: SearchedProblem,
    *,
    simstead: RunSimstead,
    run_readme_example: RunSimstead,
    decoy_folder: Path,
    tmp_path: Path,
) -> None:
    for name in ("mine", "pipes", "fields"):
        checked = simstead("check", searched.file.with_name(f"{name}.py"))
        assert checked.returncode == 0, checked.stdout
    diagnosed = simstead("diagnose", searched.file, "--output", tmp_path / "page.html")
    assert diagnosed.returncode == 0, diagnosed.stderr
    assert (tmp_path / "page.html").stat().st_size > 1000
    records = RunDirectory.open(searched.run).records()
    complete = [record for record in records if record.state is State.COMPLETE]
    assert complete, [record.reason for record in records]
    assert not [r.reason for r in records if r.state is State.INFEASIBLE and "Error" in r.reason]
    pick = str(complete[0].number)
    exported = simstead("export", searched.run, "--pick", pick, tmp_path / "out")
    assert exported.returncode == 0, exported.stderr
    tried = run_readme_example(tmp_path / "out")
    assert tried.returncode == 0, tried.stderr
    assert (decoy_folder / "problems" / "__init__.py").is_file()


def test_goals_and_what_was_left_out_are_in_the_report(searched: SearchedProblem) -> None:
    facts = RunDirectory.open(searched.run).data()
    assert sum(facts.failed.values()) == 2
    assert sum(facts.duplicates.values()) == 1
    assert "2 samples: pressure is not finite" in searched.said
    assert facts.limits.baseline == "quadratic"
    assert facts.limits.worse_by == 0.01
    assert facts.baseline_errors["quadratic"] > 0.0
    assert facts.mean_error is None, "the baselines have an error already"
    page = (searched.run / "report.html").read_text()
    assert "1 % worse than the most accurate baseline" in page
    assert "meets the goals" in page
    assert "measured beforehand" in page


def test_a_changed_file_is_another_search(
    searched: SearchedProblem, simstead: RunSimstead, tmp_path: Path
) -> None:
    file, run = tmp_path / "pipes.py", searched.run
    changed = searched.file.read_text().replace("epochs=4", "epochs=5")
    file.write_text(
        changed.replace("Path(__file__).parent", f"Path({str(searched.file.parent)!r})")
    )
    before = {path: path.read_bytes() for path in run.rglob("*.json")}
    other = simstead("search", file, "--trials", 4, "--run", run, *QUICKLY)
    assert other.returncode == 2
    assert (
        "belongs to another search; the code of pipes's simulation or encodings, its samples"
        in other.stderr
    )
    assert other.stderr.count("\n") == 1
    assert before == {path: path.read_bytes() for path in run.rglob("*.json")}


CRASHING = """
import os
from dataclasses import dataclass, replace

import numpy as np

from problems import Samples
from problems.template.problem import DampedOscillator
from problems.template.problem import problem as template


@dataclass(frozen=True)
class Crashing(DampedOscillator):
    def run(self, inputs, rng):
        if np.any(inputs["damping"] > 0.37):
            os._exit(9)
        return super().run(inputs, rng)


samples = Samples(train=32, validation=8, test=8, shifted=0)
problem = replace(
    template, name="crashing", simulation=Crashing(), shifted=None, samples=samples, epochs=2
)
"""


def test_a_sample_that_ends_its_process_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "crashing.py").write_text(CRASHING)
    source = locate_problem(str(tmp_path / "crashing.py"))
    problem = source.load()
    with cluster(2, tmp_path, source.user_source):
        data = generate(problem, tmp_path / "cache", in_parallel)
    failed = sum(data.failed.values())
    assert data.reasons == {"its process died (exit code 9)": failed}
    assert 0 < failed < 12
    assert f"{failed} samples: its process died (exit code 9)" in describe_data(data)


SHARED = """
import sys
from pathlib import Path

from problems.data.dataset import data_bytes, generate
from problems.data.cache import default_cache
from problems.sources import locate_problem
from search.workers.ray_cluster import cluster, ray


def flags(name, data):
    for split in data.splits().values():
        for batch in (split.inputs, split.outputs):
            for array in batch.values():
                yield name, type(array).__name__, array.flags.owndata, array.flags.writeable


source, other = map(locate_problem, sys.argv[1:])
problems = [source.load(), other.load()]
with cluster(1, Path.cwd(), source.user_source, sum(map(data_bytes, problems))):
    for problem in problems:
        data = generate(problem, default_cache())
        told = ray.remote(lambda *args: list(flags(*args))).remote(problem.name, ray.put(data))
        for kind in ray.get(told):
            print(*kind)
"""


def test_arrays_reach_workers_without_copies(
    user_folder: Path, command_env: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHARED, user_folder / "mine.py", user_folder / "pipes.py"],
        cwd=tmp_path,
        env=command_env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Neither owned by the worker nor to be written: the node's one copy, or its page cache.
    assert set(done.stdout.splitlines()) == {
        "mine ndarray False False",
        "pipes memmap False False",
    }
