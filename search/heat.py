"""The final heat: what the report quotes.

With nothing else running, the front's members, the baselines and the reference are timed in turn,
and every one is scored on the test and shifted splits.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np

from problems import Dataset, Problem, Split, Surrogate, UserError
from problems import Run as RunFunction
from problems.core import repeated, rows
from problems.dataset import finite_samples
from search.fronts import knee, ranks
from search.records import Entrant, Heat, PictureFacts, Record, Run, State, now
from search.scoring import intervals, scored
from search.stopwatch import Contender, exclusive_slot, keep_large_blocks, time_in_turn
from search.study import objectives
from search.trial import contender, timing_of
from spaces.artefact import load_surrogate, read_manifest

ROUNDS = 5

REFERENCE = "reference"
REFERENCE_SAMPLES = 4
"""Samples of the full reference in one round; the calibration run's share is not trusted here."""

LARGEST_FRONT = 12
"""So many front members at most are timed again, spread evenly along the front."""

SLOWEST_CALL_S = 0.5
"""A baseline that takes longer for the deployment's batch is timed on fewer samples."""


def final_heat(
    problem: Problem, data: Dataset, run: Run, progress: Callable[[int, int], None]
) -> Heat:
    """Time the front and the baselines again, in turn, and score them on the held-out splits.

    Raises:
        UserError: An artefact isn't the one that was measured.
    """
    keep_large_blocks()
    members = front_members(problem, run.records())
    runs = dict(problem.baselines)
    contenders = {name: _shortened(baseline, problem, data.test) for name, baseline in runs.items()}
    trials: dict[str, Record] = {}
    for record in members:
        name = f"trial {record.number}"
        surrogate = _as_measured(problem, run, record)
        trials[name], runs[name] = record, surrogate.run
        contenders[name] = contender(surrogate, problem, data.test)
    reference = repeated(data.test.inputs, REFERENCE_SAMPLES)
    rng = np.random.default_rng(0)
    contenders[REFERENCE] = Contender(
        lambda: problem.simulation.run(reference, rng), REFERENCE_SAMPLES
    )
    steps = ROUNDS + len(runs)
    progress(0, steps)
    with exclusive_slot():
        seconds = time_in_turn(contenders, ROUNDS, after_round=lambda done: progress(done, steps))
    entrants: list[Entrant] = []
    for done, (name, stand_in) in enumerate(runs.items(), start=ROUNDS + 1):
        test, shifted = (scored(problem, stand_in, split) for split in (data.test, data.shifted))
        record = trials.get(name)
        entrants.append(
            Entrant(
                name=name,
                trial=None if record is None else record.number,
                timing=timing_of(seconds[name], seconds[REFERENCE]),
                test=intervals(problem, test),
                shifted=intervals(problem, shifted),
                failed={"test": test.failed, "shifted": shifted.failed},
            )
        )
        progress(done, steps)
    chosen = knee_trial(problem, entrants, list(trials.values()))
    pictures = () if chosen is None else _pictures(problem, runs[f"trial {chosen}"], data.test)
    return Heat(knee=chosen, entrants=tuple(entrants), pictures=pictures, ended=now())


def front_members(problem: Problem, records: Sequence[Record]) -> list[Record]:
    """Return the trials that no other one beats in both error and time, at most `LARGEST_FRONT`."""
    complete = [record for record in records if record.state is State.COMPLETE]
    if not complete:
        return []
    points = [objectives(problem, record) for record in complete]
    rank = ranks(points)
    front = [record for record, level in zip(complete, rank, strict=True) if level == 0]
    front.sort(key=lambda record: objectives(problem, record))
    spread = np.linspace(0, len(front) - 1, min(len(front), LARGEST_FRONT)).round().astype(int)
    return [front[i] for i in spread]


def knee_trial(
    problem: Problem, entrants: Sequence[Entrant], members: Sequence[Record]
) -> int | None:
    """Return the number of the trial at the knee of (validation error, time measured again).

    The test split has no say: what it is quoted for must not have been chosen by it.
    """
    if not members:
        return None
    again = {entrant.trial: entrant.timing.time_s for entrant in entrants}
    points = [
        (objectives(problem, record)[0], np.log10(again[record.number])) for record in members
    ]
    return members[knee(points)].number


def _as_measured(problem: Problem, run: Run, record: Record) -> Surrogate:
    folder = run.artefact(record.number)
    if read_manifest(folder).hash != record.artefact_hash:
        raise UserError(f"{folder} isn't the artefact that trial {record.number} measured")
    return load_surrogate(folder, problem)


def _shortened(baseline: RunFunction, problem: Problem, split: Split) -> Contender:
    """Return a baseline as the host would call it, on fewer samples where it is slow."""
    one, rng = repeated(split.inputs, 1), np.random.default_rng(0)
    once = time_in_turn({"one": Contender(lambda: baseline(one, rng), 1)}, 1, 0.0)["one"][0]
    samples = int(np.clip(SLOWEST_CALL_S / once, 1, problem.deployment.batch))
    inputs = repeated(split.inputs, samples)
    return Contender(lambda: baseline(inputs, rng), samples)


def _pictures(problem: Problem, stand_in: RunFunction, split: Split) -> tuple[PictureFacts, ...]:
    if problem.pictures is None:
        return ()
    result = scored(problem, stand_in, split)
    kept = rows(result.outputs, finite_samples(result.outputs))
    drawn = problem.pictures(kept, result.survivors.outputs, result.survivors.inputs)
    return tuple(PictureFacts.model_validate(asdict(picture)) for picture in drawn)
