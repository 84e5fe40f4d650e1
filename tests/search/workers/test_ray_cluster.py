"""Ray's start on a machine that is too busy for it."""

from pathlib import Path

import pytest
import ray

from problems import UserError
from search.workers.ray_cluster import START_ATTEMPTS, cluster

TIME_OUT = "The current node timed out during startup. This could happen because ..."


@pytest.mark.parametrize("failures", [START_ATTEMPTS - 1, START_ATTEMPTS])
def test_a_start_that_times_out_is_repeated(
    failures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[object] = []

    def start(**arguments: object) -> None:
        starts.append(arguments)
        if len(starts) <= failures:
            raise RuntimeError(TIME_OUT)

    monkeypatch.setattr(ray, "init", start)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    if failures < START_ATTEMPTS:
        with cluster(1, tmp_path):
            assert len(starts) == failures + 1
        return
    with pytest.raises(UserError, match="the machine is too busy"), cluster(1, tmp_path):
        pass
    assert len(starts) == START_ATTEMPTS


def test_another_failure_of_a_start_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(**_: object) -> None:
        raise RuntimeError("no space left")

    monkeypatch.setattr(ray, "init", start)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    with pytest.raises(RuntimeError, match="no space left"), cluster(1, tmp_path):
        pass
