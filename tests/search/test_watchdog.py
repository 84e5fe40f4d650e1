"""What hangs is ended; what goes on is not, however long it takes."""

import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import pytest
from torch import nn

from problems import Pairs
from search.trial.training import Trainer
from search.watchdog import TIMEOUT_S, reset_watchdog
from spaces.candidate import Training
from spaces.training_targets import SupervisedLearner

LEFT_S = 500.0
"""Long, lest it end the tests."""

HANGS = """
import ctypes
from search import watchdog

watchdog.TIMEOUT_S = 0.5
with watchdog.watchdog():
    ctypes.PyDLL(None).sleep(3600)  # holds the interpreter
"""
GOES_ON = """
import time
from search import watchdog

watchdog.TIMEOUT_S = 0.5
with watchdog.watchdog():
    for _ in range(8):
        time.sleep(0.1)
        watchdog.reset_watchdog()
time.sleep(0.6)
"""
WAITS = """
import time
from search import watchdog

watchdog.TIMEOUT_S = 0.5
with watchdog.watchdog():
    with watchdog.watchdog_paused():
        time.sleep(1.0)
"""


@contextmanager
def limit_running() -> Generator[None]:
    signal.setitimer(signal.ITIMER_REAL, LEFT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def trainer(pairs: int) -> Trainer:
    network = nn.Linear(2, 1)
    data = Pairs(np.zeros((pairs, 2), np.float32), np.zeros((pairs, 1), np.float32))
    training = Training(learning_rate=1e-3, batch_size=4, weight_decay=0.0)
    return Trainer(SupervisedLearner(network, nn.MSELoss()), data, training, epochs=2, seed=0)


@pytest.mark.parametrize(("code", "ends"), [(HANGS, -signal.SIGALRM), (GOES_ON, 0), (WAITS, 0)])
def test_a_process_without_progress_is_ended_and_no_other(code: str, ends: int) -> None:
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120)
    assert done.returncode == ends


def test_every_epoch_begins_the_limit_anew() -> None:
    with limit_running():
        for _ in trainer(pairs=8):
            left_s, _ = signal.getitimer(signal.ITIMER_REAL)
            assert LEFT_S < left_s <= TIMEOUT_S
            signal.setitimer(signal.ITIMER_REAL, LEFT_S)


def test_where_there_is_no_limit_none_begins() -> None:
    reset_watchdog()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
