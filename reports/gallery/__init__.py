"""The figures of a report, as charts; empty charts are left out."""

from reports.charts import Chart
from reports.gallery.data import learning_charts, simulation_charts
from reports.gallery.front import front_chart
from reports.gallery.inference import batch_charts, deployment_charts, latency_charts
from reports.gallery.labels import sensitivity_charts
from reports.gallery.networks import importance_charts, rung_charts
from reports.gallery.search import hypervolume_charts, worker_charts
from reports.gallery.spread import spread_charts
from reports.gallery.validation import picture_charts, sample_charts, sample_error_charts
from reports.views import ReportData

__all__ = ["front_chart", "report_charts", "sample_charts"]


def report_charts(facts: ReportData) -> dict[str, list[Chart]]:
    """Return the charts of each section, in the order of the report."""
    sections = {
        "data": [*simulation_charts(facts), *learning_charts(facts)],
        "networks": [*importance_charts(facts), *rung_charts(facts)],
        "validation": [
            *picture_charts(facts.pictures, "picture"),
            *sample_error_charts(facts),
            *spread_charts(facts),
            *picture_charts(facts.worst_pictures, "worst"),
            *sensitivity_charts(facts),
        ],
        "inference": [*deployment_charts(facts), *latency_charts(facts), *batch_charts(facts)],
        "search": [*hypervolume_charts(facts), *worker_charts(facts)],
    }
    return {
        section: [chart for chart in charts if not chart.is_empty]
        for section, charts in sections.items()
    }
