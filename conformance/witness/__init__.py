"""The witness: predictor classes of the suite's own, which run inside the server and tell what they see."""
