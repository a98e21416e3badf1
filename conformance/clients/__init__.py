"""The clients family: what the code of a predictor sees."""
