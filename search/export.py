"""Hand over a surrogate: the artefact that was measured, byte for byte."""

import shutil
from pathlib import Path

from problems import UnknownNameError, UserError
from search.directory import Run
from search.measurement import verified_manifest
from search.records import Record
from spaces.artefact import USAGE, Manifest, read_manifest

PICKS = ("knee", "fastest", "accurate")

PAGE = """\
# {name}: {problem} {size}, {encoding} / {architecture}

In place of the reference, {speedup:,.0f} times as fast on the machine that searched
({batch} samples a call, {threads} thread); {metric} {error:.3g} on the {split} split ({source}).

    import numpy as np
    from pathlib import Path
    from problems import Size, load_problem
    from spaces.artefact import load_surrogate

    problem = load_problem({reference!r}, Size("{size}"))
    surrogate = load_surrogate(Path("."), problem)
    rng = np.random.default_rng(0)
    inputs = {inputs}
    outputs = surrogate.run(inputs, rng)

Inputs and outputs are dictionaries of arrays whose first axis is the sample:

{fields}

`manifest.json` states shapes, units, versions and the hash of every file; loading verifies them.
"""


DRAWN = "problem.simulation.draw(4, rng)"


def export(run: Run, pick: str, folder: Path) -> Record:
    """Copy a trial's artefact into a new folder, with a page on its use; return its record.

    Args:
        run: A run that reached its final heat.
        pick: One of `PICKS`, or a trial's number.
        folder: Must not exist, or be empty.

    Raises:
        UserError: There is nothing to export, the folder is taken, or the artefact was altered.
    """
    record = picked(run, pick)
    manifest = verified_manifest(run, record)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists and isn't empty; name a new folder")
    try:
        shutil.copytree(run.artefact(record.number), folder, dirs_exist_ok=True)
        (folder / USAGE).write_text(_usage(run, record, manifest))
    except OSError as error:
        raise UserError(f"{folder} can't be written ({error.strerror}); name another") from error
    if read_manifest(folder).hash != record.artefact_hash:
        raise UserError(f"{folder} differs from what was measured: the copy failed, try again")
    return record


def picked(run: Run, pick: str) -> Record:
    """Return the record of the trial that `pick` means."""
    records = {record.number: record for record in run.records() if record.artefact}
    if not records:
        raise UserError(f"{run.folder} has no finished surrogate to export")
    if pick.isdecimal():
        if int(pick) not in records:
            raise UserError(
                f"trial {pick} left no artefact; those that did: {', '.join(map(str, records))}"
            )
        return records[int(pick)]
    if pick not in PICKS:
        raise UnknownNameError("pick", pick, PICKS)
    heat = run.heat()
    if heat is None or heat.knee is None:
        raise UserError(
            f"{run.folder} has had no final heat; finish its search, or pick a trial by its number"
        )
    if pick == "knee":
        if heat.knee not in records:
            raise UserError(f"{run.folder} lacks the trial that its final heat chose: {heat.knee}")
        return records[heat.knee]
    members = {e.trial: e.timing.speedup for e in heat.entrants if e.trial is not None}
    if pick == "fastest":
        return records[max(members, key=lambda trial: members[trial])]
    objective = run.data().metrics[0].name
    return min((records[trial] for trial in members), key=lambda r: r.metrics[objective])


def _usage(run: Run, record: Record, manifest: Manifest) -> str:
    metric = run.data().metrics[0].name
    heat = run.heat()
    member = heat.of_trial(record.number) if heat else None
    if member and metric in member.test:
        timing, error, split = member.timing, member.test[metric].value, "test"
    else:
        timing, error, split = record.timing, record.metrics[metric], "validation"
    named = (("in", manifest.inputs), ("out", manifest.outputs))
    return PAGE.format(
        reference=run.spec().source or record.candidate.problem,
        inputs=_some_inputs(manifest) if run.data().recorded else DRAWN,
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
    )


def _some_inputs(manifest: Manifest) -> str:
    """Return inputs to try, in Python: recorded data have no simulation to draw them."""
    each = (f'"{field.name}": np.ones({(4, *field.shape)})' for field in manifest.inputs)
    return f"{{{', '.join(each)}}}  # put yours here"
