"""What goes wrong in a trial ends that trial, with a reason."""

import math
import random
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from search.run.directory import RunDirectory
from search.run.records import State
from search.trial import deployment, preparation
from search.trial.context import SearchContext
from search.trial.lifecycle import run_trial
from search.trial.scoring import SplitScore
from search.trial.training import OptimiserStep
from tests.pairwise import session
from tests.search.faults.driver_here import Drive
from tests.search.faults.ledger import Accounts, record_bytes
from tests.search.faults.whole_searches import SIMSTEAD, WAIT_S, quick_search, started, wait_for

NOTHING: Any = None

NOT_SCORED = SplitScore(
    {}, np.zeros(0, dtype=bool), NOTHING, 0, {}, "", "error is nan, not a finite number"
)

WRONG = {
    "loss not a number": (OptimiserStep, "step", torch.tensor(math.nan)),
    "score not a number": (preparation, "score_split", NOT_SCORED),
    "score of what is deployed not a number": (
        deployment,
        "score_split",
        NOT_SCORED,
    ),
    "out of memory, preparing": (deployment, "initialise_learner", MemoryError("none left")),
    "out of memory, training": (OptimiserStep, "step", MemoryError("none left")),
    "out of memory, deploying": (deployment, "write_artefact", MemoryError("none left")),
    "out of memory, measuring": (deployment, "measure", MemoryError("none left")),
}
"""What goes wrong in a trial's own process: where, and what is raised or returned there."""


@pytest.mark.parametrize("fault", WRONG)
def test_what_goes_wrong_in_a_trial_ends_that_trial(  # noqa: PLR0917 - fixtures
    account: Accounts,
    run_search: Drive,
    real: SearchContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    ledger = account(fault)
    run = run_search(real, tmp_path / "run", run_trial, trials=1)
    owner, name, what = WRONG[fault]

    def wrong(*_: object, **__: object) -> object:
        if isinstance(what, Exception):
            raise what
        return what

    with ledger.of(run.folder, 3):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, wrong)
            run_search(real, run.folder, run_trial, trials=2)
        run_search(real, run.folder, run_trial, trials=3)
    first, second, third = (record for record in run.records() if record.training is None)
    assert (first.state, third.state) == (State.COMPLETE, State.COMPLETE)
    assert second.state is not State.COMPLETE
    assert second.reason


IN_A_TRIAL = {
    "sleeping": "hang in Python",
    "holding_the_interpreter": "hang in C that holds the interpreter",
    "out_of_memory": "out of memory in a trial, whole search",
    "killed": "worker killed, as a kernel out of memory does",
    "crashing": "worker crashed",
}
"""Faults by the names of their functions."""

ALIKE = (("sleeping", "holding_the_interpreter"), ("out_of_memory",), ("killed", "crashing"))
"""Faults that end alike: as a time limit, an exception and a death of the worker."""


@pytest.mark.slow
def test_trials_that_time_out_or_die_end_with_a_reason(
    account: Accounts, faulty_problem: Path, command_env: dict[str, str], tmp_path: Path
) -> None:
    faults = [
        name
        for alike in ALIKE
        for name in (alike if session.whole else [random.SystemRandom().choice(alike)])
    ]
    ledgers = [account(IN_A_TRIAL[name]) for name in faults]
    folder = tmp_path / "run"
    trials = 2 * len(faults) + 2  # who is no match is never scored, and meets no fault
    with (
        started(command_env, SIMSTEAD, *quick_search(faulty_problem, folder, trials)) as driver,
        ExitStack() as stack,
    ):
        wait_for(driver, lambda: bool(record_bytes(folder)))
        for ledger in ledgers:
            stack.enter_context(ledger.of(folder, trials))
        for name in faults:
            (tmp_path / "due" / name).touch()
        _, err = driver.communicate(timeout=WAIT_S)
        assert driver.returncode == 0, err
    assert not list((tmp_path / "due").iterdir())
    records = RunDirectory.open(folder).records()
    reasons = [record.reason for record in records if record.state is State.INFEASIBLE]
    assert sum("its worker died" in reason for reason in reasons) >= len(faults) - 1
    assert sum("MemoryError" in reason for reason in reasons) == 1
