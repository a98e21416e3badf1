"""Reloading does no harm: to other models, to what was served before, to requests on the way."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from random import Random

from conformance import timing
from conformance.broken_content import BROKEN, OBSTACLE
from conformance.deployment import Answer
from conformance.held_request import braked, held_load
from conformance.marks import THREADED, Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.models import saved_model
from fixtures.trees import Tree, join, versions

# In so many pairs of requests there is one without a change between them.
ATTEMPTS = 20


def _two_models(grow: Grow) -> Planting:
    return Planting({"changing": grow(), "untouched": grow()})


@clause("reload.untouched-not-reloaded")
@planting(_two_models)
def test_change_of_one_model_leaves_another_alone(stand: Stand) -> None:
    """When one model is overwritten, another one is neither downloaded nor loaded again."""
    stand.expect_served("untouched")
    stand.expect_served("changing")
    before, again = _watched_twice(stand)
    changed_at = timing.now()
    stand.put("changing", stand.grow())
    stand.expect_served("changing")
    # Others may be reloaded at the next look.
    stand.settle()
    after = _watched(stand)
    requests = stand.requests_since(changed_at)
    downloads = [request for request in requests if request.is_download and "untouched" in request.models]
    stand.expect(
        not downloads,
        expected="no download of a model that did not change",
        observed=f"{len(downloads)} downloads, the first of {downloads[0].key}" if downloads else "",
    )
    # What another process has loaded tells nothing, nor does a server that hands out objects as it likes.
    if _is_one_process(before, again, after) and _is_same(stand, before, again):
        stand.expect(
            _is_same(stand, again, after),
            expected="the object that was served before the change of another model",
            observed=f"{again.text[:300]} before, {after.text[:300]} after",
        )


def _watched(stand: Stand) -> Answer:
    answer = stand.ask("untouched", more={"watch": True})
    stand.expect(answer.is_served, expected="an answer of the model", observed=stand.describe(answer))
    return answer


def _watched_twice(stand: Stand) -> tuple[Answer, Answer]:
    """Give two answers in a row, from one object if the server answers from one for that long at any time.

    What other tests change on the same server may make it load this model again, too, in between.
    """
    for _ in range(ATTEMPTS):
        before, again = _watched(stand), _watched(stand)
        if _is_one_process(before, again) and _is_same(stand, before, again):
            break
    return before, again


def _is_one_process(*answers: Answer) -> bool:
    return len({answer.body.get("process") for answer in answers}) == 1


def _is_same(stand: Stand, before: Answer, after: Answer) -> bool:
    """Tell whether two answers are from one object: a SavedModel counts its calls from when it was loaded."""
    if stand.predictor == "tensorflow":
        counts = [answer.body["outputs"]["counter"] for answer in (before, after)]
        return bool(counts[1] > counts[0])
    return before.body.get("serial") == after.body.get("serial")


# Each test changes models of its own, so that a failed one leaves nothing behind for the next.
def _to_be_broken(grow: Grow) -> Planting:
    return Planting({"updated": grow()})


@clause("reload.broken-keeps-last-good")
@planting(_to_be_broken)
def test_broken_update_leaves_the_last_good_one(stand: Stand) -> None:
    """An update in place that cannot be loaded leaves what was served, until a good one follows."""
    _expect_last_good(stand, "updated")


def _latest_to_be_broken(grow: Grow) -> Planting:
    return Planting({"latest": versions({"1": grow(), "2": grow()})})


@clause("reload.broken-keeps-last-good")
@planting(_latest_to_be_broken)
def test_broken_update_of_the_latest_version_leaves_the_last_good_one(stand: Stand) -> None:
    """An update of the latest version that cannot be loaded leaves what was served of it, and no lower version."""
    _expect_last_good(stand, "latest", "2")


def _expect_last_good(stand: Stand, name: str, folder: str = "") -> None:
    good = stand.expect_served(name, folder).tokens
    stand.put(name, BROKEN[stand.predictor].at(folder))
    stand.settle()
    answer = stand.ask(name)
    stand.expect(
        answer.tokens == good,
        expected="the last good revision while the update cannot be loaded",
        observed=stand.describe(answer),
    )
    if (obstacle := OBSTACLE[stand.predictor]) is not None:
        stand.remove_file(name, join(folder, obstacle))
    stand.put(name, stand.grow().at(folder))
    stand.expect_served(name, folder)


# What load_model of the witness says where it finds a file raise.txt. A server may say so in words of its own.
REASON = "the model says that it cannot be loaded"
_OF_A_FAILURE = re.compile("fail|error|exception|invalid|broken|cannot|could not|unable", re.IGNORECASE)

# Requests of which each might load once more.
MANY = 40


def _to_be_watched(grow: Grow) -> Planting:
    return Planting({"watched": grow()})


@clause("reload.broken-keeps-last-good")
@planting(_to_be_watched, predictors=("python",))
def test_failed_load_is_visible_and_not_repeated_by_each_request(stand: Stand) -> None:
    """Why an update cannot be loaded is in GET / or in the log, and requests do not try it again and again."""
    stand.expect_served("watched")
    stand.put("watched", BROKEN["python"])
    stand.settle()
    stand.ask("watched")
    stand.expect(
        # A log may come late.
        timing.poll(lambda: _is_told(stand) or None, until=timing.now() + stand.deployment.pace.load),
        expected=f"the reason, {REASON!r}, or the model as one that failed, in GET / or in what the server prints",
        observed=f"it is in neither; GET / gives {stand.deployment.summary().text[:300]}",
    )
    begun, before = timing.now(), _failed_loads(stand)
    for _ in range(MANY):
        stand.ask("watched")
    loads = _failed_loads(stand) - before
    # Whenever the server looks at its source it may try again, also when another test makes it look.
    looks = stand.deployment.clock.looks_since(begun)
    stand.expect(
        loads <= MANY / 2 + looks,
        expected=f"what cannot be loaded tried again when it changes or now and then, not by each of {MANY} requests",
        observed=f"{loads} calls of load_model for it in the course of them, and at most {looks} looks at the source",
    )


def _is_told(stand: Stand) -> bool:
    told = [*stand.deployment.last_log_lines(None), *_summary_of(stand, "watched")]
    name = stand.published_name("watched")
    return any(REASON in line or (name in line and _OF_A_FAILURE.search(line)) for line in told)


def _summary_of(stand: Stand, name: str) -> Iterator[str]:
    """Give what GET / says: as a whole, unless it can be told what it says of the one model."""
    summary = stand.deployment.summary()
    published = stand.published_name(name)
    metadata = summary.body.get("model_metadata")
    of_model = metadata.get(published) if isinstance(metadata, dict) else None
    yield summary.text if of_model is None else f"{published}: {json.dumps(of_model)}"


def _failed_loads(stand: Stand) -> int:
    tokens = set(stand.models["watched"].tokens.values())
    return sum(
        "raise.txt" in entry.get("files", ()) and bool(tokens & set(entry["files"].values()))
        for entry in stand.deployment.journals()
        if entry["event"] == "loaded"
    )


def _to_be_unfinished(grow: Grow) -> Planting:
    return Planting({"versioned": versions({"1": grow(), "2": grow()})})


@clause("reload.half-uploaded")
@planting(_to_be_unfinished)
def test_unfinished_version_is_not_served(stand: Stand) -> None:
    """While version 3 is evidently unfinished version 2 is the latest; when it is whole, 3 is."""
    stand.expect_served("versioned", "2")
    stand.put("versioned", BROKEN[stand.predictor].at("3"))
    stand.settle()
    stand.expect_served("versioned", "2")
    stand.put("versioned", versions({"3": stand.grow()}))
    # Last, as a version that was gone for a moment would be another event.
    if (obstacle := OBSTACLE[stand.predictor]) is not None:
        stand.remove_file("versioned", f"3/{obstacle}")
    stand.expect_served("versioned", "3")


PARTS = {
    "lacks-graph": "saved_model.pb",
    "lacks-index": "variables/variables.index",
    "lacks-shard": "variables/variables.data-00001-of-00002",
}


def _to_lack_a_part(grow: Grow) -> Planting:
    return Planting({name: versions({"1": grow()}) for name in PARTS})


@clause("reload.half-uploaded")
@planting(_to_lack_a_part, predictors=("tensorflow",))
def test_version_that_lacks_a_part_is_not_served(stand: Stand) -> None:
    """While version 2 lacks its graph, its index or a shard version 1 is the latest; when the part is there, 2 is."""
    random = Random(f"{stand.forest.run.seed} parts")
    whole = {name: saved_model(shards=2, random=random) for name in PARTS}
    for name, part in PARTS.items():
        stand.expect_served(name, "1")
        stand.put(name, whole[name].without(part).at("2"))
    stand.settle()
    for name in PARTS:
        stand.expect_served(name, "1")
    for name, part in PARTS.items():
        stand.put(name, Tree({part: whole[name][part]}).at("2"))
    for name in PARTS:
        stand.expect_served(name, "2")


def _to_be_mended(grow: Grow) -> Planting:
    return Planting({"mended": versions({"1": grow(), "2": grow()}), "one": grow()})


# A server that has given up version 3 must take it up again, whatever else changes until it is loaded. As it may not
# look at its source until then, other tests keep away: they would see nothing happen.
@clause("reload.half-uploaded")
@planting(_to_be_mended, alone=True, predictors=("python",), configuration=THREADED, one_source=True)
def test_version_that_is_whole_at_last_is_the_latest_whatever_is_added_meanwhile(stand: Stand) -> None:
    """Version 3 cannot be loaded at first and is the latest once it is whole, though 0 is added as it is loaded."""
    stand.expect_served("mended", "2")
    stand.put("mended", (braked(stand.grow()) | BROKEN["python"]).at("3"))
    stand.settle()
    stand.ask("mended")
    with ThreadPoolExecutor(1) as pool:
        with held_load(stand, "mended", "3", after=lambda: stand.remove_file("mended", "3/raise.txt")):
            stand.put("mended", versions({"0": stand.grow()}))
            looking = pool.submit(stand.settle)
            # A server may take in nothing else until the load has ended, a driven one not even look.
            wait([looking], timeout=stand.deployment.pace.settle)
        looking.result()
    # The deadline counts from here, and not from before the load could end.
    stand.put("one", stand.grow())
    stand.expect_served("mended", "3")


def _to_be_extended(grow: Grow) -> Planting:
    return Planting({"versioned": versions({"1": grow()})})


@clause("reload.no-gap")
@planting(_to_be_extended)
def test_no_request_fails_while_a_version_comes_in(stand: Stand) -> None:
    """Of the requests sent while versions 4 and 5 come in, none fails."""
    stand.expect_served("versioned", "1")
    for version in ("4", "5"):
        model = stand.grow()
        _expect_no_gap(stand, "versioned", versions({version: model}), frozenset(model.tokens.values()))


def _to_be_updated(grow: Grow) -> Planting:
    return Planting({"changing": grow()})


@clause("reload.no-gap")
@planting(_to_be_updated)
def test_no_request_fails_while_an_update_comes_in(stand: Stand) -> None:
    """Of the requests sent while a model is overwritten, none fails."""
    stand.expect_served("changing")
    model = stand.grow()
    _expect_no_gap(stand, "changing", model, frozenset(model.tokens.values()))


@clause("reload.no-gap")
@planting(_to_be_updated, configuration=THREADED)
def test_no_request_fails_on_one_thread_while_another_reloads(stand: Stand) -> None:
    """With several threads, of which one may wait for the reload, none of the requests to the others fails either."""
    stand.expect_served("changing")
    model = stand.grow()
    _expect_no_gap(stand, "changing", model, frozenset(model.tokens.values()))


def _to_be_superseded(grow: Grow) -> Planting:
    return Planting({"versioned": versions({"1": grow()})})


@clause("reload.never-back")
@planting(_to_be_superseded)
def test_older_revision_never_comes_back(stand: Stand) -> None:
    """Once a process has served a new version, none of its later answers is from the one before."""
    stand.expect_served("versioned", "1")
    stand.put("versioned", versions({"7": stand.grow()}))
    switched = {stand.expect_served("versioned", "7").body.get("process")}
    newest = frozenset(stand.models["versioned"].under("7").tokens.values())

    def went_back(answer: Answer) -> bool:
        if answer.tokens == newest:
            switched.add(answer.body.get("process"))
        return answer.body.get("process") in switched and answer.tokens != newest

    for _ in range(50):
        answer = stand.ask("versioned")
        stand.expect(not went_back(answer), expected="version 7, once it was served", observed=stand.describe(answer))


def _expect_no_gap(stand: Stand, name: str, files: Tree, tokens: frozenset[str]) -> None:
    """Ask again and again while the files come in, and until they are served."""
    failed: list[Answer] = []

    def ask() -> Answer:
        answer = stand.ask(name)
        if not answer.is_served:
            failed.append(answer)
        return answer

    def bring_in() -> None:
        stand.put(name, files)
        stand.catch_up()

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(bring_in)
        while not coming.done():
            ask()
            timing.pause_between_requests()
        coming.result()
    last = stand.await_answer(ask, lambda answer: answer.tokens == tokens)
    stand.expect(last.tokens == tokens, expected=f"the new files of {name} in time", observed=stand.describe(last))
    stand.expect(not failed, expected="no failed request", observed=stand.describe(failed[0]) if failed else "")
