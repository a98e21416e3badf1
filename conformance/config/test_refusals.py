"""Configurations that are refused before anything is served."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from conformance.lab import Lab
from conformance.marks import clause
from conformance.suite import suite_of
from conformance.violations import Evidence, ViolationError

# What a configuration says below `predictor`, given the path of a directory of models and that of one model.
Write = Callable[[str, str], Mapping[str, Any]]


def _entry(model: str) -> list[dict[str, str]]:
    return [{"name": "one", "path": model}]


def _cache(folder: str, cache: object, disk: object) -> dict[str, Any]:
    return {"models": {"dir": folder, "cache_size": cache, "disk_cache_size": disk}}


# By name: the clause, the configuration, and the fields of which the message has to name one.
CORE: dict[str, tuple[str, Write, set[str]]] = {
    "paths-and-dir": (
        "config.paths-or-dir",
        lambda folder, model: {"models": {"paths": _entry(model), "dir": folder}},
        {"models", "paths", "dir"},
    ),
    "model-path-and-dir": (
        "config.exclusive",
        lambda folder, model: {"model_path": model, "models": {"dir": folder}},
        {"model_path", "models"},
    ),
    "model-path-and-paths": (
        "config.exclusive",
        lambda _, model: {"model_path": model, "models": {"paths": _entry(model)}},
        {"model_path", "models"},
    ),
    "neither-paths-nor-dir": ("config.exclusive", lambda *_: {"models": {}}, {"models", "paths", "dir"}),
}
CACHE_SIZES = {"cache_size", "disk_cache_size"}
CACHE: dict[str, tuple[str, Write, set[str]]] = {
    "cache-without-disk": (
        "config.cache-pair",
        lambda folder, _: {"models": {"dir": folder, "cache_size": 2}},
        CACHE_SIZES,
    ),
    "disk-without-cache": (
        "config.cache-pair",
        lambda _, model: {"models": {"paths": _entry(model), "disk_cache_size": 2}},
        CACHE_SIZES,
    ),
    "cache-without-paths-or-dir": (
        "config.cache-pair",
        lambda *_: {"models": {"cache_size": 1, "disk_cache_size": 2}},
        {"models", "paths", "dir", *CACHE_SIZES},
    ),
    "disk-smaller-than-cache": ("config.cache-order", lambda folder, _: _cache(folder, 3, 2), CACHE_SIZES),
    "cache-of-zero": ("config.cache-positive", lambda folder, _: _cache(folder, 0, 2), {"cache_size"}),
    "negative-cache": ("config.cache-positive", lambda folder, _: _cache(folder, -1, 2), {"cache_size"}),
    "fractional-cache": ("config.cache-positive", lambda folder, _: _cache(folder, 1.5, 2), {"cache_size"}),
    "fractional-disk": ("config.cache-positive", lambda folder, _: _cache(folder, 2, 2.5), {"disk_cache_size"}),
    "cache-with-two-processes": (
        "config.cache-one-process",
        lambda folder, _: {**_cache(folder, 1, 2), "processes_per_replica": 2},
        {"processes_per_replica", *CACHE_SIZES},
    ),
}
ALL = CORE | CACHE


@dataclass(frozen=True)
class Attempt:
    """What became of a server that was started: its exit status, None if it still ran, and what it said on stderr."""

    got_ready: bool
    status: int | None
    errors: str
    evidence: Evidence


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what asks for the name of a refusal once for each that the implementation has the features for."""
    if "refused" in metafunc.fixturenames:
        declares = suite_of(metafunc.config).run.implementation.declares
        metafunc.parametrize("refused", ALL if "cache" in declares.features else CORE)


def _attempt(lab: Lab, name: str) -> Attempt:
    """Start a server on one of the configurations, which is done once in a run."""

    def start() -> Attempt:
        model = lab.grow()
        deployment = lab.deploy(ALL[name][1](lab.publish(model.at("one")), lab.publish(model)))
        got_ready = lab.gets_ready(deployment)
        return Attempt(got_ready, deployment.process.status, lab.errors(), lab.evidence())

    return lab.run.once(("refusal", name), start)


@pytest.mark.parametrize("name", [pytest.param(name, marks=clause(case[0])) for name, case in ALL.items()])
def test_configuration_is_refused(lab: Lab, name: str) -> None:
    """Nothing is served on a configuration that contradicts itself."""
    attempt = _attempt(lab, name)
    if attempt.got_ready:
        expected = "the configuration is refused before anything is served"
        raise ViolationError(expected, "the server got ready", attempt.evidence)


@clause("config.refusal-is-clear")
def test_refusal_names_the_field(lab: Lab, refused: str) -> None:
    """A server that refuses its configuration exits with a status other than 0 and names a field at fault."""
    attempt = _attempt(lab, refused)
    if attempt.got_ready:
        return  # that it is not refused is the matter of another clause
    if attempt.status in {0, None}:
        exits = "the server exits with a status other than 0"
        raise ViolationError(exits, f"exit status {attempt.status}", attempt.evidence)
    _, _, fields = ALL[refused]
    if not re.search(rf"\b({'|'.join(fields)})\b", attempt.errors):
        names = f"a message on stderr that names {' or '.join(sorted(fields))}"
        raise ViolationError(names, f"there it says at last: {attempt.errors[-500:]}", attempt.evidence)


@clause("config.cache-order")
def test_equal_cache_sizes_are_accepted(lab: Lab) -> None:
    """A disk cache as large as the memory cache is fine."""
    model = lab.grow()
    deployment = lab.deploy(_cache(lab.publish(model.at("one")), 2, 2))
    lab.expect_accepted(deployment)
    lab.expect_tokens(deployment, {"name": "one"}, model)


@clause("config.load-model-required")
def test_class_without_load_model_is_refused(lab: Lab) -> None:
    """A PythonPredictor without load_model is refused when model paths are given, or errs on every request."""
    path = lab.publish(lab.grow("python"))
    deployment = lab.deploy({"model_path": path}, predictor="python", witness="no_load_model")
    if lab.gets_ready(deployment) and (answer := deployment.predict({})).is_served:
        raise ViolationError("the class is refused, or every request errs", f"status 200: {answer.text[:300]}")


@clause("config.python-model-optional")
def test_python_predictor_needs_no_model(lab: Lab) -> None:
    """A PythonPredictor is served without any model path."""
    deployment = lab.deploy({}, predictor="python", witness="no_model")
    lab.expect_accepted(deployment)
    answer = deployment.predict({"probe": 7})
    if not answer.is_served or answer.body.get("payload") != {"probe": 7}:
        raise ViolationError("the predictor answers", f"status {answer.status}: {answer.text[:300]}")
