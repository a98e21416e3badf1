"""Tests of the reference server: units, and the running server over HTTP."""
