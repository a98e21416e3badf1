"""Tests of the load profiles."""
