"""Which figures a report has: facts turned into charts, without those that have nothing to show."""

from reports.charts import Chart
from reports.gallery.data import learning
from reports.gallery.front import front
from reports.gallery.inference import batches, deployments, latency
from reports.gallery.networks import courses, importances
from reports.gallery.search import hypervolume, workers
from reports.gallery.validation import pictures, sample_errors, samples
from reports.views import ReportData

__all__ = ["charts", "front", "samples"]


def charts(facts: ReportData) -> dict[str, list[Chart]]:
    """Return the figures of each section, in their order."""
    found = {
        "data": learning(facts),
        "networks": [*importances(facts), *courses(facts)],
        "validation": [
            *pictures(facts.pictures, "picture"),
            *sample_errors(facts),
            *pictures(facts.worst, "worst"),
        ],
        "inference": [*deployments(facts), *latency(facts), *batches(facts)],
        "search": [*hypervolume(facts), *workers(facts)],
    }
    return {section: [chart for chart in own if chart.series] for section, own in found.items()}
