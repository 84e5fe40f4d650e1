"""The pages in a real browser: interactions, no requests, no console errors, no injected markup.

Chromium is Debian's; `make test` installs it if it is missing and may be installed.
"""

import csv
import io
import json
import re
import shutil
from collections.abc import Generator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Dialog, Locator, Page, Route, expect, sync_playwright

from problems import Field, Metric
from problems.interfaces.pictures import OutputPictures
from reports.comparison import write_comparison
from reports.index import write_index
from reports.pages import write_report
from search.run.directory import RunDirectory
from search.run.finalists import Finalist
from search.run.records import DatasetSummary
from tests.builders import make_final_evaluation, make_finalist, make_record, make_spec

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAYLOAD = "</script><img src=x onerror=alert(1)>${{7*7}}%{x}<b>"
AXE = {"resultTypes": ["violations"]}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium isn't installed (apt install chromium)"),
]


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Generator[Page]:
    """A page that may not make requests, and whose console must stay empty."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)  # a busy machine saves a file in 15 s
    problems: list[str] = []

    def refuse(route: Route) -> None:
        address = route.request.url
        if address.startswith("file:"):
            route.continue_()
        else:
            problems.append(f"requested {address}")
            route.abort()

    def dismiss(dialog: Dialog) -> None:
        problems.append(dialog.message)
        dialog.dismiss()

    context.route("**/*", refuse)
    page.on(
        "console", lambda m: problems.append(m.text) if m.type in {"error", "warning"} else None
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", dismiss)
    yield page
    context.close()
    assert problems == []


@pytest.fixture(scope="module")
def report(synthetic_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = synthetic_run.SyntheticRunOptions(trials=120)
    folder = tmp_path_factory.mktemp("run") / "large"
    return write_report(synthetic_run.write_run(folder, options))


@pytest.fixture(scope="module")
def small_report(synthetic_run: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every kind of element, and few of each: axe looks at them all."""
    options = synthetic_run.SyntheticRunOptions(trials=40)
    return write_report(synthetic_run.write_run(tmp_path_factory.mktemp("run") / "small", options))


def open_page(page: Page, path: Path, fragment: str = "") -> Page:
    page.goto(f"{path.as_uri()}{fragment}")
    return page


def count(page: Page) -> int:
    text = page.locator("#trials-count").inner_text()
    return int(text.split(" of ")[0].replace(",", ""))


def save_file(page: Page, button: str) -> str:
    with page.expect_download() as download:
        page.locator(button).click()
    return download.value.path().read_text()


def violations(page: Page) -> list[str]:
    response = Axe().run(page, options=AXE).response
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in response["violations"]]


def draw_everything(page: Page) -> None:
    for event in ("beforeprint", "afterprint"):
        page.evaluate("name => window.dispatchEvent(new Event(name))", event)
    page.wait_for_function(
        "[...document.querySelectorAll('script[data-element]')].every("
        "script => document.getElementById(script.dataset.element).querySelector('svg'))"
    )


def surrogates(report: Path) -> list[Finalist]:
    """Return the surrogates among the finalists with their pictures, the recommended one last."""
    evaluation = RunDirectory.open(report.parent).final_evaluation()
    assert evaluation is not None
    trials = [member for member in evaluation.finalists_with_pictures if member.trial is not None]
    return sorted(trials, key=lambda member: member.trial == evaluation.recommended)


def open_samples(page: Page) -> Locator:
    """Go to the samples in the drawer by keyboard; return their figures once the first is drawn."""
    expect(page.locator("#drawer")).to_be_visible()
    page.locator("#drawer-inside button", has_text="Samples").press("Enter")
    expect(page.locator("#drawer-samples")).to_be_focused()
    figures = page.locator("#drawer-inside figure")
    expect(figures.first.locator("svg.main-svg").first).to_be_visible()
    return figures


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_is_accessible(page: Page, small_report: Path, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    open_page(page, small_report)
    draw_everything(page)
    assert violations(page) == []
    page.locator("#trials-body a").first.click()
    expect(page.locator("#drawer")).to_be_visible()
    assert violations(page) == []
    open_page(page, small_report, f"#trial={surrogates(small_report)[0].trial}")
    open_samples(page)
    assert violations(page) == []


def test_every_figure_is_drawn_and_saved_as_csv(page: Page, report: Path) -> None:
    open_page(page, report)
    draw_everything(page)
    for details in page.locator("figure details:has(button)").all():
        details.locator("summary").click()
        element = details.locator("button").get_attribute("data-csv")
        rows = list(csv.reader(io.StringIO(save_file(page, f"button[data-csv='{element}']"))))
        assert len(rows) == page.locator(f"[id='{element}'] tr").count() > 1
        assert len({len(row) for row in rows}) == 1


def test_the_smallest_speed_up_is_dragged(page: Page, report: Path) -> None:
    open_page(page, report)
    total = count(page)
    canvas = page.locator("#front-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 70, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 400, box["y"] + 100, steps=4)
    page.mouse.up()
    expect(page.locator("#budget-text")).to_contain_text("the smallest error is")
    fewer = count(page)
    assert 0 < fewer < total
    budget = float(re.findall(r"budget=([\d.e+]+)", page.url)[0])
    page.reload()
    assert count(page) == fewer
    page.locator("#budget").press("End")
    expect(page.locator("#budget-text")).to_contain_text("no trial is as fast")
    page.locator("#budget").press("Home")
    assert count(page) == total
    assert budget > 1.0


def test_a_lasso_filters_the_table(page: Page, report: Path) -> None:
    open_page(page, report)
    total = count(page)
    canvas = page.locator("#front-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    corners = [(0.2, 0.1), (0.6, 0.1), (0.6, 0.85), (0.2, 0.85)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in (*places[1:], places[0]):
        page.mouse.move(*place, steps=3)
    page.mouse.up()
    expect(page.locator("#lasso-clear")).to_be_visible()
    assert 0 < count(page) < total
    page.locator("#lasso-clear").click()
    assert count(page) == total


def test_the_keyboard_moves_along_the_front(page: Page, report: Path) -> None:
    open_page(page, report)
    page.locator("#front-canvas").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#front-say")).to_contain_text("error")
    while "trial" not in page.locator("#front-say").inner_text().lower():
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator("#drawer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    assert "trial=" not in page.url


@pytest.mark.parametrize("exact", [1, 30])
def test_an_error_of_zero_is_on_the_front(
    page: Page, synthetic_run: ModuleType, tmp_path: Path, exact: int
) -> None:
    run = synthetic_run.write_run(
        tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=30, final_evaluation=False)
    )
    complete = [record for record in run.records() if record.metrics]
    for record in complete[:exact]:
        run.save_record(record.model_copy(update={"metrics": dict.fromkeys(record.metrics, 0.0)}))
    open_page(page, write_report(run))
    page.locator("#front-canvas").focus()
    spoken = page.locator("#front-say")
    for _ in complete:
        page.keyboard.press("ArrowRight")
        if "error 0, " in spoken.inner_text():
            break
    expect(spoken).to_contain_text("error 0, ")


def test_a_brush_is_kept_in_the_address(page: Page, report: Path) -> None:
    open_page(page, report)
    total = count(page)
    canvas = page.locator("#parallel-canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    x = box["x"] + box["width"] - 62
    page.mouse.move(x, box["y"] + box["height"] - 30)
    page.mouse.down()
    page.mouse.move(x, box["y"] + box["height"] - 140, steps=4)
    page.mouse.up()
    fewer = count(page)
    assert 0 < fewer < total
    page.wait_for_url(re.compile("brush=error"))
    page.reload()
    assert count(page) == fewer
    page.locator("#brush-clear").click()
    assert count(page) == total
    page.locator("summary", has_text="Restrictions by keyboard").click()
    page.locator("#parallel-limits input").first.press("End")
    assert count(page) < total


def test_the_table_is_filtered_sorted_and_saved(page: Page, report: Path) -> None:
    open_page(page, report)
    page.locator("#trials-words").fill("tcn onnxruntime")
    few = count(page)
    assert 0 < few < 120
    assert "words=tcn" in page.url
    page.locator("#trials-state").select_option("complete")
    page.locator("#trials-head button", has_text="error").click()
    cells = page.locator("#trials-body td:nth-child(7)").all_inner_texts()
    errors = [float(text) for text in cells]
    assert errors == sorted(errors)
    page.locator("#trials-head button", has_text="error").click()
    expect(page.locator("#trials-head [aria-sort='descending']")).to_have_count(1)
    rows = list(csv.reader(io.StringIO(save_file(page, "#trials-csv"))))
    assert len(rows) == count(page) + 1
    page.locator("#trials-words").fill("")
    page.locator("#trials-state").select_option("")
    assert count(page) == 120
    page.locator("#page-on").click()
    expect(page.locator("#page-place")).to_have_text("page 2 of 3")


def test_a_trial_has_a_link_and_the_command_that_repeats_it(
    page: Page, report: Path, tmp_path: Path
) -> None:
    run = RunDirectory.open(report.parent)
    record = next(r for r in run.records() if r.training is not None and r.timing)
    open_page(page, report, f"#trial={record.number}")
    drawer = page.locator("#drawer-inside")
    expect(page.locator("#drawer-title")).to_have_text(f"Trial {record.number}")
    expect(drawer).to_contain_text(f"--first trial-{record.number}.yaml")
    text = save_file(page, "#drawer-inside button:has-text('Save trial-')")
    (tmp_path / "candidate.yaml").write_text(text)
    (chosen,) = yaml.safe_load(text)
    assert chosen == json.loads(json.dumps(record.candidate.parameters))
    drawer.locator("button", has_text=f"trial {record.training}").first.click()
    expect(page.locator("#drawer-title")).to_have_text(f"Trial {record.training}")
    assert f"trial={record.training}" in page.url
    expect(drawer.locator("svg[role='img']")).to_have_attribute(
        "aria-label", re.compile("Error during training")
    )
    page.locator("#drawer-close").click()
    expect(page.locator("#drawer")).to_be_hidden()


def test_the_drawer_of_each_surrogate_shows_its_samples(page: Page, report: Path) -> None:
    assert len(surrogates(report)) > 2
    for member in surrogates(report):
        open_page(page, report, f"#trial={member.trial}")
        expect(page.locator("#drawer-title")).to_have_text(f"Trial {member.trial}")
        figures = open_samples(page)
        assert figures.count() == len(member.pictures) > 0
        picture = member.pictures[0]
        expect(figures.first.locator("h4")).to_have_text(picture.title)
        figures.first.locator("summary").click()
        element = figures.first.locator("button").get_attribute("data-csv")
        _, *rows = csv.reader(io.StringIO(save_file(page, f"button[data-csv='{element}']")))
        assert [(name, float(x), float(y)) for name, x, y in rows] == [
            (curve.name, x, y)
            for curve in picture.curves
            for x, y in zip(curve.x, curve.y, strict=True)
        ]


def test_samples_are_drawn_only_in_an_open_drawer(page: Page, report: Path) -> None:
    one, *_, recommended = surrogates(report)
    open_page(page, report)
    draw_everything(page)
    drawn = page.locator("main svg.main-svg").count()
    assert page.locator("[id^='samples-'] svg").count() == 0
    page.goto(f"{report.as_uri()}#trial={one.trial}")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.locator("#drawer svg.main-svg").count() == 0
    open_samples(page)
    page.keyboard.press("Escape")
    expect(page.locator("#drawer")).to_be_hidden()
    assert page.locator("#drawer-inside > *").count() == 0
    page.goto(f"{report.as_uri()}#trial={recommended.trial}")
    open_samples(page)
    page.locator("#drawer-inside button", has_text="section on validation").press("Enter")
    expect(page.locator("#drawer")).to_be_hidden()
    expect(page.locator("#validation")).to_be_focused()
    assert page.locator("svg.main-svg").count() == drawn


def test_drawers_open_without_pictures(
    page: Page, synthetic_run: ModuleType, tmp_path: Path
) -> None:
    run = synthetic_run.write_run(tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=60))
    evaluation = run.final_evaluation()
    assert evaluation is not None
    bare = tuple(member.model_copy(update={"pictures": ()}) for member in evaluation.finalists)
    run.write("heat.json", evaluation.model_copy(update={"finalists": bare}))
    member = next(member for member in bare if member.trial not in {None, evaluation.recommended})
    open_page(page, write_report(run), f"#trial={member.trial}")
    expect(page.locator("#drawer-inside")).to_contain_text("final evaluation (test)")
    assert page.locator("#drawer-inside figure, #drawer-samples").count() == 0


def test_a_failure_shows_its_reason(page: Page, report: Path) -> None:
    record = next(r for r in RunDirectory.open(report.parent).records() if r.reason)
    open_page(page, report, f"#trial={record.number}")
    expect(page.locator("#drawer-inside pre").first).to_have_text(record.reason)


def test_an_exception_shows_its_traceback(page: Page, report: Path) -> None:
    record = next(r for r in RunDirectory.open(report.parent).records() if r.traceback)
    open_page(page, report, f"#trial={record.number}")
    page.locator("#drawer-inside summary", has_text="Traceback").click()
    expect(page.locator("#drawer-inside details pre")).to_have_text(record.traceback)


def test_text_of_users_is_inert(page: Page, synthetic_run: ModuleType, tmp_path: Path) -> None:
    run = synthetic_run.write_run(
        tmp_path / "run", synthetic_run.SyntheticRunOptions(trials=40, mark=PAYLOAD)
    )
    failed = next(record for record in run.records() if PAYLOAD in record.traceback)
    open_page(page, write_report(run), f"#trial={failed.number}")
    draw_everything(page)
    expect(page.locator("#drawer-inside pre").first).to_contain_text(PAYLOAD)
    expect(page.locator("#drawer-inside details pre")).to_contain_text(PAYLOAD)
    page.locator("#drawer-close").click()
    canvas = page.locator("#front-canvas")
    canvas.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    page.mouse.move(640, 450)
    assert page.locator("img, main b b, [onerror]").count() == 0
    assert violations(page) == []
    for path in (
        write_index(tmp_path),
        write_comparison(
            [run, synthetic_run.write_run(tmp_path / "b", synthetic_run.SyntheticRunOptions(9))],
            tmp_path / "c.html",
        ),
    ):
        open_page(page, path)
        draw_everything(page)
        assert page.locator("img").count() == 0
        assert violations(page) == []


@pytest.mark.parametrize(
    "changes",
    [{"trials": 0, "final_evaluation": False}, {"trials": 1}, {"trials": 9, "failing_share": 1.1}],
)
def test_small_and_failed_runs_are_shown(
    page: Page, synthetic_run: ModuleType, tmp_path: Path, changes: dict[str, Any]
) -> None:
    run = synthetic_run.write_run(tmp_path / "run", synthetic_run.SyntheticRunOptions(**changes))
    open_page(page, write_report(run))
    draw_everything(page)
    assert count(page) == changes["trials"]
    assert violations(page) == []


def test_a_narrow_page_does_not_scroll_sideways(page: Page, report: Path) -> None:
    page.set_viewport_size({"width": 380, "height": 800})
    open_page(page, report)
    draw_everything(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380


def test_a_watched_page_reloads_and_can_be_paused(page: Page, report: Path) -> None:
    write_report(RunDirectory.open(report.parent), reload_s=3600)
    try:
        open_page(page, report)
        button = page.locator("#watch")
        expect(button).to_have_text("Reloads every 3600 s: pause")
        expect(page.locator("#watch-written")).to_have_text(re.compile(r"written \d\d:\d\d:\d\d"))
        button.click()
        expect(button).to_have_text("Paused: continue")
    finally:
        write_report(RunDirectory.open(report.parent))


def test_a_watched_page_keeps_choices_and_waits_for_the_reader(page: Page, report: Path) -> None:
    run = RunDirectory.open(report.parent)
    try:
        write_report(run, reload_s=1)
        open_page(page, report, "#trial=0")
        start = page.evaluate("performance.timeOrigin")
        page.wait_for_timeout(3000)
        assert page.evaluate("performance.timeOrigin") == start  # a trial is open
        page.locator("#trials-family").evaluate("select => { select.value = 'tcn'; }")
        page.locator("#trials-family").dispatch_event("change")
        page.locator("#trials-head button", has_text="speed-up").dispatch_event("click")
        page.locator("summary", has_text="Restrictions by keyboard").evaluate(
            "summary => { summary.parentElement.open = true; }"
        )
        chosen = page.locator("#trials-count").inner_text()
        assert not chosen.startswith("120")
        write_report(run)
        page.locator("#drawer-close").click()
        # The last page doesn't reload.
        expect(page.locator("#watch")).to_have_count(0, timeout=60_000)
        expect(page.locator("#trials-count")).to_have_text(chosen, timeout=60_000)
        expect(page.locator("#trials-family")).to_have_value("tcn")
        expect(page.locator("[aria-sort='ascending']")).to_have_text("speed-up")
        expect(page.locator("#parallel-limits")).to_be_visible()
    finally:
        write_report(run)


def test_maps_and_long_curves_are_drawn_and_saved(page: Page, tmp_path: Path) -> None:
    run = RunDirectory.start(tmp_path / "run", make_spec())
    metric = Metric(name="error", unit="1", description="")
    run.write(
        "data.json",
        DatasetSummary(
            summary="", samples={"train": 4}, failed={}, metrics=(metric,), exclusions=()
        ),
    )
    run.save_record(make_record(0, error=0.1, time_s=0.1))
    fields = (Field("heat", (90, 130), "K", ("y", "x")), Field("flux", (50_000,), "W", ("x",)))
    reference = {f.name: np.arange(f.size, dtype=float).reshape(1, *f.shape) for f in fields}
    predicted = {name: array + 1.0 for name, array in reference.items()}
    pictures = tuple(OutputPictures(fields)(predicted, reference, {}))
    finalist = make_finalist("trial 0", trial=0)
    run.write("heat.json", make_final_evaluation(finalist, recommended=0, pictures=pictures))
    open_page(page, write_report(run))
    draw_everything(page)
    saved: list[list[list[str]]] = []
    for element in ("picture-2", "picture-3"):
        page.locator(f"figure:has(#{element}) summary").click()
        text = save_file(page, f"figure:has(#{element}) button[data-csv]")
        saved.append(list(csv.reader(io.StringIO(text))))
    (header, *pixels), (curve_header, *points) = saved
    assert header == ["y (index)", "x (index)", "heat [K] (mean of 2 x 3 elements)"]
    assert len(pixels) == 45 * 44
    assert pixels[0] == ["0.5", "1", "1"]
    assert {row[2] for row in pixels} == {"1"}
    assert curve_header[0] == "series (thinned from 50,000 points)"
    assert points[-1] == ["sample 1, predicted", "49999", "50000"]
