"""Confirmations on sealed samples, in words."""

from problems import Metric
from reports.formatting import format_count, format_number
from reports.views.verdicts import difference_text
from search.run.finalists import Confirmation


def confirmation_sentences(confirmation: Confirmation, metric: Metric) -> tuple[str, ...]:
    """Return what the sealed samples say of a trial: its error, the comparison, the openings.

    Args:
        confirmation: The confirmation.
        metric: The objective.
    """
    samples = format_count(confirmation.samples, "sample")
    if confirmation.groups is not None:
        samples += f" of {format_count(confirmation.groups, 'group')}"
    name, unit = metric.name.replace("_", " "), "" if metric.unit in {"", "1"} else metric.unit
    error = confirmation.metrics.get(metric.name)
    told = f"On {samples} that no search has seen the {name} of trial {confirmation.trial} is "
    sentences = [f"{told}not known."]
    if error is not None:
        value = f"{format_number(error.value)} {unit}".strip()
        interval = f"90 %: {format_number(error.low)} to {format_number(error.high)}"
        sentences = [f"{told}{value} ({interval})."]
    if confirmation.failed:
        sentences.append(f"It failed on {format_count(confirmation.failed, 'sample')}.")
    against = confirmation.against_baseline
    if against is not None:
        verdict = {
            "smaller": "Its error is smaller than",
            "alike": "Its error can't be told from",
            "larger": "Its error is larger than",
        }[against.verdict]
        sentences.append(f"{verdict} that of {against.other} ({difference_text(against)}).")
    times = "once" if confirmation.opened == 1 else f"{confirmation.opened} times"
    sentences.append(
        f"Scored on {confirmation.date[:10]}; these samples were opened {times} on that machine."
    )
    return tuple(sentences)
