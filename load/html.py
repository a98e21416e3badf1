"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from load.analysis import Analysis
from load.charts import charts_of
from load.report import Report

_TEMPLATE = "report.html.j2"


def to_html(report: Report, analysis: Analysis) -> str:
    """Write the page, with its charts inside."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["ms"] = lambda seconds: f"{seconds * 1e3:,.1f}"
    environment.filters["mb"] = lambda size: f"{size / 1e6:,.0f} MB"
    # What matplotlib wrote is markup; all text in it has been escaped there.
    charts = [(caption, Markup(svg)) for caption, svg in charts_of(analysis)]  # noqa: S704
    page = environment.get_template(_TEMPLATE).render(
        report=report, charts=charts, formula=analysis.seen.opening.staleness_formula
    )
    return f"{page}\n"
