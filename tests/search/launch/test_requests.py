"""What a launch passes on to its job, where the machine that times is another one than this."""

from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.main import get_command

from problems import UserError, load_problem
from problems.sources import locate_problem
from problems.template.write import write_template
from search import joining
from search.commands.main import app
from search.joining import JoinRequest, await_machine
from search.request import restrictions_for
from search.run.directory import RunDirectory
from search.workers.deployment_kind import Machine, MachineOfNode
from search.workers.node_pool import Node
from spaces.availability import Availability, availability_anywhere, availability_here, spaces_of
from spaces.candidate import Precision, Pruning
from spaces.registered import RUNTIMES
from spaces.restrictions import Restrictions
from spaces.user_restrictions import UserRestriction, resolve_restrictions
from tests.builders import make_spec

NOT_HERE = sorted(
    name
    for name in RUNTIMES
    if all(RUNTIMES[name].cannot_lower(precision) for precision in Precision)
)
"""Runtimes for which this machine lacks a device or a library."""

Launching = Callable[..., Path]


@pytest.fixture
def launching(
    tmp_path: Path, programs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Launching:
    """Launch a search of the template on a stand-in for Slurm; return its run."""
    monkeypatch.setenv("SIMSTEAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    problem = write_template("my_problem", tmp_path)
    (tmp_path / "site.yaml").write_text("cores: 4\nshared_folders: [/]\n")
    programs("squeue")
    programs("sbatch", "echo 42")

    def launch(*options: object) -> Path:
        run = tmp_path / "run"
        words = ["launch", "slurm", problem, "--run", run, "--profile", tmp_path / "site.yaml"]
        get_command(app)([*map(str, (*words, *options))], standalone_mode=False)
        return run

    return launch


def test_the_kind_that_times_is_chosen_by_the_job(launching: Launching) -> None:
    run = launching("--kind", "EPYC 9654; touch x")
    assert "'--kind=EPYC 9654; touch x'" in (run / "cluster" / "job.sh").read_text()


@pytest.mark.parametrize(
    ("option", "hostile", "message"),
    [
        ("--interface", "a;touch x", "it has characters that have no place there"),
        ("--interface", "lo\n#SBATCH --uid=0", "it has characters that have no place there"),
        ("--memory", "16 gigabytes", "write it as 16G"),
        ("--kind", "a\ntouch x", "one line of printable characters"),
    ],
)
def test_hostile_options_are_refused(
    launching: Launching, tmp_path: Path, option: str, hostile: str, message: str
) -> None:
    with pytest.raises(UserError, match=f"{option} is .*: .*{message}"):
        launching(option, hostile)
    assert not (tmp_path / "run").exists()


def test_a_runtime_that_only_the_nodes_have_is_no_mistake(launching: Launching) -> None:
    if not NOT_HERE:
        pytest.skip("this machine has every runtime")
    run = launching("--only", f"runtime={NOT_HERE[0]}")
    spec = RunDirectory.open(run).spec()
    assert spec.restrictions.keep["runtime"] == (NOT_HERE[0],)
    assert spec.available_deployments == ()
    problem = locate_problem(str(run.with_name("my_problem.py"))).load(None)
    with spaces_of(availability_anywhere()):
        assert restrictions_for(problem, (), run) == spec.restrictions
    with (
        spaces_of(availability_here()),
        pytest.raises(UserError, match=f"run .*: runtime {NOT_HERE[0]} isn't available here"),
    ):
        restrictions_for(problem, (), run)


def test_a_runtime_that_does_not_exist_is_a_mistake(launching: Launching) -> None:
    with pytest.raises(UserError, match="did you mean 'onnxruntime'"):
        launching("--only", "runtime=onnxruntim")


def test_a_run_keeps_its_restrictions_as_they_are_written(tmp_path: Path) -> None:
    """Where there are these runtimes alone, they restrict nothing."""
    kept = Restrictions(keep={"runtime": ("eager", "onnxruntime")})
    here, problem = availability_here(), load_problem("planets")
    others = set(product(Pruning, set(RUNTIMES) - {"eager", "onnxruntime"}, Precision))
    refused = dict.fromkeys(others, "it isn't there") | dict(here.refused)
    RunDirectory.start(tmp_path / "run", make_spec(restrictions=kept))
    with spaces_of(Availability(refused, here.arithmetics)):
        assert resolve_restrictions(problem, [UserRestriction("", kept)]) == Restrictions()
        assert restrictions_for(problem, (), tmp_path / "run") == kept


def machine_of_node(number: int, kind: str) -> MachineOfNode:
    machine = Machine(f"host{number}", kind, kind, Availability({}, ()))
    return MachineOfNode(Node(f"node{number}", f"10.0.0.{number}", 1, 4), machine)


def test_a_node_of_the_kind_may_join_late(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [machine_of_node(1, "old")]
    clock = SimpleNamespace(now=0.0)

    def sleep(seconds: float) -> None:
        clock.now += seconds
        if clock.now > 5.0:
            nodes.append(machine_of_node(2, "new"))

    monkeypatch.setattr(joining, "machines_of_nodes", lambda: nodes)
    monkeypatch.setattr(joining, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    request = JoinRequest("auto", "new", None, None)
    with pytest.raises(UserError, match="--kind new: no node is called so"):
        await_machine(request, 1, "")
    with pytest.raises(UserError, match="--kind new: no node is called so"):
        await_machine(request._replace(wait_s=3.0), 1, "")
    assert await_machine(request._replace(wait_s=60.0), 1, "").kind == "new"
    assert clock.now < 10.0
