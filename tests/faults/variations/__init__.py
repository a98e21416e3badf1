"""Correct servers that differ from the reference in what the contract leaves open."""
