"""The three ways to name models, and the older spelling of one of them."""

from conformance.lab import Lab
from conformance.marks import Grow, Planting, clause, planting
from conformance.stand import Stand, witness_payload
from conformance.violations import ViolationError
from fixtures.trees import Tree, versions


def _one(grow: Grow) -> Planting:
    return Planting({"only": versions({"1": grow(), "2": grow()})})


def _two(grow: Grow) -> Planting:
    return Planting({"first": grow(), "second": versions({"1": grow()})})


@clause("config.model-path")
@planting(_one, naming="model_path")
def test_model_path_names_the_model(stand: Stand) -> None:
    """The one model of an API is named by model_path."""
    stand.expect_served("only", "2")


@clause("config.models-paths")
@planting(_two, naming="paths")
def test_models_paths_names_several_models(stand: Stand) -> None:
    """Entries of models.paths, by name and path, are models."""
    stand.expect_served("first")
    stand.expect_served("second", "1")


@clause("config.models-dir")
@planting(_two)
def test_models_dir_holds_several_models(stand: Stand) -> None:
    """Subdirectories of models.dir are models."""
    stand.expect_served("first")
    stand.expect_served("second", "1")


@clause("config.model-path-alias")
@planting(_two, naming="paths-by-alias", one_source=True)
def test_entry_may_say_model_path_for_path(stand: Stand) -> None:
    """Entries of models.paths may give their path as model_path."""
    stand.expect_served("first")
    stand.expect_served("second", "1")


@clause("config.invalid-path")
def test_invalid_path_is_refused_or_errs_alone(lab: Lab) -> None:
    """An entry of models.paths without a model refuses the start, or errs while the other entry is served."""
    model = lab.grow()
    paths = {"good": lab.publish(model), "bad": lab.publish(Tree())}
    deployment = lab.deploy({"models": {"paths": [{"name": name, "path": path} for name, path in paths.items()]}})
    if not lab.gets_ready(deployment):
        return
    lab.expect_tokens(deployment, {"name": "good"}, model)
    answer = deployment.predict(witness_payload({"name": "bad"}))
    if answer.is_served:
        raise ViolationError("a request for the entry without a model errs", f"status 200: {answer.text[:300]}")
