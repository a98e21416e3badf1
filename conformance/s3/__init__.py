"""The S3 side of the suite: an endpoint, and the recording proxy through which servers reach it."""
