"""Ports for the servers that the suite starts."""

from __future__ import annotations

import contextlib
import random
import socket

from conformance.problems import HarnessError

_HOST = "127.0.0.1"

# Below the range from which systems take the local ports of outgoing connections, so that none of those is in the way.
_PORTS = range(20_000, 32_000)


class ClaimedPort:
    """A port of 127.0.0.1 on which nobody listened, and which no other run on this machine is given before `release`.

    A server may take seconds to listen on the port that it was given. Until then the claim is a UDP socket of the same
    number, which is in no server's way and goes with this process. Raises OSError when the port is not free.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._claim = socket.socket(type=socket.SOCK_DGRAM)
        try:
            self._claim.bind((_HOST, number))
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((_HOST, number))
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Give the port back."""
        self._claim.close()


def claim_ports(count: int) -> list[ClaimedPort]:
    """Choose different free ports; raises `HarnessError` when there are too few."""
    claimed: list[ClaimedPort] = []
    # Not the generator that all threads share: Hypothesis, drawing in another one, takes that for a fault of its own.
    for number in random.SystemRandom().sample(_PORTS, k=100 + count):
        with contextlib.suppress(OSError):
            claimed.append(ClaimedPort(number))
        if len(claimed) == count:
            return claimed
    for port in claimed:
        port.release()
    raise HarnessError(f"only {len(claimed)} free ports on {_HOST} between {_PORTS.start} and {_PORTS.stop}")
