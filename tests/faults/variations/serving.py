"""Servers that answer, load and run otherwise than the reference."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from granian.http import HTTP1Settings

from reference import server, worker
from reference.catalog import Catalog, Model
from reference.eviction import Eviction
from reference.frameworks.onnx import OnnxModel
from reference.http import Answer, Application, Environ
from reference.models import Models
from reference.resident import Slot
from tests.faults.configurations import WITHOUT_THREADS
from tests.faults.registry import variation


@variation("other-error-texts", allowed="the contract names no error but 404 for what is unknown, and no text")
def _other_error_texts() -> None:
    """Errors are plain text in other words, and a model that cannot be loaded is a 502."""
    answer = Application._answer

    def otherwise(self: Application, prediction: Any, environ: Environ) -> Answer:
        status, headers, body = answer(self, prediction, environ)
        if status < 400:
            return status, headers, body
        text = b"Sorry. Details follow.\n\n" + body.replace(b'"error"', b'"because"').replace(b"model", b"Modell")
        return {500: 502}.get(status, status), [("content-type", "text/plain")], text

    Application._answer = otherwise


@variation("loads-everything-at-once", allowed="load_model may run before the first get_model, unless there is a cache")
def _loads_everything_at_once() -> None:
    """Without caching every version of every model is loaded as soon as it is known."""
    apply = Models.apply

    def apply_and_load(self: Models, catalog: Catalog) -> list[tuple[Model, list[Slot]]]:
        stale = apply(self, catalog)
        if not self._preload:
            return stale
        lacking = {
            model.name: [slot for slot in model.descending if slot.resident is None and slot.failure is None]
            for model in self._models.values()
        }
        renewed = {model.name for model, _ in stale}
        further = [(self._models[name], slots) for name, slots in lacking.items() if slots and name not in renewed]
        return [
            (model, list(dict.fromkeys([*slots, *lacking.get(model.name, ())]))) for model, slots in stale
        ] + further

    load_model = worker._Worker._load_model

    def when_possible(self: worker._Worker, name: str, path: str) -> Any:
        while self._load is None:  # the predictor is not there yet
            threading.Event().wait(0.01)
        return load_model(self, name, path)

    Models.apply = apply_and_load
    worker._Worker._load_model = when_possible


@variation("loads-only-when-asked", allowed="it is not said when a new version is loaded")
def _loads_only_when_asked() -> None:
    """A new highest version is the latest at once, and is loaded by the first request for it."""
    make = Models.__init__

    def lazy(self: Models, *arguments: Any, **options: Any) -> None:
        make(self, *arguments, **options | {"preload": False})

    Models.__init__ = lazy


@variation("loads-in-a-thread-of-its-own", allowed="it is not said in which thread load_model runs")
def _loads_in_a_thread_of_its_own() -> None:
    """Models are loaded one after the other by a thread that does nothing else."""
    pool = ThreadPoolExecutor(1)
    attempt = Slot._try

    def elsewhere(self: Slot, *arguments: Any) -> Any:
        return pool.submit(attempt, self, *arguments).result()

    Slot._try = elsewhere


@variation("slow-loads", allowed="deadlines allow seconds for loading")
def _slow_loads() -> None:
    """Every load takes a fifth of a second longer."""
    attempt, moment = Slot._try, threading.Event()

    def slowly(self: Slot, *arguments: Any) -> Any:
        moment.wait(0.2)
        return attempt(self, *arguments)

    Slot._try = slowly


def _start_otherwise(change: Callable[[dict[str, Any]], None]) -> None:
    """Let the options of the HTTP server be changed."""
    make = server.Server

    def changed(*arguments: Any, **options: Any) -> Any:
        change(options)
        return make(*arguments, **options)

    server.Server = changed


@variation("one-thread", allowed="threads_per_process is a feature to declare", on=[WITHOUT_THREADS])
def _one_thread() -> None:
    """Requests are answered one after the other, however many threads are configured."""
    _start_otherwise(lambda options: options.update(blocking_threads=1))


@variation("no-keep-alive", allowed="keeping a connection is a matter of HTTP")
def _no_keep_alive() -> None:
    """Every connection is closed after one answer."""
    _start_otherwise(lambda options: options.update(http1_settings=HTTP1Settings(keep_alive=False)))


@variation("summary-with-more", allowed="GET / may tell more")
def _summary_with_more() -> None:
    """GET / has further fields, before and after those of the reference, also for each model."""
    _summarise(
        lambda told: {
            "uptime": 1.5,
            "cortex": {"api": "x"},
            **told,
            "model_metadata": {
                name: {"state": ["ready"], **model, "latest": {"version": model["latest"]}}
                for name, model in told["model_metadata"].items()
            },
            "links": [],
        }
    )


@variation("summary-with-less", allowed="what GET / tells is judged only where nothing else shows it")
def _summary_with_less() -> None:
    """GET / is answered by a greeting."""
    _summarise(lambda _: {"message": "hello"})


def _summarise(change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    summary = worker._Worker._summary

    def otherwise(self: Any) -> dict[str, Any]:
        return change(summary(self))

    worker._Worker._summary = otherwise


# Here, and not in the function that replaces it: the server hands it to its processes by its name.
_START = worker.start


def _start_without_collecting(settings: worker.Settings) -> Application:
    gc.disable()
    return _START(settings)


@variation("collects-at-eviction-only", allowed="an object is let go within one eviction interval")
def _collects_at_eviction_only() -> None:
    """Cycles of references are collected in eviction runs and at no other time."""
    worker.start = server.start = _start_without_collecting
    clean_up = Eviction._clean_up

    def collect_first(self: Eviction) -> None:
        gc.collect()
        clean_up(self)

    Eviction._clean_up = collect_first


@variation("onnx-outputs-by-name", allowed="predict of the ONNX predictor returns the prediction, of whatever shape")
def _onnx_outputs_by_name() -> None:
    """onnx_client.predict gives a dictionary of the outputs by name."""
    predict = OnnxModel.predict

    def by_name(self: OnnxModel, model_input: Any) -> dict[str, Any]:
        return dict(zip(self._outputs, predict(self, model_input), strict=True))

    OnnxModel.predict = by_name


@variation("flat-saved-model-outputs", allowed="values may be flat or nested")
def _flat_saved_model_outputs() -> None:
    """tensorflow_client.predict gives the values of each output in one flat list."""
    from reference.clients import TensorFlowClient  # noqa: PLC0415 - beside what it is for

    predict = TensorFlowClient.predict

    def numbers(value: Any) -> Iterator[Any]:
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, list):
                yield from numbers(item)
            else:
                yield item

    def flat(self: TensorFlowClient, *arguments: Any, **named: Any) -> dict[str, Any]:
        return {name: list(numbers(value)) for name, value in predict(self, *arguments, **named).items()}

    def renamed(self: TensorFlowClient, model_input: Any, model_name: Any = None, model_version: Any = "latest") -> Any:
        return flat(self, model_input, model_name, model_version)

    TensorFlowClient.predict = renamed
