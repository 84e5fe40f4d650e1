"""Files of a run on machines that don't see its folder, without a cluster."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from search.workers import transport
from search.workers.admission import witnesses_in
from search.workers.transport import FINALISTS, RayTransport, RunFiles, SentRun, files_of_trials

NODE = SimpleNamespace(get_node_id=lambda: "node")


class Handle:
    """The process beside the driver, whose methods are called at once."""

    def __init__(self, folder: Path) -> None:
        files, self.sent = RunFiles(folder), list[set[str]]()

        def write(written: dict[str, bytes]) -> None:
            self.sent.append(set(written))
            files.write(written)

        self.read, self.write = (SimpleNamespace(remote=call) for call in (files.read, write))


@pytest.fixture
def handle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Handle:
    handle = Handle(tmp_path)
    fake = SimpleNamespace(
        get=lambda value: value, get_actor=lambda _: handle, get_runtime_context=lambda: NODE
    )
    monkeypatch.setattr(transport, "ray", fake)
    return handle


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def test_what_a_trial_reads_is_there_and_what_it_writes_comes_back_once(
    handle: Handle, tmp_path: Path
) -> None:
    write(tmp_path, "spec.json", "trainings/0003.trained", "trainings/0004.unfinished")
    write(tmp_path, "trainings/0005.trained", "artefacts/0004/left", "artefacts/0003/network/graph")
    sent = SentRun(handle, files_of_trials([3, 4]))
    folder = sent.run.folder
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        "trainings/0003.trained",
        "trainings/0004.unfinished",
        "artefacts/0003/network/graph",
        "artefacts/0004/left",
    }
    sent.send()
    assert handle.sent == []
    write(folder, "trainings/0004.trained", "artefacts/0004/network/graph")
    sent.send()
    sent.send()
    assert handle.sent == [{"trainings/0004.trained", "artefacts/0004/network/graph"}]
    assert (tmp_path / "trainings/0004.trained").read_text() == "trainings/0004.trained"
    assert [path.name for path in (tmp_path / "artefacts/0004").iterdir()] == ["network"]
    sent.close()
    assert not folder.exists()


def test_a_finalist_is_evaluated_by_its_artefact_and_records(
    handle: Handle, tmp_path: Path
) -> None:
    names = {"spec.json", "trials/0000.json", "derived/0001.json", "artefacts/0000/manifest.json"}
    write(tmp_path, *names, "trainings/0000.trained", "journal.log")
    sent = SentRun(handle, FINALISTS)
    folder = sent.run.folder
    assert {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} == names
    sent.close()


def test_no_run_directory_is_made(handle: Handle, tmp_path: Path) -> None:
    gone = RunFiles(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        gone.write({"trainings/0000.trained": b""})
    assert not (tmp_path / "gone").exists()
    assert handle.sent == []


@pytest.mark.usefixtures("handle")
def test_a_machine_that_sees_the_folders_uses_them(tmp_path: Path) -> None:
    with witnesses_in({"the run": tmp_path / "run"}) as witnesses:
        assert RayTransport("files", witnesses).of_trials([0]) is None
    hidden = RayTransport("others", witnesses)  # they are gone
    assert hidden.is_needed_here is False, "a process looks once"
    transport.is_apart.cache_clear()  # as another process
    sent = hidden.of_trials([0])
    assert sent is not None
    sent.close()
    transport.is_apart.cache_clear()


@pytest.mark.parametrize("name", ["../spec.json", "artefacts/../../kept", "/kept"])
def test_no_file_is_written_out_of_the_run(tmp_path: Path, name: str) -> None:
    write(tmp_path, "kept", "run/spec.json", "run/artefacts/0003/manifest.json")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="leads out of"):
        RunFiles(tmp_path / "run").write({"artefacts/0003/manifest.json": b"", name: b""})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
