"""Load profiles that put numbers on what the contract permits: the window over the cache limits, reload, latency."""
