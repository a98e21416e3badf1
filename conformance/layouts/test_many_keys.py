"""Thousands of keys, which S3 lists page by page."""

from conformance.marks import SMALL_CACHE, Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.models import python_model
from fixtures.trees import File, Tree, versions

# More than one page of a listing, and more than three.
MANY = 1_050
THOUSANDS = 3_050


def _filler() -> Tree:
    # Files without a token of their own, as every one of them would be echoed.
    return Tree({f"part-{number:05}.txt": File(f"part {number}") for number in range(MANY)})


def _many_files(grow: Grow) -> Planting:
    return Planting({"a-big": versions({"1": grow() | _filler(), "2": grow()}), "b-next": versions({"1": grow()})})


# A thousand uploads take their time.
@clause("layouts.many-keys")
@planting(_many_files, alone=True, one_predictor=True)
def test_versions_and_models_beyond_the_first_page_are_served(stand: Stand) -> None:
    """Behind a version of 1,050 files, the next version and the next model are served too."""
    stand.expect_served("a-big", "2")
    stand.expect_served("a-big", "1", version="1")
    stand.expect_served("b-next", "1")


def _many_versions(grow: Grow) -> Planting:
    # A model of one file for each of so many versions, or else, where a server that loads all of them at once would
    # take minutes, the files of one version.
    if grow.predictor == "python":
        models = {str(number): python_model(files=("model",), random=grow.random) for number in range(1, MANY + 1)}
        return Planting({"only": versions(models)})
    return Planting({"only": versions({"1": grow() | _filler(), "2": grow()})})


@clause("layouts.many-keys")
@planting(_many_versions, naming="model_path", alone=True, one_predictor=True)
def test_versions_of_one_model_beyond_the_first_page_are_served(stand: Stand) -> None:
    """With model_path too, of 1,050 versions, or of two behind 1,050 files, each can be served."""
    folders = sorted({key.partition("/")[0] for key in stand.models["only"]}, key=int)
    stand.expect_served("only", folders[-1])
    # The first and the last of the pages, which list keys in the order of text.
    for folder in {folders[0], folders[-1], max(folders)}:
        stand.expect_served("only", folder, version=folder)


def _thousands_of_keys(grow: Grow) -> Planting:
    model = grow()
    # Models of their own, which nobody asks for; they are listed in front of those that have a tag.
    count = -(-THOUSANDS // len(model))
    before = {f"00-{number:05}/{key}": file for number in range(count) for key, file in model.items()}
    return Planting({"last": versions({"9": grow(), "10": grow()})}, strays=Tree(before))


# With a small cache nobody needs to download them all.
@clause("layouts.many-keys")
@planting(_thousands_of_keys, predictors=("onnx",), sources=("s3",), configuration=SMALL_CACHE, alone=True)
def test_model_behind_thousands_of_keys_is_served(stand: Stand) -> None:
    """A model whose keys are on the fourth page of the listing is served, and so is a version that is added there."""
    stand.expect_served("last", "10")
    stand.expect_served("last", "9", version="9")
    stand.put("last", versions({"11": stand.grow()}))
    stand.expect_served("last", "11")
