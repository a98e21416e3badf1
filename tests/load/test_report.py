"""The report: what makes a run invalid, what makes it fail, and the files that say so."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import pytest

from load.analysis import Analysis
from load.charts import charts_of
from load.report import SCHEMA, Report, report_schema, to_json
from load.reporting import report_on, write_report
from load.stage import Ending
from tests.load.observed import Way, busy, observe


def missed(report: Report) -> set[str]:
    """Name the checks that were not met."""
    return {check.name for check in report.checks if not check.passed}


def test_good_run_passes() -> None:
    """A run in which everything is as it should be is valid and passes, near the predicted peak."""
    report = report_on(observe())
    assert report.outcome == "PASS"
    assert not missed(report)
    assert report.memory is not None
    assert report.memory.manner == "in runs"
    assert report.memory.runs == 10
    assert report.memory.period == pytest.approx(10)
    assert report.memory.predicted is not None
    assert report.memory.predicted.deviation == pytest.approx(0, abs=0.15)
    assert {latency.kind for latency in report.latencies} == {"hit", "cold"}


@pytest.mark.parametrize(
    ("way", "names"),
    [
        ("all the time", {"eviction, memory", "prediction, memory"}),
        ("never", {"eviction, memory", "over the memory limit", "prediction, memory"}),
    ],
)
def test_other_ways_of_eviction_fail(way: Way, names: set[str]) -> None:
    """A server that evicts on the path of requests, or never, fails in what it does and in nothing else."""
    report = report_on(observe(way))
    assert report.outcome == "FAIL"
    assert missed(report) == names
    assert report.memory is not None
    assert report.memory.manner == way


def test_late_starts_make_a_run_invalid() -> None:
    """Where 2 % of the requests start later than allowed, the run says nothing about the server."""
    report = report_on(observe(late=0.2))
    assert report.outcome == "INVALID"
    assert missed(report) == {"late starts"}
    assert report.run.late_share == pytest.approx(0.02)


def test_late_start_counts_as_latency() -> None:
    """Latency counts from the moment at which a request was due, so that a slow generator flatters nobody."""
    on_time = {one.kind: one.highest for one in report_on(observe()).latencies}
    late = {one.kind: one.highest for one in report_on(observe(late=0.2)).latencies}
    assert late["hit"] == pytest.approx(on_time["hit"] + 0.2)


def test_busy_generator_makes_a_run_invalid() -> None:
    """A process that sends requests and needs nearly a whole processor may be what was measured."""
    report = report_on(busy(observe(), 0.97))
    assert report.outcome == "INVALID"
    assert missed(report) == {"load generator"}


def test_short_run_is_invalid() -> None:
    """A run that ended early, or of too few requests, says nothing about the server."""
    seen = observe()
    short = report_on(replace(seen, ended_at=seen.ended_at - 50, interrupted=True))
    assert short.outcome == "INVALID"
    assert "duration" in missed(short)
    seen = observe(overrides=["validity.requests=1000"])
    assert missed(report_on(replace(seen, measured_from=seen.measured_from + 0.4))) == {"requests"}


@pytest.mark.parametrize("change", [{"locust_requests": 1199}, {"senders_missing": 1}])
def test_lost_records_make_a_run_invalid(change: dict[str, int]) -> None:
    """Every request is counted once by those who send it, by Locust and by the server, or the run is invalid."""
    seen = observe()
    report = report_on(replace(seen, **change))  # type: ignore[arg-type]
    assert report.outcome == "INVALID"
    assert missed(report) == {"equal totals"}


def test_run_without_a_witness_cannot_tell_of_the_cache() -> None:
    """Where no journal was seen, the limits of the cache are not passed but unobservable."""
    report = report_on(replace(observe(), journal=[]))
    assert report.outcome == "INVALID"
    assert missed(report) == {"cache seen"}
    assert report.memory is None


def test_wrong_answers_fail_and_are_shown() -> None:
    """Answers of another model are found by the suite's judge, counted, and shown with their clause."""
    report = report_on(observe(wrong=3))
    assert report.outcome == "FAIL"
    assert missed(report) == {"wrong answers"}
    assert report.wrong == 3
    assert {accusation.clause for accusation in report.accusations} == {"clients.by-name"}


def test_server_that_died_fails() -> None:
    """A server that ended by itself fails, although the run is shorter than it should be, with its last words."""
    seen = observe()
    ending = Ending(died="the server exited with status 70", log=["last words"])
    report = report_on(replace(seen, ended_at=seen.ended_at - 50, ending=ending))
    assert report.outcome == "FAIL"
    assert report.server_log == ["last words"]


def test_json_satisfies_its_schema(tmp_path: Path) -> None:
    """report.json satisfies the schema that is published beside the code, and that file is up to date."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert schema == report_schema(), "run: python -c 'from load.report import write_schema; write_schema()'"
    seen = observe()
    write_report(report_on(seen), seen, tmp_path)
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)
    assert document["schema"] == 1


class _Page(HTMLParser):
    """Gathers what a page would load from elsewhere, and checks that its elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.figures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        self.figures += tag == "figure"
        self.loads += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href"}]


def test_page_needs_nothing_else(tmp_path: Path) -> None:
    """The page has its charts inside and loads nothing: every reference in it is to a part of itself."""
    seen = observe()
    write_report(report_on(seen), seen, tmp_path)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.figures == 4
    assert all(reference.startswith("#") for reference in page.loads)
    assert not re.search(r"@import|url\((?!#)", text)


def test_page_escapes_what_others_wrote(tmp_path: Path) -> None:
    """A name from an implementation file is text, and never markup."""
    seen = replace(observe(), implementation={"name": "<b>&", "version": "1", "url": "x"})
    write_report(report_on(seen), seen, tmp_path)
    assert "&lt;b&gt;&amp;" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_charts_are_the_same_for_the_same_run() -> None:
    """The same observations give the same bytes, so that pictures in a repository change when what they show does."""
    assert charts_of(Analysis(observe())) == charts_of(Analysis(observe()))


def test_manner_is_in_the_picture() -> None:
    """The chart of the memory says in its title how the server evicts, and marks runs where there are some."""
    by_way = {way: dict(charts_of(Analysis(observe(way))))["Models in memory"] for way in ("in runs", "never")}  # type: ignore[arg-type]
    assert "evicts in runs, 10.0 s apart" in by_way["in runs"]
    assert "eviction run<" in by_way["in runs"]
    assert "never evicts" in by_way["never"]
    assert "eviction run<" not in by_way["never"]
    assert "predicted peak" in by_way["in runs"]


def test_report_can_be_read_again() -> None:
    """What was written as JSON is the report again."""
    report = report_on(observe())
    assert Report.model_validate_json(to_json(report)) == report
