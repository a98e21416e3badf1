"""The ground of a load run: trees, a server on them, and where its witness writes; made here, or prepared by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from conformance import timing
from conformance.deployment import Deployment
from conformance.implementation import ClockName, Implementation, Intervals, load_implementation
from conformance.problems import HarnessError, InvalidInputError
from conformance.project import Api, write_project
from conformance.run import Run
from conformance.source_states import Change
from conformance.timing import Pace
from fixtures.targets import Target, TargetError, open_target
from fixtures.trees import Tree
from load.profile import Profile
from load.publications import initial_change, initial_models

WITNESS = Path(__file__).with_name("witness.py")

_PREPARED = "prepared.json"


class Plan(BaseModel):
    """What a run is about: a server that is started for it, or one that runs at `host` on a prepared folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Profile
    implementation: Path
    host: str | None = None
    prepared: Path | None = None
    s3_endpoint: str = "moto"
    patience: float = 1.0


class Prepared(BaseModel):
    """What `prepare` wrote, and whether a run has changed the trees since."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Profile
    tree: str
    endpoint_url: str | None
    published_on: bool = False


@dataclass
class Ground:
    """What a run stands on; `deployment` is the server if it was started here, `changing` the trees that may change."""

    url: str
    target: Target
    pace: Pace
    journals: Path
    published: list[Change]
    changing: dict[str, Tree]
    deployment: Deployment | None = None


def read_implementation(plan: Plan) -> Implementation:
    """Read the implementation file and check that it can run the profile; raises `InvalidInputError`."""
    implementation = load_implementation(plan.implementation)
    declares = implementation.declares
    source = plan.profile.trees.source
    missing = [f"feature {name}" for name in ("multi-model", "reload", "cache") if name not in declares.features]
    if "python" not in declares.predictors:
        missing.append("predictor python, by which models are watched")
    if plan.host is None and source not in declares.sources:
        missing.append(f"source {source} (--set trees.source=...)")
    if missing:
        raise InvalidInputError(f"implementation file {plan.implementation}: not declared: {', '.join(missing)}")
    return implementation


def pace_of(plan: Plan, implementation: Implementation) -> Pace:
    """Give the pace of the server: that of the profile, where the server lets itself be told."""
    server = plan.profile.server
    asked = {"reload": server.reload_interval, "evict": server.evict_interval}
    chosen = {key: asked[key] for key in implementation.chosen_intervals}
    intervals: Intervals = implementation.intervals.model_copy(update=chosen)
    return Pace(intervals, plan.patience, keys=plan.profile.trees.models * plan.profile.trees.versions * 2)


def api_of(profile: Profile, tree: str, implementation: Implementation) -> Api:
    """Write the configuration of the server."""
    cache = profile.cache
    models: dict[str, Any] = {"dir": f"{tree}/", "cache_size": cache.cache_size}
    models["disk_cache_size"] = cache.disk_cache_size
    threads = {"threads_per_process": profile.server.threads} if "threads" in implementation.declares.features else {}
    return Api("python", {"models": models}, WITNESS, threads)


@contextlib.contextmanager
def open_ground(plan: Plan) -> Iterator[Ground]:
    """Publish the trees and start the server, or take what was prepared; all that was started ends with the block.

    Raises `SuiteError`, `ServerDiedError` and `TargetError`.
    """
    if plan.host is not None:
        yield _prepared_ground(plan)
        return
    implementation = read_implementation(plan)
    profile = plan.profile
    run = Run(
        implementation,
        clock=ClockName.TIMED,
        patience=plan.patience,
        seed=profile.seed,
        s3_endpoint=plan.s3_endpoint,
        keep=False,
    )
    run.pace = pace_of(plan, implementation)
    with contextlib.closing(run):
        if profile.trees.source == "s3":
            run.open()
        target = run.target(profile.trees.source, "models")
        published, changing = _publish(profile, target)
        deployment = run.deployment(api_of(profile, target.url, implementation), keys=run.pace.keys)
        with contextlib.closing(deployment):
            deployment.spawn()
            deployment.await_ready()
            yield Ground(
                deployment.url, target, deployment.pace, deployment.journal_folder, published, changing, deployment
            )


def prepare(profile: Profile, implementation_file: Path, folder: Path, tree: str | None, endpoint: str | None) -> str:
    """Write trees, project and journal folder for a server that is started by hand; gives the place of the trees.

    Raises `SuiteError` and `TargetError`.
    """
    plan = Plan(profile=profile, implementation=implementation_file, host="http://prepared")
    implementation = read_implementation(plan)
    if folder.exists() and any(folder.iterdir()):
        raise InvalidInputError(f"{folder} is not empty")
    folder.mkdir(parents=True, exist_ok=True)
    target = open_target(tree or str(folder / "models"), endpoint_url=endpoint)
    if next(iter(target.listing()), None) is not None:
        raise InvalidInputError(f"there is something under {target.url} already")
    _publish(profile, target)
    api = api_of(profile, target.url, implementation)
    write_project(api, folder / "project", (folder / "journals").absolute())
    prepared = Prepared(profile=profile, tree=target.url, endpoint_url=endpoint)
    (folder / _PREPARED).write_text(prepared.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return target.url


def _publish(profile: Profile, target: Target) -> tuple[list[Change], dict[str, Tree]]:
    """Publish the trees; gives the changes that they are, and the trees of the models that may change later."""
    published: list[Change] = []
    changing: dict[str, Tree] = {}
    most = profile.publications.models if profile.publications is not None else 0
    for name, tree in initial_models(profile):
        begun = timing.now()
        target.write(tree, at=name)
        published.append(initial_change(name, tree, begun, timing.now()))
        if len(changing) < most:
            changing[name] = tree
    return published, changing


def _prepared_ground(plan: Plan) -> Ground:
    if plan.prepared is None or plan.host is None:
        raise InvalidInputError("--host needs --prepared FOLDER, which `python -m load prepare` writes")
    file = plan.prepared / _PREPARED
    try:
        prepared = Prepared.model_validate_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInputError(f"--prepared {plan.prepared}: {file.name}: {error.strerror}") from error
    except ValidationError as error:
        raise InvalidInputError(f"--prepared {plan.prepared}: {file.name}: {error}") from error
    profile = plan.profile
    for part in ("seed", "trees", "cache"):
        if getattr(profile, part) != getattr(prepared.profile, part):
            raise InvalidInputError(f"--prepared {plan.prepared}: it was prepared for a profile with another {part}")
    if prepared.published_on:
        raise InvalidInputError(f"--prepared {plan.prepared}: an earlier run has changed the trees; prepare them anew")
    try:
        target = open_target(prepared.tree, endpoint_url=prepared.endpoint_url)
    except TargetError as error:
        raise HarnessError(str(error)) from error
    if profile.publications is not None:
        changed = prepared.model_copy(update={"published_on": True})
        file.write_text(changed.model_dump_json(indent=2) + "\n", encoding="utf-8")
    models = list(initial_models(profile))
    most = profile.publications.models if profile.publications is not None else 0
    published = [initial_change(name, tree, 0.0, 0.0) for name, tree in models]
    pace = pace_of(plan, load_implementation(plan.implementation))
    return Ground(plan.host, target, pace, plan.prepared / "journals", published, dict(models[:most]))
