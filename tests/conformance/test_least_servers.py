"""The least servers: one predictor type, one source and at most live reloading, of which core is judged in full."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from conformance import selection
from conformance.catalogue import PREDICTORS, SOURCES, Feature, PredictorType, Profile, Source, load_catalogue
from conformance.implementation import Declares, Implementation, load_implementation
from tests.conformance.suite_runs import REFERENCE, ROOT, run_suite

CATALOGUE = load_catalogue()


class _Collected:
    """Notes every test as it is collected, before a run leaves any of them out."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note one test."""
        self.items.append(item)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Sequence[pytest.Item]:
    """Give every test in every setting."""
    collected = _Collected()
    report = str(tmp_path_factory.mktemp("report"))
    options = ["-p", "conformance.plugin", "-p", "no:cacheprovider", "-q", "--collect-only", "--report-dir", report]
    pytest.main([*options, "--implementation", str(REFERENCE), str(ROOT / "conformance")], plugins=[collected])
    return collected.items


@pytest.fixture(scope="module")
def items(everything: Sequence[pytest.Item]) -> Sequence[pytest.Item]:
    """Give every test of core, in every setting."""
    return [item for item in everything if selection.clause_of(item, CATALOGUE).profile is Profile.CORE]


def test_every_clause_has_a_test(everything: Sequence[pytest.Item]) -> None:
    """No clause of the catalogue is without a test, also not one that needs special hardware."""
    assert {selection.clause_of(item, CATALOGUE).id for item in everything} == CATALOGUE.keys()


def _declaring(predictor: PredictorType, source: Source, features: list[Feature]) -> Implementation:
    least = Declares(predictors=[predictor], sources=[source], features=features)
    return load_implementation(REFERENCE).model_copy(update={"declares": least, "control": None})


def _judged(items: Sequence[pytest.Item], implementation: Implementation) -> Iterator[str]:
    """Give the clause of each test that a run against this implementation would have."""
    full = implementation.declares.predictors == ["tensorflow"]
    for item in items:
        clause = selection.clause_of(item, CATALOGUE)
        if selection.is_about(item, clause) and selection.is_in_matrix(item, implementation, full=full):
            marks = list(item.own_markers)
            selection.replant(item, clause, implementation)
            if not selection.missing_for(item, clause, implementation):
                yield clause.id
            item.own_markers[:] = marks


@pytest.mark.parametrize(
    ("predictor", "source", "features"),
    [
        pytest.param(*case, id=f"{case[0]}-{case[1]}-{'-'.join(case[2]) or 'nothing'}")
        for case in itertools.product(PREDICTORS, SOURCES, ([], ["reload"], ["reload", "multi-model"]))
    ],
)
def test_core_is_judged_in_full(
    items: Sequence[pytest.Item], predictor: PredictorType, source: Source, features: list[Feature]
) -> None:
    """Of every clause of core that speaks of what a server declares there is a test that it can take."""
    implementation = _declaring(predictor, source, features)
    judged = set(_judged(items, implementation))
    unjudged = [
        clause.id
        for clause in CATALOGUE.values()
        if clause.profile is Profile.CORE and not implementation.missing_for(clause) and clause.id not in judged
    ]
    assert not unjudged


def test_server_of_one_predictor_is_judged_on_what_it_declares(tmp_path: Path) -> None:
    """A server that declares onnx, a directory and reloading is conformant; what it does not declare is no matter."""
    text, lines = REFERENCE.read_text(encoding="utf-8"), []
    least = {"predictors": ["onnx"], "sources": ["local"], "features": ["reload", "control"]}
    for line in text.splitlines():
        key = line.partition(" = ")[0]
        lines.append(f"{key} = {least[key]}" if key in least else line)
    file = tmp_path / "onnx.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    run = run_suite(file, tmp_path / "report")
    assert run.results is not None, run.output
    assert run.results["verdict"] == "conformant", run.output
    implementation = load_implementation(file)
    declared = {name for name, clause in CATALOGUE.items() if not implementation.missing_for(clause)}
    outcomes = run.outcomes()
    assert {name for name, outcome in outcomes.items() if outcome == "not-supported"} == CATALOGUE.keys() - declared
    assert {outcomes[name] for name in declared} == {"pass"}
    profiles = {name: profile["verdict"] for name, profile in run.results["profiles"].items()}
    assert profiles == {
        "core": "conformant",
        "multi-model": "absent",
        "cache": "absent",
        "gpu": "absent",
        "inferentia": "absent",
    }
