"""Every fault injected, and what it cost: the tests of faults, told as a table.

    .venv/bin/python benchmarks/faults.py [--times N]

`tests/search/test_faults.py` injects them and notes how often, how many trials had finished by
then, and what became of them; this reads its notes. Faults of whole searches, which take half a
minute each, are injected N times; those that need no cluster at `PLACES` times N places. Printed as
a table, kept as JSON. Ends with 1 where a trial was lost or left running, or a search not carried
on.
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

from asking import argument_parser

TESTS = "tests/search/test_faults.py"
REPETITIONS = 3
PLACES = 20
"""Where a fault strikes that is cheap to inject, for each of the times."""

COLUMNS = {
    "injected": "injected how often",
    "finished_before": "trials finished before",
    "lost": "trials lost",
    "left_running": "left running",
    "carried_on": "carried on to the end",
}
"""What the tests note, and what it is called in the table."""


def run_fault_tests(which: str, places: int) -> tuple[dict[str, dict[str, int]], bool]:
    """Return what the tests noted of each fault, and whether they all passed.

    Args:
        which: Marker expression of the tests to run.
        places: Where each cheap fault is injected.
    """
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "--quiet", TESTS, "-m", which]
        done = subprocess.run(  # noqa: S603 - ourselves
            [*command, f"--junit-xml={report}", "--override-ini=junit_family=xunit1"],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, "OMP_NUM_THREADS": "1", "SIMSTEAD_FAULT_PLACES": str(places)},
            stdout=sys.stderr,
            check=False,
        )
        facts: dict[str, dict[str, int]] = {}
        own: dict[str, int] = {}
        for each in ET.parse(report).iter("property"):  # noqa: S314 - our own
            if each.attrib["name"] == "fault":
                own = facts.setdefault(each.attrib["value"], {})
            else:
                own[each.attrib["name"]] = int(each.attrib["value"])
    return facts, done.returncode == 0


def format_table(faults: Mapping[str, Mapping[str, int]]) -> str:
    """Return the figures in words, a line each."""
    width = max(map(len, [*faults, "fault"]))
    lines = [" | ".join((f"{'fault':<{width}}", *COLUMNS.values()))]
    for fault, facts in faults.items():
        figures = (f"{facts[name]:>{len(title)}}" for name, title in COLUMNS.items())
        lines.append(" | ".join((f"{fault:<{width}}", *figures)))
    return "\n".join(lines)


def main() -> int:
    """Inject, print, keep beside this file; return 1 where something was lost."""
    asked = argument_parser(__doc__)
    asked.add_argument("--times", type=int, default=REPETITIONS, metavar="N")
    times = asked.parse_args().times
    faults: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(COLUMNS, 0))
    passed = True
    for which in ("not slow", *["slow"] * times):
        facts, well = run_fault_tests(which, PLACES * times)
        passed &= well
        for fault, figures in facts.items():
            for name, figure in figures.items():
                faults[fault][name] += figure
    print(format_table(faults))
    Path(__file__).with_suffix(".json").write_text(json.dumps(faults, indent=1) + "\n")
    even = all(
        facts["lost"] == facts["left_running"] == 0 and facts["carried_on"] == facts["injected"]
        for facts in faults.values()
    )
    return 0 if passed and even else 1


if __name__ == "__main__":
    sys.exit(main())
