"""The handlers of signals, once Ray has come and gone."""

import signal
from pathlib import Path

import pytest

from search.interrupts import signals_as_interrupt
from search.workers.ray_cluster import cluster


def test_a_signal_after_ray_is_an_interrupt_still(tmp_path: Path) -> None:
    with signals_as_interrupt():
        with cluster(1, tmp_path):
            pass
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)  # by default it would end this process
