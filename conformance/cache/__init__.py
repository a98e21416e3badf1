"""The cache family: how many models stay in memory and on disk, which ones, and when the others go."""
