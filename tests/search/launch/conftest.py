"""What tests of launched searches share: what is launched, and programs of a stand-in."""

import shlex
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from search.launch.launched import Launch, LaunchSystem
from search.launch.site_profile import SiteProfile

HELD_PROBLEM = """
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

from problems import FlatEncoding, Samples
from problems.template.problem import INPUTS, OUTPUTS, problem as template
from search.final import evaluation

evaluation.TIME_BUDGET_S = 1.0
RUN = Path({run!r})


@dataclass(frozen=True, eq=False)
class Held(FlatEncoding):
    def fit(self, data):
        # In the first attempt nothing is trained after some trials, so that its time is up.
        once = len(list(RUN.glob("cluster/*/events"))) == 1
        if once and len(list(RUN.glob("trials/*.json"))) >= {trials}:
            time.sleep(900.0)
        let_joining_job_train()
        return super().fit(data)


def let_joining_job_train():
    # After the first attempt a job that joined, if it is named, trains before the others.
    joining, trained = RUN.with_suffix(".joining"), RUN.with_suffix(".joined")
    if not joining.exists() or len(list(RUN.glob("cluster/*/events"))) == 1:
        return
    if os.environ.get("SLURM_JOB_ID") == joining.read_text():
        trained.touch()
    end = time.monotonic() + 120.0
    while not trained.exists() and time.monotonic() < end:
        time.sleep(0.2)


problem = replace(
    template,
    name="held",
    shifted=None,
    encodings={{"path": Held(INPUTS, OUTPUTS)}},
    samples=Samples(train=32, validation=8, test=8, shifted=0),
    epochs=4,
    standard_baselines=False,
)
"""


def make_launch(**fields: object) -> Launch:
    """Return what is launched, with some fields as given."""
    defaults = {
        "system": LaunchSystem.SLURM,
        "nodes": 2,
        "time_s": 600,
        "cores": 4,
        "memory": "8G",
        "store_bytes": 10**9,
        "interface": None,
        "workers": None,
        "max_restarts": 3,
        "profile": SiteProfile(),
        "program_folder": "/opt/python/bin",
        "environment": {"SIMSTEAD_CACHE": "/shared/cache"},
    }
    return Launch.model_validate(defaults | fields)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Programs of a folder that comes first on the PATH; each appends its arguments to a file."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")

    def write(name: str, body: str = "") -> Path:
        calls = folder / f"{name}.calls"
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "$@" >> {shlex.quote(str(calls))}\n{body}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return calls

    return write


def wait_until(condition: Callable[[], object], longest_s: float) -> None:
    """Wait until a condition holds.

    Args:
        condition: It.
        longest_s: The test fails after so long [s].
    """
    end = time.monotonic() + longest_s
    while not condition():
        assert time.monotonic() < end, f"not within {longest_s:.0f} s"
        time.sleep(0.5)
