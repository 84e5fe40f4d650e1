import time
from pathlib import Path
from types import ModuleType

import pytest

from problems import UserError
from reports import commands
from reports.commands import ReportRequest, write_reports
from search.launch.launched import LaunchFolder
from search.run.directory import RunDirectory


@pytest.fixture
def runs(synthetic_run: ModuleType, tmp_path: Path) -> list[Path]:
    return [
        synthetic_run.write_run(
            tmp_path / name, synthetic_run.SyntheticRunOptions(trials=30, seed=seed)
        ).folder
        for seed, name in enumerate(("first", "second"))
    ]


def request(*runs: Path, **options: object) -> ReportRequest:
    defaults = {"output": None, "figures": None, "index": None}
    return ReportRequest(runs, **{**defaults, **options})  # type: ignore[arg-type]


def ignore(_: str) -> None:
    pass


def test_runs_are_compared(runs: list[Path], tmp_path: Path) -> None:
    (path,) = write_reports(request(*runs, output=tmp_path / "compared.html"), ignore)
    page = path.read_text()
    assert "Comparison of 2 runs" in page
    assert "<td>first</td>" in page
    assert "<td>second</td>" in page
    assert 'data-element="fronts-0"' in page
    assert '<td>seed</td><td class="wide">0</td><td class="wide">1</td>' in page


def test_an_index_links_reports_and_lists_runs_that_cant_be_read(
    runs: list[Path], tmp_path: Path
) -> None:
    list(write_reports(request(runs[0]), ignore))
    (runs[1] / "spec.json").write_text("{}")
    (path,) = write_reports(request(index=tmp_path), ignore)
    page = path.read_text()
    assert path == tmp_path / "index.html"
    assert 'href="./first/report.html"' in page
    assert "spec.json can&#39;t be read" in page


def test_folder_names_are_escaped(synthetic_run: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "javascript:alert(1)" / '"onclick="x'
    list(
        write_reports(
            request(
                synthetic_run.write_run(folder, synthetic_run.SyntheticRunOptions(trials=3)).folder
            ),
            ignore,
        )
    )
    (path,) = write_reports(request(index=tmp_path), ignore)
    assert 'href="./javascript%3Aalert%281%29/%22onclick%3D%22x/report.html"' in path.read_text()


def test_figures_are_written_as_svg_and_pdf(synthetic_run: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "paper"
    run = synthetic_run.write_run(tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=4))
    *files, report = write_reports(request(run.folder, figures=folder), ignore)
    assert report == run.report
    assert {path.suffix for path in files} == {".svg", ".pdf"}
    assert (folder / "front.svg").read_text().startswith("<?xml")
    assert (folder / "front.pdf").read_bytes().startswith(b"%PDF")


def test_watching_ends_if_no_search_runs(runs: list[Path]) -> None:
    messages: list[str] = []
    (path,) = write_reports(request(runs[0], watch=True), messages.append)
    assert 'id="watch"' not in path.read_text()
    assert "no process drives" in messages[0]


def test_a_running_search_is_watched_until_it_ends(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    drivers = iter(["a driver"] * 3)
    monkeypatch.setattr(commands, "POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(commands, "RELOAD_INTERVAL_S", 0)
    monkeypatch.setattr(RunDirectory, "driver", lambda _: next(drivers, None))
    pages = [path.read_text() for path in write_reports(request(runs[0], watch=True), ignore)]
    assert len(pages) == 2
    assert 'id="watch"' not in pages[-1]


def test_a_launched_run_is_watched_while_its_job_waits(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    states = iter([True] * 3)
    monkeypatch.setattr(commands, "POLL_INTERVAL_S", 0.01)
    monkeypatch.setattr(LaunchFolder, "goes_on", property(lambda _: next(states, False)))
    pages = [path.read_text() for path in write_reports(request(runs[0], watch=True), ignore)]
    assert ['id="watch"' in page for page in pages] == [True, False]


def test_the_last_page_does_not_reload_after_ctrl_c(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupt)
    monkeypatch.setattr(RunDirectory, "driver", lambda _: "a driver")
    messages: list[str] = []
    pages = [
        path.read_text() for path in write_reports(request(runs[0], watch=True), messages.append)
    ]
    assert 'id="watch"' in pages[0]
    assert 'id="watch"' not in pages[-1]
    assert messages[-1] == "no longer watched; the search continues"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "RUN is missing"),
        ({"index": Path(), "watch": True}, "--index can't be combined"),
        ({"output": Path("x.html")}, "--output takes several RUNs"),
        ({"index": Path("no such folder")}, "holds no run"),
    ],
)
def test_contradictions_are_refused(
    runs: list[Path], options: dict[str, object], message: str
) -> None:
    folders = [] if not options or "index" in options else runs[:1]
    with pytest.raises(UserError, match=message):
        list(write_reports(request(*folders, **options), ignore))


def test_a_run_cant_be_compared_with_itself(runs: list[Path]) -> None:
    with pytest.raises(UserError, match="named twice"):
        list(write_reports(request(runs[0], runs[0]), ignore))
