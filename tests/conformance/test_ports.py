"""Ports for servers: each is given to one only, also by runs that know nothing of each other."""

import socket
import subprocess
import sys

import pytest

from conformance.ports import ClaimedPort, claim_ports
from tests.conformance.suite_runs import ROOT


def test_ports_are_different_and_free() -> None:
    """A server can listen on each of the ports, and has it for itself."""
    ports = claim_ports(20)
    assert len({port.number for port in ports}) == 20
    for port in ports:
        with socket.create_server(("127.0.0.1", port.number)):
            pass
        port.release()


def test_claimed_port_is_given_to_no_other_run() -> None:
    """Another process cannot claim a port before it is released, though nobody listens on it yet."""
    (port,) = claim_ports(1)
    claim = [sys.executable, "-c", f"from conformance.ports import ClaimedPort; ClaimedPort({port.number})"]
    assert subprocess.run(claim, cwd=ROOT, capture_output=True, check=False).returncode != 0
    port.release()
    subprocess.run(claim, cwd=ROOT, check=True)


def test_port_that_somebody_listens_on_is_not_free() -> None:
    """A port with a listening server is not given away."""
    (port,) = claim_ports(1)
    port.release()
    with socket.create_server(("127.0.0.1", port.number)), pytest.raises(OSError, match="in use"):
        ClaimedPort(port.number)
