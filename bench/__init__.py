"""Measures the reference server; every script prints what it measured, as ratios in one run where it compares."""
