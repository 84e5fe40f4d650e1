"""What is checked before anything is submitted."""

from pathlib import Path

import pytest

from problems import UserError
from search.launch.checks import check_shared, parse_time_limit
from search.launch.site_profile import SiteProfile


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("2:30", 150),
        ("1:02:03", 3723),
        ("2-0", 172800),
        ("1-02:30", 95400),
        ("1-02:30:05", 95405),
    ],
)
def test_time_limits_are_those_of_slurm(text: str, seconds: int) -> None:
    assert parse_time_limit(text) == seconds


@pytest.mark.parametrize("text", ["", "1h", "1:2:3:4", "-5", "1", "0:59", "8:00;touch x"])
def test_no_other_time_limit_is_taken(text: str) -> None:
    with pytest.raises(UserError, match="--time must be"):
        parse_time_limit(text)


def test_folders_of_a_node_alone_are_refused(tmp_path: Path) -> None:
    local = SiteProfile(temporary_folder="/tmp")  # noqa: S108 - no file is made
    with pytest.raises(UserError, match=r"the run \(/tmp/run\) .* which is a node's own"):
        check_shared({"the run": Path("/tmp/run")}, local)  # noqa: S108 - as above
    shared = SiteProfile(shared_folders=(str(tmp_path),))
    check_shared({"the run": tmp_path / "a" / "run"}, shared)
    with pytest.raises(UserError, match=r"the cache .* none of the profile's shared_folders"):
        check_shared({"the run": tmp_path / "run", "the cache": tmp_path.parent}, shared)
