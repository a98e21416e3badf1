"""A load generator that costs little: keep-alive connections in one process, one request at a time on each."""

import selectors
import socket
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Result:
    """What the connections got in `seconds`."""

    seconds: float
    failures: int = 0
    latencies: list[float] = field(default_factory=list)
    """In seconds, of the answers with status 200."""

    @property
    def per_second(self) -> float:
        """Successful answers per second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """Return the latency in seconds that `share` of the answers did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def post(path: str, body: bytes) -> bytes:
    """Return a request with a JSON body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def drive(port: int, requests: list[bytes], connections: int, seconds: float) -> Result:
    """Send the requests in turn over so many connections for so many seconds."""
    selector = selectors.DefaultSelector()
    sent: dict[socket.socket, float] = {}
    received: dict[socket.socket, bytes] = {}
    turn = 0
    result = Result(seconds)
    open_ones = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for connection in open_ones:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, connection)
    clock = time.perf_counter
    began = clock()
    for connection in open_ones:
        sent[connection], received[connection] = clock(), b""
        connection.sendall(requests[turn % len(requests)])
        turn += 1
    while clock() - began < seconds:
        for key, _ in selector.select(0.1):
            connection = key.data
            answer = received[connection] + connection.recv(1 << 16)
            if not _complete(answer):
                received[connection] = answer
                continue
            now = clock()
            if answer.startswith(b"HTTP/1.1 200"):
                result.latencies.append(now - sent[connection])
            else:
                result.failures += 1
            sent[connection], received[connection] = now, b""
            connection.sendall(requests[turn % len(requests)])
            turn += 1
    result.seconds = clock() - began
    for connection in open_ones:
        connection.close()
    selector.close()
    return result


def _complete(answer: bytes) -> bool:
    if not answer:
        raise ConnectionError("the server closed a connection")
    head, separator, body = answer.partition(b"\r\n\r\n")
    if not separator:
        return False
    start = head.lower().find(b"content-length:")
    return len(body) >= int(head[start + 15 :].partition(b"\r\n")[0])
