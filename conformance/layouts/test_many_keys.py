"""Thousands of keys, which S3 lists page by page."""

from conformance.marks import SMALL_CACHE, Grow, Planting, clause, planting
from conformance.stand import Stand
from fixtures.trees import Tree, versions

# More than three pages of a listing.
MANY = 3_050


def _thousands_of_keys(grow: Grow) -> Planting:
    model = grow()
    # Models of their own, which nobody asks for; they are listed in front of those that have a tag.
    before = {f"00-{number:05}/{key}": file for number in range(-(-MANY // len(model))) for key, file in model.items()}
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
