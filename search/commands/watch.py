"""The state of a run, shown over and over until its search has ended."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from search.commands.status import RunStatus

INTERVAL_S = 2.0
"""Interval at which the run directory is read [s]."""

JOBS_INTERVAL_S = 30.0
"""Interval at which the batch system is asked [s]: it serves many users."""


def watch_status(
    console: Console,
    read: Callable[[], RunStatus],
    format_lines: Callable[[RunStatus], Sequence[str]],
    describe_jobs: Callable[[], Sequence[str]],
) -> None:
    """Show the state of a run until no process and no job drives it, or until Ctrl-C.

    Args:
        console: Where it is shown.
        read: Returns the state.
        format_lines: Returns the lines of a state.
        describe_jobs: Returns the lines of the run's jobs, by asking the batch system.
    """
    jobs, described_at = describe_jobs(), time.monotonic()
    try:
        with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
            while True:
                status = read()
                goes_on = bool(status.driver) or status.launched
                if not goes_on or time.monotonic() - described_at >= JOBS_INTERVAL_S:
                    jobs, described_at = describe_jobs(), time.monotonic()
                lines = [*format_lines(status), *jobs]
                live.update(Group(*(Text(line, no_wrap=True) for line in lines)), refresh=True)
                if not goes_on:
                    return
                time.sleep(INTERVAL_S)
    except KeyboardInterrupt:
        console.print("no longer watched; the search continues")
