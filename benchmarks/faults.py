"""The consequences of every injected fault, as a table.

    .venv/bin/python benchmarks/faults.py [--times N]

`tests/search/faults` injects the faults and records how often, how many trials had
finished, and what became of them; this program reads these records, and those of
`tests/problems/entrance/test_isolated.py` on what users' code may do to its process. Faults of
whole searches, which take half a minute each, are injected N times; those that need no cluster at
`PLACES` times N places. The tables are printed; that of faults is stored as JSON. Exits with 1 if a
trial was lost or left running,
or a search was not resumed.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

from arguments import argument_parser

TESTS = "tests/search/faults"
HAZARD_TESTS = "tests/problems/entrance/test_isolated.py"
REPETITIONS = 3
PLACES = 20
"""Places at which a fault that needs no cluster is injected, per repetition."""

COLUMNS = {
    "injected": "times injected",
    "finished_before": "trials finished before",
    "lost": "trials lost",
    "left_running": "left running",
    "carried_on": "resumed to the end",
}
"""Titles in the table of what the tests of faults record."""

HAZARD_COLUMNS = {
    "samples": "samples",
    "failed": "failed with a reason",
    "wrong": "wrong without one",
}
"""Titles in the table of what the tests of users' code record."""


def run_fault_tests(
    tests: str, subject: str, markers: str, places: int
) -> tuple[dict[str, dict[str, int]], bool]:
    """Return the records of the tests for each fault, and whether all tests passed.

    Args:
        tests: The tests.
        subject: The first property that a test records of a fault: its name.
        markers: Marker expression of the tests to run.
        places: Number of places at which each fault that needs no cluster is injected.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "--quiet", "--whole", tests, "-m", markers]
        process = subprocess.run(  # noqa: S603 - our own arguments
            [*command, f"--junit-xml={report}", "--override-ini=junit_family=xunit1"],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1", "SIMSTEAD_FAULT_PLACES": str(places)},
            stdout=sys.stderr,
            check=False,
        )
        facts: dict[str, dict[str, int]] = {}
        figures: dict[str, int] = {}
        for element in ET.parse(report).iter("property"):  # noqa: S314 - our own file
            name, value = element.attrib["name"], element.attrib["value"]
            if name == subject:
                figures = facts.setdefault(value, {})
            else:
                figures[name] = figures.get(name, 0) + int(value)
    return facts, process.returncode == 0


def format_table(
    faults: Mapping[str, Mapping[str, int]], columns: Mapping[str, str] = COLUMNS
) -> str:
    """Return the table of the figures of each fault, as text."""
    width = max(map(len, [*faults, "fault"]))
    lines = [" | ".join((f"{'fault':<{width}}", *columns.values()))]
    for fault, facts in faults.items():
        figures = (f"{facts[name]:>{len(title)}}" for name, title in columns.items())
        lines.append(" | ".join((f"{fault:<{width}}", *figures)))
    return "\n".join(lines)


def main() -> int:
    """Inject the faults, print and store the table; return 1 if something was lost."""
    parser = argument_parser(__doc__)
    parser.add_argument("--times", type=int, default=REPETITIONS, metavar="N", help="repetitions")
    times = parser.parse_args().times
    faults: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COLUMNS, 0))
    passed = True
    for markers in ("not slow", *["slow"] * times):
        facts, tests_passed = run_fault_tests(TESTS, "fault", markers, PLACES * times)
        passed &= tests_passed
        for fault, figures in facts.items():
            for name, figure in figures.items():
                faults[fault][name] += figure
    hazards, tests_passed = run_fault_tests(HAZARD_TESTS, "hazard", "", PLACES)
    passed &= tests_passed
    print(format_table(faults))
    print(format_table(hazards, HAZARD_COLUMNS))
    Path(__file__).with_suffix(".json").write_text(json.dumps(faults, indent=1) + "\n")
    complete = all(
        facts["lost"] == facts["left_running"] == 0 and facts["carried_on"] == facts["injected"]
        for facts in faults.values()
    )
    return 0 if passed and complete else 1


if __name__ == "__main__":
    sys.exit(main())
