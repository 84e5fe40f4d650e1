"""A node that is lost, slow, or sees too little costs no trial."""

import random
from pathlib import Path

import pytest

from search.run.directory import RunDirectory
from search.run.nodes import NodeState
from search.run.records import count_networks
from tests.pairwise import session
from tests.search.conftest import HIDDEN, RayNodes, check_kinds, started_nodes, unshared
from tests.search.faults.ledger import Accounts, left_running, record_bytes
from tests.search.faults.whole_searches import (
    PATIENT,
    SIMSTEAD,
    WAIT_S,
    in_phase,
    quick_search,
    started,
    wait_for,
)


@pytest.mark.slow
@pytest.mark.cluster
def test_a_lost_node_costs_no_trial(account: Accounts, ray_nodes: RayNodes, tmp_path: Path) -> None:
    ledger = account("node lost")
    folder, trials = tmp_path / "run", 4
    (tmp_path / "patient.py").write_text(PATIENT)
    search = quick_search(tmp_path / "patient.py", folder, trials)
    with started(ray_nodes.env, SIMSTEAD, *search, "--address", ray_nodes.address) as driver:
        wait_for(driver, lambda: bool(record_bytes(folder)))
        with ledger.of(folder, trials):
            ray_nodes.kill(ray_nodes.second)
            _, err = driver.communicate(timeout=WAIT_S)
            assert driver.returncode == 0, err
    run = RunDirectory.open(folder)
    assert [record.reason for record in run.records() if record.stage == "worker"] == []
    assert {node.address: node.state for node in run.nodes().nodes} == {
        ray_nodes.first: NodeState.ADMITTED,
        ray_nodes.second: NodeState.GONE,
    }
    assert {record.node for record in run.records()} <= {ray_nodes.first, ray_nodes.second}
    assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.cluster
def test_a_node_lost_in_another_phase_costs_nothing_either(
    account: Accounts, ray_nodes: RayNodes, tmp_path: Path
) -> None:
    """The node comes back after each phase; of the phases one is drawn for each."""
    phases = ("data", "retraining", "evaluation")
    file = tmp_path / "patient.py"
    file.write_text(PATIENT)
    for phase in phases if session.whole else random.SystemRandom().sample(phases, 1):
        ledger, folder = account(f"node lost, in the phase {phase}"), tmp_path / phase
        search = [*quick_search(file, folder, 2), "--retrain", 1, "--seed", phases.index(phase)]
        env = ray_nodes.env | {"SIMSTEAD_CACHE": str(tmp_path / "cache")}
        joined = [SIMSTEAD, *search, "--address", ray_nodes.address]
        with in_phase(phase, env, *joined) as driver:
            before = record_bytes(folder)
            ledger.injected += 1
            ledger.finished_before += len(before)
            ray_nodes.kill(ray_nodes.second)
            _, err = driver.communicate(timeout=WAIT_S)
        assert driver.returncode == 0, err
        assert "Traceback" not in err
        assert "NodeDiedError" not in err
        run = RunDirectory.open(folder)
        assert run.final_evaluation() is not None
        assert [result.reason for result in run.retrainings().results if result.reason] == []
        assert set(run.data().failed.values()) == {0}
        after = record_bytes(folder)
        ledger.lost += sum(after.get(name) != record for name, record in before.items())
        ledger.left_running += left_running(folder)
        ledger.carried_on += count_networks(run.records()) == 2
        ray_nodes.start_second()


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.usefixtures("only_in_whole_runs")
def test_the_only_node_that_times_is_lost_and_comes_back(
    account: Accounts, nodes_of_two_kinds: RayNodes, tmp_path: Path
) -> None:
    ledger, nodes = account("only node that times lost"), nodes_of_two_kinds
    folder, trials, file = tmp_path / "run", 3, tmp_path / "patient.py"
    file.write_text(PATIENT)
    joined = ("--address", nodes.address)
    search = [*quick_search(file, folder, trials), *joined, "--kind", "Another processor"]
    with started(nodes.env, SIMSTEAD, *search) as driver:
        wait_for(driver, lambda: bool(record_bytes(folder)))
        with ledger.of(folder, trials):
            nodes.kill(nodes.second)
            _, err = driver.communicate(timeout=WAIT_S)
            assert driver.returncode == 3, err
            assert "the cluster has had no node to work on" in err
            assert "Traceback" not in err
            with started(nodes.env, SIMSTEAD, "resume", folder) as elsewhere:
                _, err = elsewhere.communicate(timeout=WAIT_S)
                assert elsewhere.returncode == 2, err
                assert "measured on another processor" in err
                assert "and this machine is another one" in err
            nodes.start_second()
            with started(nodes.env, SIMSTEAD, "resume", folder, *joined) as resumed:
                _, err = resumed.communicate(timeout=WAIT_S)
                assert resumed.returncode == 0, err
    run = RunDirectory.open(folder)
    assert [node.trains_only for node in run.nodes().nodes] == [True, False]
    assert run.data().processor == "another processor"
    check_kinds(run, run.spec().kind, nodes.first)


DISTURBED = {
    "slow node": "",
    "node that doesn't see the cache": "it doesn't see the cache",
    "node that doesn't see the problem": "it can't load the problem",
}
"""What is wrong with a node of a cluster, and why it then gets no work."""


@pytest.mark.slow
@pytest.mark.cluster
def test_a_node_that_is_slow_or_sees_too_little_costs_nothing(
    account: Accounts, command_env: dict[str, str], tmp_path: Path
) -> None:
    """Of the nodes one is drawn."""
    for fault in DISTURBED if session.whole else random.SystemRandom().sample([*DISTURBED], 1):
        here = tmp_path / fault.split()[-1]
        cache, file = here / "cache", here / "problem" / "patient.py"
        cache.mkdir(parents=True)
        file.parent.mkdir()
        file.write_text(PATIENT)
        hidden = cache if fault.endswith("cache") else file.parent
        before = unshared(HIDDEN, hidden) if DISTURBED[fault] else ["env", "SLOW_NODE=1"]
        ledger, folder, trials = account(fault), here / "run", 4
        with started_nodes(command_env | {"SIMSTEAD_CACHE": str(cache)}, before) as nodes:
            joined = [*quick_search(file, folder, trials), "--address", nodes.address]
            with started(nodes.env, SIMSTEAD, *joined) as driver:
                wait_for(driver, lambda folder=folder: bool(record_bytes(folder)))
                with ledger.of(folder, trials):
                    _, err = driver.communicate(timeout=WAIT_S)
        assert driver.returncode == 0, err
        assert "Traceback" not in err
        run = RunDirectory.open(folder)
        first, second = run.nodes().nodes
        assert first.state is NodeState.ADMITTED
        assert second.state is NodeState.REFUSED if DISTURBED[fault] else NodeState.ADMITTED
        assert second.reason.startswith(DISTURBED[fault])
        assert (first.lost, second.lost) == (0, 0)
        assert [record.reason for record in run.records() if record.stage == "worker"] == []
        assert set(run.data().failed.values()) == {0}
        kinds = {record.kind for record in run.records() if record.timing}
        assert kinds == {run.spec().kind}
        at_work = {first.address} if DISTURBED[fault] else {first.address, second.address}
        assert {record.node for record in run.records()} == at_work
