"""A search that is ended at any moment, or in any phase, says so and can be resumed."""

import random
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from search.run.directory import RunDirectory
from tests.pairwise import session
from tests.search.faults.ledger import Accounts
from tests.search.faults.whole_searches import (
    GRACE_S,
    PATIENT,
    SIMSTEAD,
    WAIT_S,
    in_phase,
    quick_search,
    started,
    wait_for,
)


@pytest.mark.slow
def test_a_driver_ended_at_random_moments(
    account: Accounts, faulty_problem: Path, command_env: dict[str, str], tmp_path: Path
) -> None:
    folder, journal = tmp_path / "run", tmp_path / "run" / "journal.log"
    trials = 6 if session.whole else 3
    search = quick_search(faulty_problem, folder, trials)
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL]
    if not session.whole:
        signals = [random.SystemRandom().choice(signals)]

    def lines() -> int:
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    with ExitStack() as stack:
        for sign in signals:
            ledger = account(f"driver ended by {sign.name} at a random moment")
            moment = lines() + random.SystemRandom().randint(1, 8)
            with started(command_env, SIMSTEAD, *search) as driver:
                wait_for(driver, lambda moment=moment: lines() >= moment)
                assert driver.poll() is None, "the search was over before its moment came"
                driver.send_signal(sign)  # to it alone: what Ray started is left behind
                _, err = driver.communicate(timeout=GRACE_S)
                if sign is not signal.SIGKILL:
                    assert driver.returncode == 85, err
                    assert f"resume with: simstead resume {folder}" in err
                    assert "Traceback" not in err
                stack.enter_context(ledger.of(folder, trials))
        with started(command_env, SIMSTEAD, "resume", folder) as driver:
            _, err = driver.communicate(timeout=WAIT_S)
            assert driver.returncode == 0, err
    assert RunDirectory.open(folder).final_evaluation() is not None


PHASES = ("data", "baselines", "trials", "validation", "retraining", "evaluation")


@pytest.mark.slow
def test_each_signal_ends_a_search_in_each_phase(
    command_env: dict[str, str], tmp_path: Path
) -> None:
    """Phases come in turn in one run; of their signals one is drawn for each."""
    folder, file = tmp_path / "run", tmp_path / "patient.py"
    file.write_text(PATIENT)
    search = [*quick_search(file, folder, 2), "--retrain", 1]
    signals = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    chosen = PHASES if session.whole else random.SystemRandom().sample(PHASES[2:], 1)
    for phase in chosen:
        sign = random.SystemRandom().choice(signals)
        with in_phase(phase, command_env, SIMSTEAD, *search) as driver:
            driver.send_signal(sign)
            _, err = driver.communicate(timeout=WAIT_S)
        assert driver.returncode == 85, (phase, sign.name, err)
        assert f"resume with: simstead resume {folder}" in err
        assert "Traceback" not in err, (phase, sign.name)
        assert RunDirectory.open(folder).driver() is None
