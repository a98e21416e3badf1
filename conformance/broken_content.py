"""Content that cannot be loaded, for each predictor type."""

from collections.abc import Mapping

from conformance.catalogue import PredictorType
from fixtures.trees import File, Tree

BROKEN: Mapping[PredictorType, Tree] = {
    "python": Tree({"raise.txt": File("cannot be loaded")}),
    "onnx": Tree({"model.onnx": File(b"\x08\x08\x12\x04half of a model")}),
    "tensorflow": Tree({"saved_model.pb": File(b"half of a model")}),
}

# The file that has to go before the model can be loaded again; without one, overwriting mends it.
OBSTACLE: Mapping[PredictorType, str | None] = {"python": "raise.txt", "onnx": None, "tensorflow": None}
