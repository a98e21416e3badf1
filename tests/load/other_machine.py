"""Locust as on another machine: `python -m tests.load.other_machine OPTIONS OF LOCUST`, with a clock of its own."""

import runpy
import time

from conformance import timing
from load import clocks

AHEAD = 1000.0

timing.now = lambda: time.monotonic() + AHEAD
clocks.machine = lambda: "another machine"

if __name__ == "__main__":
    runpy.run_module("locust", run_name="__main__", alter_sys=True)
