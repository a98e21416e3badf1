"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from load.report import Report

_TEMPLATE = "report.html.j2"


def to_html(report: Report, charts: Sequence[tuple[str, str]], staleness_formula: str) -> str:
    """Write the page, with its charts inside: captions and SVG elements."""
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
    figures = [(caption, Markup(svg)) for caption, svg in charts]  # noqa: S704
    page = environment.get_template(_TEMPLATE).render(report=report, charts=figures, formula=staleness_formula)
    return f"{page}\n"
