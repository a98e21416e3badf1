"""Load profiles that put numbers on what the contract permits; empty until the first profile is written."""
