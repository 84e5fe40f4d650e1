"""How large the report of 5,000 trials is, and how quick in a browser.

    .venv/bin/python benchmarks/report.py [TRIALS]

Prints the page's size, the time to write it, the time to the first paint and to the whole page, and
how long filters take to the next frame (medians and worst of several), in Debian's Chromium without
a GPU. Ends with 1 where the page is larger than 15 MB, its median first paint comes after 2 s, or a
filter's median is above 100 ms (aims for two cores).
"""

import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from asking import argument_parser
from playwright.sync_api import Page, sync_playwright
from synthetic_run import SyntheticRunOptions, write_run

from reports.pages import write_report

PAGE_LOADS = 5
MAX_SIZE_MB, MAX_PAINT_MS, MAX_FILTER_MS = 15.0, 2000.0, 100.0
WORDS = ("tcn", "onnxruntime", "int8", "gru openvino", "series mlp", "structured", "width 64", "")
UNTIL_PAINTED = """([selector, value]) => new Promise((done) => {
  const input = document.querySelector(selector);
  const started = performance.now();
  input.value = value;
  input.dispatchEvent(new Event(input.tagName === 'SELECT' ? 'change' : 'input'));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - started)));
})"""


def print_times(what: str, values: list[float], aim: float) -> bool:
    """Print a line of the table; return whether the median keeps to the aim."""
    median = statistics.median(values)
    print(f"{what:<34} median {median:7.0f} ms  worst {max(values):7.0f} ms")
    return median <= aim


def load_page(page: Page, path: Path) -> tuple[float, float]:
    """Open the page anew; return when it first painted and when it was whole [ms]."""
    page.goto("about:blank")
    page.goto(path.as_uri())
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return paint, page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")


def filter_times_ms(page: Page, selector: str, values: tuple[str, ...]) -> list[float]:
    """Set a filter to one value after the other; return how long each took [ms]."""
    return [page.evaluate(UNTIL_PAINTED, [selector, value]) for value in values]


def run_timed(work: Callable[[], Path]) -> tuple[Path, float]:
    """Return what some work returns, and the seconds that it took."""
    started = time.perf_counter()
    return work(), time.perf_counter() - started


def main() -> int:
    """Write a report of so many trials, and time it; return 1 where it is too large or slow."""
    asked = argument_parser(__doc__)
    asked.add_argument("trials", nargs="?", type=int, default=5000, metavar="TRIALS")
    trials = asked.parse_args().trials
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        run = write_run(Path(folder) / "run", SyntheticRunOptions(trials=trials))
        path, seconds = run_timed(lambda: write_report(run))
        load = os.getloadavg()[0]
        size = path.stat().st_size / 1e6
        print(f"{trials} trials: {size:.2f} MB, written in {seconds:.1f} s")
        print(f"{os.cpu_count()} cores, load {load:.1f}")
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        paints, wholes = zip(*(load_page(page, path) for _ in range(PAGE_LOADS)), strict=True)
        kept_to = [size <= MAX_SIZE_MB, print_times("first paint", list(paints), MAX_PAINT_MS)]
        print_times("whole page loaded", list(wholes), math.inf)
        powers = tuple(str(power) for power in (0.5, 1.0, 1.5, 2.0, 2.5, 1.2, 0.3))
        for what, selector, values in (
            ("first words, page just loaded", "#trials-words", ("mlp",)),
            ("words typed, to the next frame", "#trials-words", WORDS),
            ("budget moved, to the next frame", "#budget", powers),
            ("state chosen, to the next frame", "#trials-state", ("complete", "pruned", "")),
        ):
            kept_to.append(
                print_times(what, filter_times_ms(page, selector, values), MAX_FILTER_MS)
            )
        page.locator("#parallel-canvas").scroll_into_view_if_needed()
        in_view = filter_times_ms(page, "#trials-words", WORDS)
        kept_to.append(print_times("words, parallel axes in view", in_view, MAX_FILTER_MS))
        browser.close()
    return 0 if all(kept_to) else 1


if __name__ == "__main__":
    sys.exit(main())
