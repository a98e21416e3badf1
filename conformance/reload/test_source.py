"""S3 in trouble: what was served goes on being served, and afterwards the server catches up."""

import contextlib

import pytest

from conformance import timing
from conformance.deployment import Answer, Deployment
from conformance.implementation import ClockName
from conformance.marks import Grow, Planting, clause, planting
from conformance.problems import UnobservableError
from conformance.s3.faults import LATE, FaultKind, HeldFault
from conformance.stand import Stand
from fixtures.trees import versions

OUTAGES = ("outage", "refusal")

# Told to look, a server may have no thread left to answer with; and before it is ready nobody tells it.
BY_ITSELF = (ClockName.TIMED,)


def _some_models(grow: Grow) -> Planting:
    return Planting({"staying": grow(), "changing": versions({"1": grow()}), "leaving": grow()})


@pytest.mark.parametrize("kind", OUTAGES)
@clause("reload.source-outage")
@planting(_some_models, alone=True, sources=("s3",), one_predictor=True)
def test_outage_is_no_deletion(stand: Stand, kind: FaultKind) -> None:
    """While S3 is down, or refuses, every model is served as before; afterwards what has changed is found."""
    _expect_all_served_through(stand, kind)
    stand.put("arriving", stand.grow())
    stand.expect_served("arriving")


@clause("reload.source-outage")
@planting(_some_models, naming="paths", alone=True, sources=("s3",), one_predictor=True)
def test_outage_of_all_paths_is_no_deletion(stand: Stand) -> None:
    """With models.paths too, an outage leaves every model served as before, and ends."""
    _expect_all_served_through(stand, "outage")


def _expect_all_served_through(stand: Stand, kind: FaultKind) -> None:
    before = {name: stand.expect_served(name).tokens for name in stand.models}
    with stand.s3_fault(kind) as fault:
        stand.put("changing", versions({"2": stand.grow()}))
        stand.remove("leaving")
        stand.settle()
        for name, tokens in before.items():
            _expect_unchanged(stand, stand.ask(name), tokens)
        _check_met(fault)
    stand.expect_served("changing", "2")
    stand.expect_gone("leaving")
    stand.expect_served("staying")


def _one_model(grow: Grow) -> Planting:
    return Planting({"only": versions({"1": grow()})})


@clause("reload.source-outage")
@planting(_one_model, naming="model_path", alone=True, sources=("s3",), one_predictor=True)
def test_refusal_of_the_model_path_is_no_deletion(stand: Stand) -> None:
    """With model_path too, the model is served as before while S3 refuses, and its next version afterwards."""
    before = stand.expect_served("only", "1").tokens
    with stand.s3_fault("refusal") as fault:
        stand.put("only", versions({"2": stand.grow()}))
        stand.settle()
        _expect_unchanged(stand, stand.ask("only"), before)
        _check_met(fault)
    stand.expect_served("only", "2")


@clause("reload.source-outage")
@planting(_some_models, alone=True, sources=("s3",), clocks=BY_ITSELF, one_predictor=True)
def test_requests_do_not_fail_while_s3_is_slow(stand: Stand) -> None:
    """While each answer of S3 is late no request fails, and what has changed meanwhile is found."""
    before = stand.expect_served("staying").tokens
    stand.expect_served("changing")
    pace = stand.deployment.pace
    with stand.s3_fault("slowness") as fault:
        stand.put("changing", versions({"2": stand.grow()}))

        def ask() -> None:
            _expect_unchanged(stand, stand.ask("staying"), before)
            answer = stand.ask("changing")
            stand.expect(answer.is_served, expected="no failed request", observed=stand.describe(answer))

        # Time for a scan with its downloads, and for another one, each waiting for late answers.
        timing.poll(ask, until=timing.now() + pace.settle - pace.load + 4 * LATE)
        _check_met(fault)
    stand.expect_served("changing", "2")


def _to_be_cut_short(grow: Grow) -> Planting:
    return Planting({"cut-short": grow()})


# Who reads a broken download again, and looks at one model after the other, is held up by it: other tests keep away.
@clause("reload.source-outage")
@planting(_to_be_cut_short, alone=True, predictors=("python", "onnx"), sources=("s3",))
def test_update_that_is_cut_short_is_not_served(stand: Stand) -> None:
    """An update whose download ends halfway is never served; once it can be read in full it is."""
    _expect_update_cut_short(stand)


# One more server of TensorFlow would take ten seconds to start: it shares that of other tests.
@clause("reload.source-outage")
@planting(_to_be_cut_short, predictors=("tensorflow",), sources=("s3",))
def test_saved_model_that_is_cut_short_is_not_served(stand: Stand) -> None:
    """The same holds for the update of a SavedModel."""
    _expect_update_cut_short(stand)


def _expect_update_cut_short(stand: Stand) -> None:
    before = stand.expect_served("cut-short").tokens
    with stand.s3_fault("truncation", "cut-short") as fault:
        stand.put("cut-short", stand.grow())
        stand.settle()
        _expect_unchanged(stand, stand.ask("cut-short"), before)
        _check_met(fault)
    stand.expect_served("cut-short")


def _version_to_be_cut_short(grow: Grow) -> Planting:
    return Planting({"versioned": versions({"1": grow()})})


@clause("reload.source-outage")
@planting(_version_to_be_cut_short, alone=True, predictors=("python", "onnx"), sources=("s3",))
def test_version_that_is_cut_short_is_not_served(stand: Stand) -> None:
    """Of a new version whose download ends halfway nothing is ever served; once it can be read in full it is."""
    before = stand.expect_served("versioned", "1").tokens
    with stand.s3_fault("truncation", "versioned", "2/") as fault:
        stand.put("versioned", versions({"2": stand.grow()}))
        stand.settle()
        answer = stand.ask("versioned")
        stand.expect(
            not answer.is_served or answer.tokens == before,
            expected="version 1, or an error, while the download of version 2 ends halfway",
            observed=stand.describe(answer),
        )
        _check_met(fault)
    stand.expect_served("versioned", "2")


def _racing(grow: Grow) -> Planting:
    return Planting({"bystander": grow(), "racing": versions({"1": grow()})})


@clause("reload.list-get-race")
@planting(_racing, alone=True, sources=("s3",))
def test_object_of_a_new_version_vanishes_before_its_download(stand: Stand) -> None:
    """A server that is to download an object which is deleted by then lives on, and serves what there is."""
    stand.expect_served("racing", "1")
    stand.expect_served("bystander")
    _expect_race_survived(stand, "racing")
    stand.expect_served("bystander")
    stand.put("later", stand.grow())
    stand.expect_served("later")


def _racing_alone(grow: Grow) -> Planting:
    return Planting({"racing": versions({"1": grow()})})


@clause("reload.list-get-race")
@planting(_racing_alone, naming="model_path", alone=True, sources=("s3",), one_predictor=True)
def test_object_of_the_model_path_vanishes_before_its_download(stand: Stand) -> None:
    """With model_path too, an object that is deleted between listing and download ends nothing."""
    stand.expect_served("racing", "1")
    _expect_race_survived(stand, "racing")


def _expect_race_survived(stand: Stand, name: str) -> None:
    model = stand.grow()
    vanishing = f"2/{next(iter(model))}"
    with stand.s3_fault("disappearance", name, vanishing) as fault:
        stand.put(name, versions({"2": model}))
        # A server that is lazy downloads it when it is asked for.
        stand.await_answer(lambda: stand.ask(name), lambda _: fault.hits > 0)
        _check_met(fault)
    stand.remove_file(name, vanishing)
    stand.settle()
    stand.expect_served(name, "1", version="1")
    stand.put(name, versions({"2": model}))
    stand.expect_served(name, "2")


@clause("reload.list-get-race")
@planting(_racing, sources=("s3",), started=False)
def test_object_vanishes_during_the_first_scan(stand: Stand) -> None:
    """A server that meets an object that is listed, and then gone, as it starts gets ready and serves the rest."""
    vanishing = next(key for key in stand.models["racing"])
    with stand.s3_fault("disappearance", "racing", vanishing) as fault:
        stand.deployment.spawn()
        stand.deployment.await_ready()
        stand.expect_served("bystander")
        stand.await_answer(lambda: stand.ask("racing"), lambda _: fault.hits > 0)
        _check_met(fault)
    stand.remove_file("racing", vanishing)
    stand.put("racing", versions({"2": stand.grow()}))
    stand.expect_served("racing", "2")


def _several(grow: Grow) -> Planting:
    return Planting({name: versions({"1": grow()}) for name in ("first", "second", "third", "fourth")})


@clause("reload.ready-is-complete")
@planting(_several, sources=("s3",), started=False, clocks=BY_ITSELF)
def test_all_models_can_be_served_from_the_moment_of_readiness(stand: Stand) -> None:
    """With S3 slow at the start, each model is served at the first request once the readiness call is answered 200."""
    _expect_complete_when_ready(stand)


@clause("reload.ready-is-complete")
@planting(_several, naming="paths", sources=("s3",), started=False, clocks=BY_ITSELF, one_predictor=True)
def test_all_paths_can_be_served_from_the_moment_of_readiness(stand: Stand) -> None:
    """With models.paths too, readiness means that each path can be served."""
    _expect_complete_when_ready(stand)


def _expect_complete_when_ready(stand: Stand) -> None:
    is_in_s3 = stand.forest.ground.setting.source == "s3"
    with stand.s3_fault("slowness") if is_in_s3 else contextlib.nullcontext():
        stand.deployment.spawn()
        stand.deployment.await_ready()
        _expect_all_at_once(stand)


def _numbered(grow: Grow) -> Planting:
    return Planting({"only": versions({"1": grow(), "2": grow()})})


@clause("reload.ready-is-complete")
@planting(_numbered, started=False, clocks=BY_ITSELF, one_predictor=True)
def test_latest_version_can_be_served_from_the_moment_of_readiness(stand: Stand) -> None:
    """The highest version of one model too, in S3 or not, is served at the first request."""
    _expect_complete_when_ready(stand)


@pytest.mark.parametrize("kind", OUTAGES)
@clause("reload.ready-is-complete")
@planting(_several, sources=("s3",), started=False, clocks=BY_ITSELF, one_predictor=True)
def test_server_is_not_ready_before_it_has_seen_its_source(stand: Stand, kind: FaultKind) -> None:
    """A server that cannot reach S3 as it starts is not ready; it tries again, and then is, with all of its models."""
    deployment = stand.deployment
    with stand.s3_fault(kind) as fault:
        deployment.spawn()
        timing.poll(lambda: fault.hits or None, until=timing.now() + deployment.pace.start)
        _check_met(fault)
        statuses = _statuses_without_source(deployment)
        stand.expect(
            statuses <= {_UNAVAILABLE},
            expected=f"{_UNAVAILABLE} to the readiness call until the source could be listed",
            observed=f"{' and '.join(map(str, sorted(statuses)))}, after {fault.hits} requests to S3 of which none was"
            " answered",
        )
    deployment.await_ready()
    _expect_all_at_once(stand)


_UNAVAILABLE = 503


def _statuses_without_source(deployment: Deployment) -> set[int]:
    """Ask for readiness until the server has answered for several scans, none of which can succeed; gives the answers.

    One that does not even listen until then is given the time of a change.
    """
    pace = deployment.pace
    answered: list[float] = []
    statuses: set[int] = set()

    def is_shown() -> bool | None:
        status = deployment.readiness()
        if status is not None:
            answered.append(timing.now())
            statuses.add(status)
        is_over = answered and answered[-1] > answered[0] + pace.settle - pace.load
        return True if is_over or not statuses <= {_UNAVAILABLE} else None

    timing.poll(is_shown, until=timing.now() + pace.settle)
    return statuses


def _expect_all_at_once(stand: Stand) -> None:
    """Expect every model at the first request."""
    for name, tree in stand.models.items():
        answer = stand.ask(name)
        folder = max((key.partition("/")[0] for key in tree), key=int)
        stand.expect(
            answer.tokens == frozenset(tree.under(folder).tokens.values()),
            expected=f"{name} at the first request after the readiness call was answered 200",
            observed=stand.describe(answer),
        )


def _expect_unchanged(stand: Stand, answer: Answer, tokens: frozenset[str]) -> None:
    stand.expect(
        answer.tokens == tokens, expected="what was served before S3 was in trouble", observed=stand.describe(answer)
    )


def _check_met(fault: HeldFault) -> None:
    """Raise `UnobservableError` when the server has asked S3 for nothing that was in trouble."""
    if not fault.hits:
        raise UnobservableError(
            "the server did not ask S3 while it was in trouble, or went past the endpoint it was given"
        )
