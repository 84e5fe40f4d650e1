"""What tests of the search share."""

import pytest

from search.trial import lifecycle
from tests.builders import make_timing


@pytest.fixture
def constant_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every trial of this process be timed by a clock that says one thing."""
    timing = make_timing(time_s=1e-6, reference_s=1e-3)
    monkeypatch.setattr(lifecycle, "measure", lambda *_: timing)
