"""The display of a running search: data, trials, best figures, time left."""

import math
import time
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from problems import Problem
from search.run.records import Record, State

LINE_INTERVAL_S = 10.0
"""Least time between lines where the output is no terminal."""


class ProgressDisplay:
    """Counts of trials and samples; redrawn on a terminal, written as lines elsewhere."""

    def __init__(self, problem: Problem, trials: int, console: Console) -> None:
        self._problem, self._trials, self._console = problem, trials, console
        self._title, self._done, self._total = "data", 0, 0
        self._running = 0
        self._ended: Counter[State] = Counter()
        self._further, self._lost = 0, 0
        self._before = 0
        self._best_error, self._best_speedup = math.inf, 0.0
        self._started = self._written = time.monotonic()
        self._live = Live(get_renderable=self._render, console=console, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def start_phase(self, title: str) -> None:
        """Start a phase of the search, and its clock."""
        self._title, self._done, self._total = title, 0, 0
        self._started = time.monotonic()
        self._show(always=True)

    @property
    def phase(self) -> str:
        """Name of the present phase."""
        return self._title

    def update(self, done: int, total: int) -> None:
        """Show how many of the phase's steps are done."""
        if self._total == 0:
            self._before = done
        self._done, self._total = done, total
        self._show(always=done == total)

    def trial_started(self) -> None:
        """Count a running trial."""
        self._running += 1
        self._show()

    def trial_lost(self) -> None:
        """Count a trial that was lost with its node, and isn't running now."""
        self._running -= 1
        self._lost += 1
        self._show()

    def count_earlier_trials(self, records: Iterable[Record]) -> None:
        """Count the trials of earlier sessions, which don't enter the estimate of the time left."""
        for record in records:
            self._count(record)
        self.update(self._ended.total(), self._trials)

    def trial_finished(self, record: Record) -> None:
        """Count a finished trial."""
        self._running -= 1
        self._count(record)
        self.update(self._ended.total(), self._trials)

    def _count(self, record: Record) -> None:
        if record.training is None:
            self._ended[record.state] += 1
        else:
            self._further += 1
        if record.state is State.COMPLETE and record.timing is not None:
            self._best_error = min(self._best_error, record.metrics[self._problem.objective.name])
            self._best_speedup = max(self._best_speedup, record.timing.speedup)

    def print_line(self, text: str) -> None:
        """Print a line above the display."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def _show(self, *, always: bool = False) -> None:
        now = time.monotonic()
        if self._console.is_terminal or not (always or now - self._written >= LINE_INTERVAL_S):
            return
        self._written = now
        self.print_line(self._line())

    def _line(self) -> str:
        parts = [f"{self._title:<12}"]
        if self._total:
            parts.append(f"{self._done}/{self._total}")
        if self._title == "trials":
            ended = self._ended
            parts.append(
                f"done {ended[State.COMPLETE]}  running {self._running}  "
                f"stopped early {ended[State.STOPPED]}  failed {ended[State.INFEASIBLE]}  "
                f"further deployments {self._further}"
            )
            if self._lost:
                parts.append(f"lost and repeated {self._lost}")
            if self._best_speedup:
                parts.append(f"best error {self._best_error:.3g}")
                if self._problem.reference_has_time:
                    parts.append(f"best speed-up {self._best_speedup:,.0f}x")
        left_s = self._time_left_s()
        parts.append(f"{describe_duration(time.monotonic() - self._started)} elapsed")
        if left_s is not None:
            parts.append(f"about {describe_duration(left_s)} left")
        return "  ".join(parts)

    def _time_left_s(self) -> float | None:
        new = self._done - self._before
        if new <= 0 or self._done >= self._total:
            return None
        return (time.monotonic() - self._started) / new * (self._total - self._done)

    def _render(self) -> Group:
        bar = Table.grid(padding=(0, 1))
        total = max(self._total, 1)
        bar.add_row(ProgressBar(total=total, completed=min(self._done, total), width=40))
        return Group(Text(self._line()), bar)


def describe_duration(seconds: float) -> str:
    """Return a duration in words, such as 2 min 06 s."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
