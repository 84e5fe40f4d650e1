"""Size of the report of 5,000 trials, and its response times in a browser.

    .venv/bin/python benchmarks/report.py [TRIALS]

Prints the size of the page, the time to write it, the times to the first paint and to the complete
page, and the times from filters to the next frame (medians and maxima), in Debian's Chromium
without a GPU. Exits with 1 if the page is larger than 15 MB, its median first paint is after 2 s,
or the median of a filter is above 100 ms (targets for two cores).
"""

import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from arguments import argument_parser
from playwright.sync_api import Page, sync_playwright
from synthetic_run import SyntheticRunOptions, write_run

from reports.pages import write_report

PAGE_LOADS = 5
MAX_SIZE_MB, MAX_PAINT_MS, MAX_FILTER_MS = 15.0, 2000.0, 100.0
SEARCH_TERMS = (
    "tcn",
    "onnxruntime",
    "int8",
    "gru openvino",
    "series mlp",
    "structured",
    "width 64",
    "",
)
UNTIL_PAINTED = """([selector, value]) => new Promise((done) => {
  const input = document.querySelector(selector);
  const started = performance.now();
  input.value = value;
  input.dispatchEvent(new Event(input.tagName === 'SELECT' ? 'change' : 'input'));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - started)));
})"""


def print_times(label: str, values: list[float], target: float) -> bool:
    """Print a line of the table; return whether the median is at most the target.

    Args:
        label: Name of what was timed.
        values: Times [ms].
        target: Largest median [ms].
    """
    median = statistics.median(values)
    print(f"{label:<34} median {median:7.0f} ms  largest {max(values):7.0f} ms")
    return median <= target


def load_page(page: Page, path: Path) -> tuple[float, float]:
    """Open the page again; return the times of its first paint and of its completion [ms]."""
    page.goto("about:blank")
    page.goto(path.as_uri())
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return paint, page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")


def filter_times_ms(page: Page, selector: str, values: tuple[str, ...]) -> list[float]:
    """Return the times from setting a filter to each of some values to the next frame [ms].

    Args:
        page: The page.
        selector: CSS selector of the filter.
        values: Values of the filter.
    """
    return [page.evaluate(UNTIL_PAINTED, [selector, value]) for value in values]


def run_timed(work: Callable[[], Path]) -> tuple[Path, float]:
    """Return the result of a function, and the time of its call [s]."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def main() -> int:
    """Write a report and time it; return 1 if it is too large or too slow."""
    parser = argument_parser(__doc__)
    parser.add_argument("trials", nargs="?", type=int, default=5000, metavar="TRIALS")
    trials = parser.parse_args().trials
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
        paints, loads = zip(*(load_page(page, path) for _ in range(PAGE_LOADS)), strict=True)
        passed = [size <= MAX_SIZE_MB, print_times("first paint", list(paints), MAX_PAINT_MS)]
        print_times("complete page", list(loads), math.inf)
        powers = tuple(str(power) for power in (0.5, 1.0, 1.5, 2.0, 2.5, 1.2, 0.3))
        for label, selector, values in (
            ("first search, page just loaded", "#trials-words", ("mlp",)),
            ("search, to the next frame", "#trials-words", SEARCH_TERMS),
            ("budget moved, to the next frame", "#budget", powers),
            ("state chosen, to the next frame", "#trials-state", ("complete", "stopped", "")),
        ):
            passed.append(
                print_times(label, filter_times_ms(page, selector, values), MAX_FILTER_MS)
            )
        page.locator("#parallel-canvas").scroll_into_view_if_needed()
        in_view = filter_times_ms(page, "#trials-words", SEARCH_TERMS)
        passed.append(print_times("search, parallel axes in view", in_view, MAX_FILTER_MS))
        browser.close()
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
