"""What the driver does with what its workers say, without a cluster."""

import io
import math
from itertools import takewhile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import tune
from ray.exceptions import NodeDiedError
from ray.tune import PlacementGroupFactory
from ray.tune.schedulers import TrialScheduler
from rich.console import Console

from problems import Problem
from search.progress import ProgressDisplay
from search.run.checkpoints import save_checkpoint
from search.run.directory import RunDirectory
from search.run.records import Occupancy, Record, State
from search.run.spec import Spec
from search.sampling.history import has_trained_network
from search.sampling.study import SearchStudy
from search.sampling.trial_queue import TrialQueue, TrialRequest
from search.trial.record_builder import RungReport
from search.workers import ray_cluster, tune_adapter
from search.workers.kept_workers import resources_on_node
from search.workers.node_pool import NodePool
from search.workers.placement import MAX_STARTS
from search.workers.successive_halving import SuccessiveHalving
from search.workers.trial_runner import RungScheduler, SearchStopper
from search.workers.tune_adapter import StudySearcher
from tests.builders import make_candidate, make_node_facts, make_record, make_rung, make_spec
from tests.search.workers.conftest import FakeNodes


@pytest.fixture
def spec(problem: Problem) -> Spec:
    return make_spec(problem)


@pytest.fixture
def run(spec: Spec, tmp_path: Path) -> RunDirectory:
    return RunDirectory.start(tmp_path / "run", spec)


@pytest.fixture
def searcher(problem: Problem, spec: Spec, run: RunDirectory) -> StudySearcher:
    progress = ProgressDisplay(problem, spec.trials, Console(file=io.StringIO()))
    agenda = TrialQueue(SearchStudy(run.journal, problem, spec), run, spec, [])
    return StudySearcher(agenda, run, progress, spec.workers)


def at_rung(error: float = 0.5) -> dict:
    return RungReport(make_rung(error), 1e-4, {"train": 3.0}).as_result()


def test_a_trial_that_was_stopped_is_pruned_with_its_rungs(
    searcher: StudySearcher, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    searcher.suggest()
    searcher.on_trial_result("0", at_rung())
    searcher.on_trial_complete("0", at_rung())
    (record,) = run.records()
    assert record.state is State.STOPPED
    assert [rung.error for rung in record.rungs] == [0.5, 0.5]
    assert record.untrained_relative_time == 1e-4
    assert record.durations_s == {"train": 3.0}
    assert record.job == "7"


def test_a_resumed_network_passes_the_rung_where_it_was_stopped(
    searcher: StudySearcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: list[float] = []

    class Noting(SuccessiveHalving):
        def should_continue(self, share: float, error: float, *costs: float) -> bool:
            came.append(error)
            return super().should_continue(share, error, *costs)

    halving = Noting()
    scheduler = RungScheduler(halving, searcher)
    halving.should_continue(0.25, 0.1, 1e-5)
    monkeypatch.setattr(searcher, "is_only_of_encoding", lambda _: False)

    def decided(passes: float) -> str:
        trial = SimpleNamespace(trial_id="0", config={"resumed_share": passes})
        return scheduler.on_trial_result(None, trial, at_rung(9.0))

    assert decided(0.0) == TrialScheduler.STOP
    assert decided(0.25) == TrialScheduler.CONTINUE
    assert came == [0.1, 9.0], "it came to its rung once"


class ListedRequests:
    """A trial queue of given encodings, which keeps the records of its trials."""

    finished = False

    def __init__(self, *encodings: str) -> None:
        self._candidates = [
            make_candidate(encoding=name, seed=n) for n, name in enumerate(encodings)
        ]
        self.records: list[Record] = []
        self.workers = 0
        self._next = 0

    def set_workers(self, workers: int) -> None:
        self.workers = workers

    def next(self) -> TrialRequest:
        self._next += 1
        return TrialRequest(self._next - 1, self._candidates[self._next - 1])

    def ended(self, record: Record) -> None:
        self.records.append(record)


def searching(
    queue: ListedRequests, problem: Problem, run: RunDirectory, workers: int
) -> tuple[StudySearcher, RungScheduler]:
    progress = ProgressDisplay(problem, 9, Console(file=io.StringIO()))
    anything: Any = queue
    searcher = StudySearcher(anything, run, progress, workers)
    halving = SuccessiveHalving()
    assert halving.should_continue(0.25, 1e-3, 1e-9)  # better and faster than all that come later
    assert halving.should_continue(0.5, 1e-3, 1e-9)
    return searcher, RungScheduler(halving, searcher)


def arrive(
    searcher: StudySearcher, scheduler: RungScheduler, number: int, share: float, error: float = 0.5
) -> bool:
    """Whether a trial continues at a rung, as Tune reports it to scheduler and searcher."""
    result = RungReport(make_rung(error, share=share), 1e-4, {"train": 3.0}).as_result()
    trial = SimpleNamespace(trial_id=str(number), config={"resumed_share": 0.0})
    continues = scheduler.on_trial_result(None, trial, result) == TrialScheduler.CONTINUE
    if continues:
        searcher.on_trial_result(str(number), result)
    else:
        searcher.on_trial_complete(str(number), result)
    return continues


def finish(searcher: StudySearcher, number: int, encoding: str) -> None:
    record = make_record(number, make_candidate(encoding=encoding), unpruned_error=0.5)
    searcher.on_trial_complete(str(number), {"record": record.model_dump_json()})


def test_one_network_of_each_encoding_is_trained_to_the_end(
    problem: Problem, run: RunDirectory
) -> None:
    queue = ListedRequests("image", "image", "agent", "image")
    searcher, scheduler = searching(queue, problem, run, workers=3)
    for _ in range(3):
        assert searcher.suggest()
    assert arrive(searcher, scheduler, 0, 0.25), "the first of image"
    assert not arrive(searcher, scheduler, 1, 0.25), "trial 0 is past this rung"
    assert arrive(searcher, scheduler, 2, 0.25), "the first of agent"
    assert arrive(searcher, scheduler, 0, 0.5)
    finish(searcher, 0, "image")
    assert searcher.suggest()
    assert not arrive(searcher, scheduler, 3, 0.25, error=0.9), "image has trial 0"
    retained = {record.number: record.retained_at for record in queue.records}
    assert retained == {0: 0.25, 1: None, 3: None}
    assert [record.state for record in queue.records] == [
        State.STOPPED, State.COMPLETE, State.STOPPED,
    ]  # fmt: skip


def test_a_network_that_diverges_makes_room_for_another_of_its_encoding(
    problem: Problem, run: RunDirectory
) -> None:
    queue = ListedRequests("agent", "agent")
    searcher, scheduler = searching(queue, problem, run, workers=1)
    assert searcher.suggest()
    assert arrive(searcher, scheduler, 0, 0.25)
    assert not arrive(searcher, scheduler, 0, 0.5, error=math.inf)
    assert searcher.suggest()
    assert arrive(searcher, scheduler, 1, 0.25)
    assert queue.records[0].retained_at == 0.25


def test_an_encoding_trained_in_an_earlier_session_needs_no_further_network(
    problem: Problem, run: RunDirectory
) -> None:
    queue = ListedRequests("image")
    queue.records.append(make_record(0, make_candidate(encoding="image"), unpruned_error=0.5))
    searcher, scheduler = searching(queue, problem, run, workers=1)
    assert searcher.suggest()
    assert not arrive(searcher, scheduler, 0, 0.25)


def test_a_dead_worker_gives_its_reason(searcher: StudySearcher, run: RunDirectory) -> None:
    searcher.suggest()
    searcher.record_worker_death("0", "its worker died: out of memory")
    searcher.on_trial_complete("0", error=True)
    (record,) = run.records()
    assert (record.state, record.stage) == (State.INFEASIBLE, "worker")
    assert record.reason == "its worker died: out of memory"


def test_a_dead_trial_leaves_its_trained_network_to_be_deployed(
    searcher: StudySearcher, run: RunDirectory
) -> None:
    asked = searcher.suggest()
    assert asked
    save_checkpoint(run.trained_network_path(asked.number), {"learner": {}, "error": 0.25})
    searcher.on_trial_complete("0", error=True)
    (record,) = run.records()
    assert record.state is State.INFEASIBLE
    assert record.unpruned_error == 0.25
    assert has_trained_network(record)


@pytest.mark.parametrize("where", ["save_record", "check_disk_space"])
def test_a_full_disk_ends_the_search_and_blames_no_candidate(
    searcher: StudySearcher,
    run: RunDirectory,
    problem: Problem,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    asked = searcher.suggest()
    assert asked

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(RunDirectory, where, full)
        searcher.on_trial_complete("0", error=True)
    assert searcher.storage_error is not None
    assert SearchStopper(searcher).stop_all()
    assert searcher.suggest() is None
    assert run.records() == []
    later = SearchStudy(run.journal, problem, run.spec())
    (fixed,) = later.interrupted_trials({})
    assert later.ask(fixed)[1] == asked.candidate


def test_infinity_travels(searcher: StudySearcher, run: RunDirectory) -> None:
    searcher.suggest()
    searcher.on_trial_complete("0", at_rung(math.inf))
    (record,) = run.records()
    assert record.rungs[0].error == math.inf


def test_a_stop_request_ends_the_suggestions(
    searcher: StudySearcher, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune_adapter, "STOP_INTERVAL_S", 0.0)
    assert not SearchStopper(searcher).stop_all()
    run.request_stop()
    assert SearchStopper(searcher).stop_all()
    assert searcher.suggest() is None
    assert searcher.is_finished()


def tune_trial(searcher: StudySearcher) -> Any:
    """Return the next trial as Tune gets it, or None."""
    tune.register_trainable("fake", tune.Trainable)
    searcher.add_configurations([SimpleNamespace(spec={"run": "fake", "storage": None})])
    return searcher.next_trial()


def lost(searcher: StudySearcher, trial: Any) -> None:
    searcher.record_worker_death(trial.trial_id, "its worker died", NodeDiedError("node"))
    searcher.on_trial_complete(trial.trial_id, error=True)


@pytest.mark.usefixtures("two_nodes")
def test_a_trial_that_is_lost_is_repeated_elsewhere_from_its_rung_and_told_to_nobody(
    problem: Problem, run: RunDirectory, nodes: FakeNodes
) -> None:
    queue = ListedRequests("image", "image", "image")
    searcher, scheduler = searching(queue, problem, run, workers=9)
    first, second = tune_trial(searcher), tune_trial(searcher)
    assert arrive(searcher, scheduler, 0, 0.25)
    nodes.silent.add(first.config["node"])
    lost(searcher, first)
    assert queue.records == []
    assert tune_trial(searcher) is None, "elsewhere is busy"
    finish(searcher, 1, "image")
    repeated = tune_trial(searcher)
    assert repeated.config["number"] == first.config["number"]
    assert repeated.config["candidate"] == first.config["candidate"]
    assert repeated.config["node"] == second.config["node"]
    assert repeated.config["resumed_share"] == 0.25, "its rung has been decided"
    assert repeated.trial_id != first.trial_id
    record = make_record(0, make_candidate(encoding="image"))
    searcher.on_trial_complete(repeated.trial_id, {"record": record.model_dump_json()})
    assert [(r.number, r.node) for r in queue.records] == [(1, "10.0.0.1"), (0, "10.0.0.1")]


def test_a_trial_that_is_lost_again_and_again_is_infeasible(
    problem: Problem, run: RunDirectory, two_nodes: NodePool
) -> None:
    queue = ListedRequests("image")
    searcher, _ = searching(queue, problem, run, workers=1)
    for _ in range(3):
        trial = tune_trial(searcher)
        assert trial
        lost(searcher, trial)
    (record,) = queue.records
    assert record.state is State.INFEASIBLE
    assert record.reason == "lost 3 times, with 2 nodes"
    assert two_nodes.choose(1)


def test_a_worker_that_dies_by_itself_is_the_candidates_doing(
    problem: Problem, run: RunDirectory, two_nodes: NodePool
) -> None:
    queue = ListedRequests("image", "image")
    searcher, _ = searching(queue, problem, run, workers=1)
    trial = tune_trial(searcher)
    searcher.record_worker_death(trial.trial_id, "its worker died: killed", RuntimeError())
    searcher.on_trial_complete(trial.trial_id, error=True)
    assert [r.reason for r in queue.records] == ["its worker died: killed"]
    assert len(two_nodes.admitted) == 2


def test_a_trial_whose_node_goes_before_it_starts_is_given_to_another(
    problem: Problem, run: RunDirectory, nodes: FakeNodes, two_nodes: NodePool
) -> None:
    queue = ListedRequests("image")
    searcher, _ = searching(queue, problem, run, workers=1)
    trial = tune_trial(searcher)
    assert not searcher.is_stranded(trial.trial_id)
    nodes.nodes = [node for node in nodes.nodes if node.id != trial.config["node"]]
    two_nodes.refresh(at_once=True)
    assert searcher.is_stranded(trial.trial_id)
    searcher.on_trial_complete(trial.trial_id)  # as Tune tells of a trial that is stopped
    assert tune_trial(searcher).config["node"] == nodes.nodes[0].id


@pytest.mark.usefixtures("two_nodes")
def test_an_artefact_that_does_not_arrive_is_a_loss_and_no_record(
    problem: Problem, run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune_adapter, "VISIBILITY_S", 0.0)
    queue = ListedRequests("image")
    searcher, _ = searching(queue, problem, run, workers=1)
    trial = tune_trial(searcher)
    record = make_record(0, make_candidate(), artefact="artefacts/0000", artefact_hash="0" * 64)
    searcher.on_trial_complete(trial.trial_id, {"record": record.model_dump_json()})
    assert queue.records == []
    repeated = tune_trial(searcher)
    assert repeated.config["node"] != trial.config["node"]


def test_few_workers_of_a_node_of_a_cluster_start_at_a_time(
    problem: Problem, run: RunDirectory
) -> None:
    shown = SimpleNamespace(outcome=make_node_facts)
    many = 3 * MAX_STARTS
    for examine, starting in ((lambda _: shown, MAX_STARTS), (None, many)):
        pool = FakeNodes(many, many).pool(examine=examine)
        ray_cluster.NODE_POOLS.append(pool)
        try:
            searcher, _ = searching(ListedRequests(*["image"] * 2 * many), problem, run, 2 * many)
            begun = list(takewhile(bool, (tune_trial(searcher) for _ in range(2 * many))))
            assert len(begun) == 2 * starting
            searcher.worker_started(begun[0].trial_id)
            following = tune_trial(searcher)
            assert (following.config["node"] if following else None) == (
                begun[0].config["node"] if examine else None
            )
        finally:
            ray_cluster.NODE_POOLS.remove(pool)


@pytest.mark.usefixtures("two_nodes")
def test_busy_workers_are_counted_for_other_shells(problem: Problem, run: RunDirectory) -> None:
    searcher, _ = searching(ListedRequests("image", "image"), problem, run, workers=9)
    tune_trial(searcher)
    searcher.write_occupancy()
    tune_trial(searcher)
    searcher.write_occupancy()
    assert run.occupancy() == Occupancy(busy=1, workers=2), "written seldom"
    finish(searcher, 0, "image")
    finish(searcher, 1, "image")
    searcher.write_occupancy()
    assert run.occupancy() == Occupancy(busy=0, workers=2)


def test_a_trial_whose_timing_was_lost_is_repeated(
    problem: Problem, run: RunDirectory, nodes: FakeNodes
) -> None:
    kinds = {"node0": "fast", "node1": "slow"}
    shown = {name: make_node_facts(kind=kind) for name, kind in kinds.items()}
    pool = nodes.pool(
        examine=lambda node: SimpleNamespace(outcome=lambda: shown[node.id]), kind="fast"
    )
    ray_cluster.NODE_POOLS.append(pool)
    try:
        pool.await_admission(lambda: None)
        queue = ListedRequests("image", "image")
        searcher, _ = searching(queue, problem, run, workers=2)
        searcher.timing_machine = lambda node: f"on {node.id}"
        timing, training = tune_trial(searcher), tune_trial(searcher)
        assert timing.config["timing_machine"] == ""
        assert training.config["timing_machine"] == "on node0"
        finish(searcher, 0, "image")
        record = make_record(1, make_candidate(), state=State.INFEASIBLE, reason="it died")
        nodes.silent.add("node0")
        searcher.on_trial_complete(training.trial_id, {"record": record.model_dump_json()})
        assert [r.number for r in queue.records] == [0]
        assert tune_trial(searcher) is None, "no node times"
        nodes.silent.clear()
        pool.refresh(at_once=True)
        assert tune_trial(searcher).config["number"] == 1
    finally:
        ray_cluster.NODE_POOLS.remove(pool)


def test_a_trial_is_granted_a_core_for_every_thread_on_its_node(
    problem: Problem, run: RunDirectory, one_node: NodePool
) -> None:
    (node,) = one_node.admitted
    progress = ProgressDisplay(problem, 9, Console(file=io.StringIO()))
    queue: Any = ListedRequests("image", "image")
    searcher = StudySearcher(queue, run, progress, None, cores=3)
    trial = tune_trial(searcher)
    assert trial
    resources = resources_on_node(trial.config)
    assert resources.bundles == [{"CPU": 3.0}]
    assert resources == PlacementGroupFactory(
        [{"CPU": 3}], bundle_label_selector=[{"ray.io/node-id": node.id}]
    )
    assert tune_trial(searcher) is None, "the node has four cores"


def test_the_queue_is_told_how_many_workers_the_nodes_have(
    problem: Problem, run: RunDirectory, nodes: FakeNodes, two_nodes: NodePool
) -> None:
    progress = ProgressDisplay(problem, 9, Console(file=io.StringIO()))
    queue: Any = ListedRequests(*["image"] * 9)
    searcher = StudySearcher(queue, run, progress, None)
    assert tune_trial(searcher)
    assert queue.workers == 2
    nodes.nodes = [nodes.nodes[0], nodes.nodes[1]._replace(id="node2", cores=6)]
    two_nodes.refresh(at_once=True)
    assert tune_trial(searcher)
    assert queue.workers == 7


def test_no_more_run_at_a_time_than_there_are_workers(searcher: StudySearcher) -> None:
    assert searcher.suggest()
    assert searcher.suggest() is None
    searcher.on_trial_complete("0", at_rung())
    assert searcher.suggest()
