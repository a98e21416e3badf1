"""Ports for the servers that the suite starts."""

from __future__ import annotations

import contextlib
import random
import socket
import threading

from conformance.problems import HarnessError

# Below the range from which systems take the local ports of outgoing connections, so that none of those is in the way.
_PORTS = range(20_000, 32_000)


# A server may take seconds to listen on the port that it was given: none is given twice.
_GIVEN: set[int] = set()
_GIVING = threading.Lock()


def free_ports(count: int) -> list[int]:
    """Choose different ports of 127.0.0.1 that nobody listens on; raises `HarnessError` when there are too few."""
    with _GIVING:
        found = _free_ports(count)
        _GIVEN.update(found)
        return found


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    # Not the generator that all threads share: Hypothesis, drawing in another one, takes that for a fault of its own.
    for port in random.SystemRandom().sample(sorted({*_PORTS} - _GIVEN), k=100 + count):
        if len(found) == count:
            break
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
    if len(found) < count:
        raise HarnessError(f"only {len(found)} free ports on 127.0.0.1 between {_PORTS.start} and {_PORTS.stop}")
    return found
