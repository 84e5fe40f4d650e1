"""A driver in this process, without Ray, and what is told of each of its writes."""

import itertools
import math
import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search.run.directory import RunDirectory
from search.run.records import Record, State
from search.trial.context import SearchContext
from search.trial.record_builder import RungReport
from search.workers.successive_halving import SuccessiveHalving
from search.workers.tune_adapter import StudySearcher
from spaces.candidate import Candidate
from spaces.restrictions import Restrictions
from tests.builders import make_record, make_rung

Life = Callable[[SearchContext, Candidate, int, int | None], Iterator[RungReport | Record]]

Drive = Callable[..., RunDirectory]

NARROWING = Restrictions(keep={"architecture": ("mlp",), "runtime": ("eager",)})

DEPLOYMENTS, WORKERS = 2, 2

MOMENTS = itertools.count()
"""No two records are alike: one that is written again is noticed."""


def run_sequentially(
    life: Life,
    context: SearchContext,
    searcher: StudySearcher,
    halving: SuccessiveHalving,
) -> None:
    """Do what Tune does: what the searcher has, a step of each in turn.

    Only who diverged is stopped at a rung: what faults do is looked at to the end.
    """
    lives = dict[str, Iterator[RungReport | Record]]()
    while not searcher.should_stop:
        while request := searcher.suggest():
            name = str(request.number)
            lives[name] = life(context, request.candidate, request.number, request.training)
        if not lives:
            break
        for name in list(lives):
            event = next(lives[name])
            if isinstance(event, RungReport):
                as_result = event.as_result()
                searcher.on_trial_result(name, as_result)
                should_continue = halving.should_continue(
                    event.rung.share, event.rung.error, event.relative_time
                )
                if should_continue or math.isfinite(event.rung.error):
                    continue
            else:
                as_result = {"record": event.model_dump_json(), "done": True}
            searcher.on_trial_complete(name, as_result)
            del lives[name]
    if searcher.storage_error:
        raise searcher.storage_error


def instant_trial(
    context: SearchContext, candidate: Candidate, number: int, training: int | None = None
) -> Iterator[RungReport | Record]:
    """A life that takes no time: its figures hang on the candidate alone."""
    error, time_s = (1.0 / (1 + int(candidate.key[i : i + 4], 16)) for i in (0, 4))
    rung = make_rung(error)
    if training is None:
        yield RungReport(rung, time_s, {})
    fails = int(candidate.key[8], 16) < 4
    yield make_record(
        number,
        candidate,
        error=None if fails else error,
        time_s=None if fails else time_s,
        objective=context.problem.objective.name,
        training=training,
        state=State.INFEASIBLE if fails else State.COMPLETE,
        reason="as it happens" if fails else "",
        rungs=(rung,) if training is None else (),
        unpruned_error=error,
        untrained_relative_time=time_s,
        ended=str(next(MOMENTS)),
    )


WATCHING: list[Callable[[str, Path], None]] = []
"""Who is told of a process's own writes, before each: what is done, and where."""


def _tell(event: str, arguments: tuple[Any, ...]) -> None:
    if not WATCHING or event not in {
        "open", "os.rename", "os.remove", "os.symlink", "os.mkdir", "os.truncate", "shutil.rmtree",
    }:  # fmt: skip
        return
    if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR):
        return
    path = arguments[1] if event in {"os.rename", "os.symlink"} else arguments[0]
    if not isinstance(path, int):
        for watcher in WATCHING:
            watcher(event, Path(os.fsdecode(path)))


sys.addaudithook(_tell)


@contextmanager
def watched(watcher: Callable[[str, Path], None]) -> Generator[None]:
    WATCHING.append(watcher)
    try:
        yield
    finally:
        WATCHING.remove(watcher)
