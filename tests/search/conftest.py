"""What tests of the search share."""

import pytest

from search.run.records import Timing


@pytest.fixture
def constant_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every trial of this process be timed by a clock that says one thing."""
    timing = Timing(
        time_s=1e-6, reference_s=1e-3, speedup=1e3, speedup_low=1e3, speedup_high=1e3, rounds=9
    )
    monkeypatch.setattr("search.trial.lifecycle.measure", lambda *_: timing)
