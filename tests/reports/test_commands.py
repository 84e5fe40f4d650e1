from pathlib import Path
from types import ModuleType

import pytest

from problems import UserError
from reports.commands import ReportRequest, write_reports
from search.run.directory import Run


@pytest.fixture
def runs(synthetic_run: ModuleType, tmp_path: Path) -> list[Path]:
    return [
        synthetic_run.write_run(
            tmp_path / name, synthetic_run.SyntheticRunOptions(trials=30, seed=seed)
        ).folder
        for seed, name in enumerate(("first", "second"))
    ]


def wanted(*runs: Path, **more: object) -> ReportRequest:
    usual = {"output": None, "figures": None, "index": None}
    return ReportRequest(runs, **{**usual, **more})  # type: ignore[arg-type]


def said(_: str) -> None:
    pass


def test_runs_are_compared(runs: list[Path], tmp_path: Path) -> None:
    (path,) = write_reports(wanted(*runs, output=tmp_path / "compared.html"), said)
    page = path.read_text()
    assert "2 runs compared" in page
    assert "<td>first</td>" in page
    assert "<td>second</td>" in page
    assert 'data-element="fronts-0"' in page
    assert '<td>seed</td><td class="wide">0</td><td class="wide">1</td>' in page


def test_an_index_links_reports_and_tells_what_cant_be_read(
    runs: list[Path], tmp_path: Path
) -> None:
    list(write_reports(wanted(runs[0]), said))
    (runs[1] / "spec.json").write_text("{}")
    (path,) = write_reports(wanted(index=tmp_path), said)
    page = path.read_text()
    assert path == tmp_path / "index.html"
    assert 'href="./first/report.html"' in page
    assert "spec.json can&#39;t be read" in page


def test_no_name_of_a_folder_is_markup(synthetic_run: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "javascript:alert(1)" / '"onclick="x'
    list(
        write_reports(
            wanted(
                synthetic_run.write_run(folder, synthetic_run.SyntheticRunOptions(trials=3)).folder
            ),
            said,
        )
    )
    (path,) = write_reports(wanted(index=tmp_path), said)
    assert 'href="./javascript%3Aalert%281%29/%22onclick%3D%22x/report.html"' in path.read_text()


def test_figures_are_written_as_svg_and_pdf(synthetic_run: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "paper"
    run = synthetic_run.write_run(tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=4))
    *files, report = write_reports(wanted(run.folder, figures=folder), said)
    assert report == run.report
    assert {path.suffix for path in files} == {".svg", ".pdf"}
    assert (folder / "front.svg").read_text().startswith("<?xml")
    assert (folder / "front.pdf").read_bytes().startswith(b"%PDF")


def test_watching_ends_where_nothing_runs(runs: list[Path]) -> None:
    told: list[str] = []
    (path,) = write_reports(wanted(runs[0], watch=True), told.append)
    assert 'id="watch"' not in path.read_text()
    assert "nothing drives" in told[0]


def test_a_running_search_is_watched_until_it_ends(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    driven = iter(["a driver"] * 3)
    monkeypatch.setattr("reports.commands.LOOK_S", 0.01)
    monkeypatch.setattr("reports.commands.WATCH_S", 0)
    monkeypatch.setattr(Run, "driver", lambda _: next(driven, None))
    pages = [path.read_text() for path in write_reports(wanted(runs[0], watch=True), said)]
    assert len(pages) == 2
    assert 'id="watch"' not in pages[-1]


def test_a_page_waits_for_nothing_once_ctrl_c_ended_its_watching(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("reports.commands.time.sleep", pressed)
    monkeypatch.setattr(Run, "driver", lambda _: "a driver")
    told: list[str] = []
    pages = [path.read_text() for path in write_reports(wanted(runs[0], watch=True), told.append)]
    assert 'id="watch"' in pages[0]
    assert 'id="watch"' not in pages[-1]
    assert told[-1] == "no longer watched; the search goes on"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "RUN is missing"),
        ({"index": Path(), "watch": True}, "--index stands alone"),
        ({"output": Path("x.html")}, "--output is where"),
        ({"index": Path("no such folder")}, "holds no run"),
    ],
)
def test_contradictions_are_refused(runs: list[Path], asked: dict[str, object], words: str) -> None:
    named = [] if not asked or "index" in asked else runs[:1]
    with pytest.raises(UserError, match=words):
        list(write_reports(wanted(*named, **asked), said))


def test_a_run_is_compared_once(runs: list[Path]) -> None:
    with pytest.raises(UserError, match="named twice"):
        list(write_reports(wanted(runs[0], runs[0]), said))
