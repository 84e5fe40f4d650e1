"""Hand over a surrogate: the artefact that was measured, byte for byte, and ways to call it."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from problems import UnknownNameError, UserError, load_problem
from search.export.host_code import kernel_for, script_for, write_host_code
from search.objectives.recommendation import recommendation_of
from search.run.directory import Run
from search.run.finalists import Recommendation
from search.run.records import Record
from search.timing.reference import verified_manifest
from spaces.manifest import USAGE, Manifest, read_manifest
from spaces.registered import ARCHITECTURES

PICKS = ("knee", "fastest", "accurate", "smallest")
"""Fields of a `Recommendation`."""

README_TEMPLATE = """\
# {name}: {problem} {size}, {encoding} / {architecture}

In place of the reference, {speedup:,.0f} times as fast on the machine that searched
({batch} samples a call, {threads} thread); {metric} {error:.3g} on the {split} split ({source}).

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

`manifest.json` states shapes, units, versions and the hash of every file of the artefact; loading
verifies them.
{hosts}"""

SCRIPT_SECTION = """
Where there is no simstead, the network alone can be called, in numbers scaled as in training;
encoding them and decoding the answers is the problem's own code: simstead's
`docs/use-a-surrogate.md` says more.

- `use/run.py`: for Python, with NumPy and {library} {version} alone. `python use/run.py` checks it.
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
    """The trial that a user means, and why it is that one; nothing where its number was given."""

    record: Record
    reason: str


class ExportResult(NamedTuple):
    """A trial that was handed over.

    Args:
        record: The trial's.
        reason: Why it is that one; empty where it was asked for by its number.
        without: Why its network can't be called without simstead; empty where it can.
    """

    record: Record
    reason: str
    no_host_code_reason: str


def export(run: Run, pick: str, folder: Path) -> ExportResult:
    """Copy a trial's artefact into a new folder, with a page and programs on its use.

    Args:
        run: A run that reached its final heat.
        pick: One of `PICKS`, or a trial's number.
        folder: Must not exist, or be empty.

    Raises:
        UserError: There is nothing to export, the folder is taken, or the artefact was altered.
    """
    record, reason = pick_record(run, pick)
    manifest = verified_manifest(run, record)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and isn't empty; name a new folder")
    if manifest.candidate.architecture not in list(ARCHITECTURES):
        load_problem(manifest.source, manifest.candidate.size)  # whose file registers the family
    try:
        shutil.copytree(run.artefact(record.number), folder, dirs_exist_ok=True)
        no_host_code_reason = write_host_code(folder, manifest)
        (folder / USAGE).write_text(_usage(run, record, manifest, no_host_code_reason))
    except OSError as error:
        raise UserError(f"{folder} can't be written ({error.strerror}); name another") from error
    if read_manifest(folder).hash != record.artefact_hash:
        raise UserError(f"{folder} differs from what was measured: the copy failed, try again")
    return ExportResult(record, reason, no_host_code_reason)


def pick_record(run: Run, pick: str) -> Picked:
    """Return the trial that `pick` means.

    Args:
        run: A run that reached its final heat, unless `pick` is a number.
        pick: One of `PICKS`, or a trial's number.

    Raises:
        UserError: No such trial was recommended, or it left no artefact.
    """
    records = {record.number: record for record in run.records() if record.artefact}
    if not records:
        raise UserError(f"{run.folder} has no finished surrogate to export")
    if pick.isdecimal():
        if int(pick) not in records:
            raise UserError(
                f"trial {pick} left no artefact; those that did: {', '.join(map(str, records))}"
            )
        return Picked(records[int(pick)], "")
    if pick not in PICKS:
        raise UnknownNameError("pick", pick, PICKS)
    chosen = _recommended(run, records.values())
    trial: int | None = getattr(chosen, pick)
    if trial is None:
        raise UserError(
            f"memory was no objective of the search in {run.folder}: no trial is the {pick} one; "
            "pick knee, fastest or accurate"
        )
    if trial not in records:
        raise UserError(f"{run.folder} lacks the trial that its final heat chose: {trial}")
    return Picked(records[trial], f"{pick}, {chosen.reason}")


def _recommended(run: Run, records: Iterable[Record]) -> Recommendation:
    heat = run.heat()
    if heat is None:
        raise UserError(
            f"{run.folder} has had no final heat; finish its search, or pick a trial by its number"
        )
    data = run.data()
    chosen = recommendation_of(heat, records, data.metrics[0].name, data.limits)
    if chosen is None:
        raise UserError(
            f"the final heat of {run.folder} recommends no trial: it could measure none; pick a "
            "trial by its number"
        )
    return chosen


def _usage(run: Run, record: Record, manifest: Manifest, no_host_code_reason: str) -> str:
    metric = run.data().metrics[0].name
    heat = run.heat()
    member = heat.finalist(record.number) if heat else None
    if member and metric in member.test:
        timing, error, split = member.timing, member.test[metric].value, "test"
    else:
        timing, error, split = record.timing, record.metrics[metric], "validation"
    named = (("in", manifest.inputs), ("out", manifest.outputs))
    return README_TEMPLATE.format(
        reference=run.spec().source or record.candidate.problem,
        inputs=_some_inputs(manifest) if run.data().recorded else DRAW_INPUTS,
        fields="\n".join(
            f"- {side}: `{field.name}` {('n', *field.shape)} [{field.unit}]"
            for side, fields in named
            for field in fields
        ),
        name=f"trial {record.number}",
        problem=record.candidate.problem,
        size=record.candidate.size,
        encoding=record.candidate.encoding,
        architecture=record.candidate.architecture,
        speedup=timing.speedup if timing else float("nan"),
        batch=manifest.batch,
        threads=manifest.threads,
        metric=metric,
        error=error,
        split=split,
        source="final heat" if split == "test" else "as the trial found it",
        hosts=NO_HOST_CODE_SECTION.format(why=no_host_code_reason)
        if no_host_code_reason
        else _hosts(manifest),
    )


def _hosts(manifest: Manifest) -> str:
    """Return what the page says of calling the network without simstead."""
    runtime = manifest.candidate.runtime
    if not script_for(runtime).is_file():
        return ""
    library = runtime if runtime in manifest.versions else "torch"
    script = SCRIPT_SECTION.format(library=library, version=manifest.versions[library])
    return script + (KERNEL_SECTION if kernel_for(runtime).is_dir() else "")


def _some_inputs(manifest: Manifest) -> str:
    """Return inputs to try, in Python: recorded data have no simulation to draw them."""
    each = (f'"{field.name}": np.ones({(4, *field.shape)})' for field in manifest.inputs)
    return f"{{{', '.join(each)}}}  # put yours here"
