"""Servers that get wrong what of Inferentia shows without the hardware."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reference import config, layout, loading
from reference.config import Api, Compute
from reference.loading import Framework, Load
from tests.faults.changes.requests import let_first_process_follow
from tests.faults.configurations import TENSORFLOW_INFERENTIA
from tests.faults.registry import fault


@fault(
    "compiled-model-needs-variables",
    seen="plausible: a SavedModel is a SavedModel, whatever hardware it was compiled for",
    on=[TENSORFLOW_INFERENTIA],
    breaks=["layouts.inferentia"],
)
def _compiled_model_needs_variables() -> None:
    """With compute.inf too, a folder with saved_model.pb alone is no model."""
    why_not = layout._why_not

    def always_with_variables(names: Sequence[str], kind: str) -> str | None:
        return why_not(names, "tensorflow" if kind == "inferentia" else kind)

    layout._why_not = always_with_variables


@fault(
    "inferentia-in-one-process-of-two-reloaded",
    seen="plausible: processes that share a chip are accepted, and one of them reloads",
    on=[TENSORFLOW_INFERENTIA],
    breaks=["reload.inferentia-processes"],
    also=["reload.processes"],
)
def _inferentia_in_one_process_of_two_reloaded() -> None:
    """Two processes with Inferentia, here played by the CPU, are accepted; the second serves what it has for ever."""
    check, load = config._check_together, loading._tensorflow

    def lenient(document: config.Document, place: config.Place, api: Api) -> None:
        check(document, place, api.model_copy(update={"compute": Compute()}))

    def on_the_cpu(framework: Framework) -> Load:
        return load(replace(framework, inferentia=False))

    config._check_together = lenient
    loading._tensorflow = on_the_cpu
    let_first_process_follow()
