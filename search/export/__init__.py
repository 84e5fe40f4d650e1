"""Export of a surrogate: the artefact that was measured, byte for byte, and programs to call it."""

import math
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from problems import UnknownNameError, UserError, load_problem
from search.export.host_code import kernel_for, script_for, write_host_code
from search.objectives.recommendation import recommendation_of
from search.run.directory import RunDirectory
from search.run.finalists import Recommendation
from search.run.records import DatasetSummary, Record, Timing
from search.timing.reference import verified_manifest
from spaces.manifest import USAGE, Manifest, read_manifest
from spaces.registered import ARCHITECTURES

RECOMMENDATION_FIELDS = {
    "recommended": "recommended",
    "knee": "knee",
    "accurate": "most_accurate",
    "smallest": "smallest",
}
"""Fields of a `Recommendation` by the names under which users pick them."""

PICKS = tuple(RECOMMENDATION_FIELDS)

README_TEMPLATE = """\
# {name}: {problem} {size}, {encoding} / {architecture}

A surrogate of the reference, {speed} on the machine of the search
({batch} inputs of the network a call, threads: {threads});
{metric} {error:.3g} on {samples:,} {split} samples ({source}).

    import numpy as np
    from problems import Size, load_problem
    from spaces.surrogate import Surrogate

    problem = load_problem({reference!r}, Size("{size}"))
    surrogate = Surrogate.load(".", problem)
    rng = np.random.default_rng(0)
    inputs = {inputs}
    outputs = surrogate.run(inputs, rng)

Inputs and outputs are dictionaries of arrays whose first axis is the sample:

{fields}

`manifest.json` states shapes, units, versions and the hash of every file of the artefact. They are
verified when the artefact is loaded.
{spread}{hosts}"""

SPREAD_SECTION = """
It is an ensemble of {members} networks, which states how uncertain its outputs are:

    prediction = surrogate.run(inputs, rng, spread=True)
    prediction.outputs, prediction.deviations  # the same outputs, and their standard deviations
{interval}
Where a deviation is too large, `surrogate.run_or_simulate` calls the simulation instead; see
simstead's `docs/use-a-surrogate.md`.
"""

INTERVAL = "    low, high = prediction.interval(0.9)  # fitted to hold 90 % of the values\n"

SCRIPT_SECTION = """
Without simstead, the network itself can be called, with inputs and outputs scaled as in training.
Encoding and decoding are then your code; see simstead's `docs/use-a-surrogate.md`.

- `use/run.py`: for Python, with NumPy and {library} {version} only. `python use/run.py` checks it.
"""

KERNEL_SECTION = """\
- `use/native/`: for C, C++ and Fortran. `make -C use/native check` builds the kernel with a host
  loop in C++ and one in Fortran, and runs both.
"""

DRAW_INPUTS = "problem.simulation.draw(4, rng)"


NO_HOST_CODE_SECTION = """
Its network can't be called without simstead: {why}.
"""


class Picked(NamedTuple):
    """The trial that a user picked.

    Args:
        record: Record of the trial.
        reason: The reason of its recommendation; "" if it was picked by its number.
    """

    record: Record
    reason: str


class ExportResult(NamedTuple):
    """A trial that was exported.

    Args:
        record: Record of the trial.
        reason: The reason of its recommendation; "" if it was picked by its number.
        no_host_code_reason: Why its network can't be called without simstead; "" if it can.
    """

    record: Record
    reason: str
    no_host_code_reason: str


def export(run: RunDirectory, pick: str, folder: Path) -> ExportResult:
    """Copy the artefact of a trial into a new folder, with a README and programs that call it.

    Args:
        run: A run with a final evaluation, unless `pick` is a number.
        pick: One of `PICKS`, or the number of a trial.
        folder: A folder that is new or empty.

    Raises:
        UserError: There is nothing to export, the folder is in use, or the artefact was altered.
    """
    record, reason = pick_record(run, pick)
    manifest = verified_manifest(run, record)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and isn't empty; name a new folder")
    if manifest.candidate.architecture not in list(ARCHITECTURES):
        load_problem(manifest.source, manifest.candidate.size)  # its file registers the family
    try:
        shutil.copytree(run.artefact_path(record.number), folder, dirs_exist_ok=True)
        no_host_code_reason = write_host_code(folder, manifest)
        (folder / USAGE).write_text(_usage(run, record, manifest, no_host_code_reason))
    except OSError as error:
        raise UserError(f"{folder} can't be written ({error.strerror}); name another") from error
    if read_manifest(folder).hash != record.artefact_hash:
        raise UserError(f"{folder} differs from what was measured: the copy failed, try again")
    return ExportResult(record, reason, no_host_code_reason)


def pick_record(run: RunDirectory, pick: str) -> Picked:
    """Return the trial that a user picked.

    Args:
        run: A run with a final evaluation, unless `pick` is a number.
        pick: One of `PICKS`, or the number of a trial.

    Raises:
        UserError: No such trial was recommended, or it has no artefact.
        UnknownNameError: `pick` is neither a number nor one of `PICKS`.
    """
    records = {record.number: record for record in run.surrogate_records() if record.artefact}
    if not records:
        raise UserError(f"{run.folder} has no finished surrogate to export")
    if pick.isdecimal():
        if int(pick) not in records:
            raise UserError(
                f"trial {pick} has no artefact; trials with one: {', '.join(map(str, records))}"
            )
        return Picked(records[int(pick)], "")
    if pick not in PICKS:
        raise UnknownNameError("pick", pick, PICKS)
    recommended = _recommendation(run, records.values())
    trial: int | None = getattr(recommended, RECOMMENDATION_FIELDS[pick])
    if trial is None:
        raise UserError(
            f"memory was no objective of the search in {run.folder}, so no trial is recommended as "
            f"the {pick}; pick recommended, knee or accurate"
        )
    if trial not in records:
        raise UserError(f"{run.folder} lacks the recommended trial {trial}")
    return Picked(records[trial], f"{pick}, {recommended.reason}")


def _recommendation(run: RunDirectory, records: Iterable[Record]) -> Recommendation:
    evaluation = run.final_evaluation()
    if evaluation is None:
        raise UserError(
            f"{run.folder} has no final evaluation; finish its search, or pick a trial by number"
        )
    data = run.data()
    recommended = recommendation_of(evaluation, records, data.metrics[0].name, data.limits)
    if recommended is None:
        raise UserError(
            f"the final evaluation of {run.folder} recommends no trial, since none was measured; "
            "pick a trial by its number"
        )
    return recommended


def _usage(run: RunDirectory, record: Record, manifest: Manifest, no_host_code_reason: str) -> str:
    metric = run.data().metrics[0].name
    evaluation = run.final_evaluation()
    finalist = evaluation.finalist(record.number) if evaluation else None
    if finalist and metric in finalist.test:
        timing, error, split = finalist.timing, finalist.test[metric].value, "test"
    else:
        timing, error, split = record.timing, record.metrics[metric], "validation"
    all_fields = (("in", manifest.inputs), ("out", manifest.outputs))
    return README_TEMPLATE.format(
        reference=run.spec().source or record.candidate.problem,
        inputs=_some_inputs(manifest) if run.data().recorded else DRAW_INPUTS,
        fields="\n".join(
            f"- {side}: `{field.name}` {('n', *field.shape)} [{field.unit}]"
            for side, fields in all_fields
            for field in fields
        ),
        name=f"trial {record.number}",
        problem=record.candidate.problem,
        size=record.candidate.size,
        encoding=record.candidate.encoding,
        architecture=record.candidate.architecture,
        speed=_speed(timing, run.data()),
        batch=manifest.batch,
        threads=manifest.threads,
        metric=metric,
        error=error,
        split=split,
        samples=run.data().samples.get(split, 0),
        source="final evaluation" if split == "test" else "as in its trial",
        spread=_spread(manifest),
        hosts=NO_HOST_CODE_SECTION.format(why=no_host_code_reason)
        if no_host_code_reason
        else _hosts(manifest),
    )


def _speed(timing: Timing | None, data: DatasetSummary) -> str:
    """Return a speed over that of the reference, of a baseline, or by itself, in words."""
    speedup = timing.speedup if timing else math.nan
    if data.reference_has_time:
        return f"{speedup:,.0f} times as fast"
    if data.timed_baseline:
        return f"{speedup:,.3g} times as fast as the baseline {data.timed_baseline}"
    return f"{speedup:,.0f} samples per second"


def _spread(manifest: Manifest) -> str:
    """Return the README's section on the spread of an ensemble; "" for one network."""
    if manifest.spread is None:
        return ""
    interval = INTERVAL if manifest.spread.fields else ""
    return SPREAD_SECTION.format(members=len(manifest.candidate.ensemble_seeds), interval=interval)


def _hosts(manifest: Manifest) -> str:
    """Return the README's section on calling the network without simstead."""
    runtime = manifest.candidate.runtime
    if not script_for(runtime).is_file():
        return ""
    library = runtime if runtime in manifest.versions else "torch"
    script = SCRIPT_SECTION.format(library=library, version=manifest.versions[library])
    return script + (KERNEL_SECTION if kernel_for(runtime).is_dir() else "")


def _some_inputs(manifest: Manifest) -> str:
    """Return Python code of example inputs, for recorded data without a simulation."""
    fields = (f'"{field.name}": np.ones({(4, *field.shape)})' for field in manifest.inputs)
    return f"{{{', '.join(fields)}}}  # replace by your inputs"
