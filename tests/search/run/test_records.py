import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from problems import Size, UserError
from search.run.directory import RunDirectory
from search.run.environment import collect_environment
from tests.builders import make_spec

SPEC = make_spec(workers=2)


def test_a_run_is_resumed(tmp_path: Path) -> None:
    RunDirectory.start(tmp_path / "run", SPEC)
    more = SPEC.model_copy(update={"trials": 9, "workers": 1})
    assert RunDirectory.start(tmp_path / "run", more).spec().trials == 9
    assert RunDirectory.start(tmp_path / "run", SPEC).spec().trials == SPEC.trials


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"problem": "other"}, {"size": Size.FULL}, {"problem_version": 2}]
)
def test_another_searchs_run_is_refused_and_kept(tmp_path: Path, change: dict) -> None:
    RunDirectory.start(tmp_path, SPEC)
    before = (tmp_path / "spec.json").read_bytes()
    with pytest.raises(UserError, match="belongs to another search"):
        RunDirectory.start(tmp_path, SPEC.model_copy(update=change))
    assert (tmp_path / "spec.json").read_bytes() == before


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds other files and no run"):
        RunDirectory.start(tmp_path, SPEC)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_full_disk_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    with pytest.raises(UserError, match="full disk: a search needs 200 MiB"):
        RunDirectory.start(tmp_path / "run", SPEC)


def test_an_unwritable_folder_is_refused() -> None:
    with pytest.raises(UserError, match="can't be written"):
        RunDirectory.start(Path("/proc/simstead"), SPEC)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    run = RunDirectory.start(tmp_path, SPEC)
    (tmp_path / "trials" / "0000.json").write_text('{"number": 0}')
    with pytest.raises(UserError, match=r"0000\.json can't be read: key: Field required"):
        run.records()


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunDirectory.start(tmp_path, SPEC)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run.write("spec.json", SPEC.model_copy(update={"trials": 99}))
    assert run.spec() == SPEC
    assert not list(tmp_path.glob("*.part"))


def test_a_run_has_one_driver(tmp_path: Path) -> None:
    run = RunDirectory.start(tmp_path, SPEC)
    with run.exclusive_lock():
        with pytest.raises(UserError, match="in use by another search"):
            RunDirectory.start(tmp_path, SPEC.model_copy(update={"trials": 99}))
        with (
            pytest.raises(UserError, match="in use by another search"),
            RunDirectory(tmp_path).exclusive_lock(),
        ):
            pass
    assert run.spec() == SPEC
    with RunDirectory.start(tmp_path, SPEC).exclusive_lock():
        pass


def test_a_run_is_resumed_where_its_deployments_are_available(tmp_path: Path) -> None:
    here = SPEC.model_copy(
        update={"available_deployments": ("fp32 by eager", "fp16 by eager-cuda")}
    )
    run = RunDirectory.start(tmp_path, here)
    elsewhere = SPEC.model_copy(
        update={"available_deployments": ("fp32 by eager", "fp32 by openvino")}
    )
    with pytest.raises(UserError, match="fp16 by eager-cuda is missing here, fp32 by openvino is"):
        RunDirectory.start(tmp_path, elsewhere)
    assert run.spec() == here


@pytest.mark.parametrize("name", ["deployments", "retrainings"])
def test_more_trials_discard_the_final_evaluation(tmp_path: Path, name: str) -> None:
    run = RunDirectory.start(tmp_path, SPEC)
    (tmp_path / "heat.json").touch()
    RunDirectory.start(tmp_path, SPEC)
    assert (tmp_path / "heat.json").exists()
    RunDirectory.start(tmp_path, SPEC.model_copy(update={name: getattr(run.spec(), name) + 1}))
    assert not (tmp_path / "heat.json").exists()


def test_sessions_add_up(tmp_path: Path) -> None:
    run = RunDirectory.start(tmp_path, SPEC)
    for _ in range(2):
        run.add_session(collect_environment())
    assert len(run.sessions().environments) == 2
