"""Trials that one machine trains and another one times."""

import pickle
import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from problems import Size
from problems.contract import RandomChoice
from problems.data.dataset import generate
from search.run.directory import RunDirectory
from search.run.environment import machine_kind
from search.run.records import NO_LIMITS, Limits, Record, State
from search.timing.reference import ReferenceTiming, verified_manifest
from search.trial import deployment
from search.trial.context import SearchContext
from search.trial.lifecycle import deploy_for_another, run_trial, time_for_another
from search.trial.record_builder import RecordBuilder, RungReport
from spaces.candidate import Candidate
from spaces.restrictions import Restrictions
from spaces.space import Space
from tests.builders import SMALL

pytestmark = pytest.mark.usefixtures("constant_timing")


class AnotherMachine:
    """A machine that shares nothing with this one but the run directory."""

    def __init__(self, context: SearchContext) -> None:
        self._context = replace(context, run=RunDirectory(context.run.folder))
        self.asked: list[str] = []

    def time_untrained(self, builder: RecordBuilder) -> RecordBuilder:
        self.asked.append("untrained")
        return self._send(time_for_another(self._context, self._send(builder)))

    def deploy(self, builder: RecordBuilder) -> RecordBuilder:
        self.asked.append("trained")
        return self._send(deploy_for_another(self._context, self._send(builder)))

    @staticmethod
    def _send(builder: RecordBuilder) -> RecordBuilder:
        return pickle.loads(pickle.dumps(builder))  # noqa: S301 - our own bytes


@pytest.fixture
def candidate() -> Candidate:
    space = Space(SMALL, Restrictions(keep={"architecture": ("mlp",), "runtime": ("eager",)}))
    return space.choose_candidate(Size.TINY, RandomChoice(np.random.default_rng(0)), 0)


@pytest.fixture
def context(cache: Path, tmp_path: Path) -> SearchContext:
    data, run = generate(SMALL, cache), new_run(tmp_path / "run")
    return SearchContext(SMALL, data, ReferenceTiming(None, 1.0), NO_LIMITS, run)


def new_run(folder: Path) -> RunDirectory:
    folder.mkdir()
    return RunDirectory(folder)


def test_a_trial_has_the_same_errors_whoever_times_it(
    context: SearchContext, candidate: Candidate, tmp_path: Path
) -> None:
    machine = AnotherMachine(context)
    apart = replace(context, timing_machine=machine)
    *reports, record = run_trial(apart, candidate, 0)
    assert isinstance(record, Record)
    assert (record.state, record.reason) == (State.COMPLETE, "")
    assert machine.asked == ["untrained", "trained"]
    assert (record.timed_by, record.kind) == (platform.node(), machine_kind())
    assert record.rungs == tuple(r.rung for r in reports if isinstance(r, RungReport)) != ()
    assert {"time first", "train", "deploy", "measure"} <= record.durations_s.keys()
    assert verified_manifest(context.run, record).hash == record.artefact_hash
    alone = replace(context, run=new_run(tmp_path / "alone"))
    *_, expected = run_trial(alone, candidate, 0)
    assert isinstance(expected, Record)
    assert record.metrics == expected.metrics
    assert record.rungs == expected.rungs
    assert expected.timed_by == ""
    (further,) = run_trial(apart, candidate, 1, training=0)
    assert isinstance(further, Record)
    assert (further.state, further.training) == (State.COMPLETE, 0)
    assert further.metrics == record.metrics
    assert machine.asked[2:] == ["trained"]


def test_what_the_timing_machine_refuses_is_not_trained(
    context: SearchContext, candidate: Candidate
) -> None:
    strict = replace(context, limits=Limits(speedup=1e12))
    (record,) = run_trial(replace(strict, timing_machine=AnotherMachine(strict)), candidate, 0)
    assert isinstance(record, Record)
    assert record.too_slow
    assert "the goal is" in record.reason
    assert "train" not in record.durations_s


def test_what_goes_wrong_on_the_timing_machine_is_a_reason(
    context: SearchContext, candidate: Candidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **__: object) -> None:
        raise MemoryError("none left")

    monkeypatch.setattr(deployment, "score_split", wrong)
    apart = replace(context, timing_machine=AnotherMachine(context))
    *_, record = run_trial(apart, candidate, 0)
    assert isinstance(record, Record)
    assert (record.state, record.stage) == (State.INFEASIBLE, "validate")
    assert "none left" in record.reason
    assert "MemoryError" in record.traceback
    assert not context.run.artefact_path(0).exists()
