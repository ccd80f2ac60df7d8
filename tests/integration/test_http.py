"""HTTP: a hostile peer costs bounded memory, and scrapers are served meanwhile."""
import pathlib
import resource
import socket
import threading

import pytest

from harness.paths import sanitized
from harness.wait import wait_until

CONNECTIONS_MAX = 32
GROWTH_MAX_KIB = 32 * 1024 * (4 if sanitized() else 1)
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def connect(daemon, receive_buffer=None):
    made = socket.socket()
    made.settimeout(60)
    if receive_buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.connect(("127.0.0.1", daemon.conf.port))
    return made


def read_all(peer):
    parts = []
    while part := peer.recv(65536):
        parts.append(part)
    return b"".join(parts)


def ask(daemon, request):
    """(status, header fields, body) of one request, as bytes on the wire."""
    with connect(daemon) as peer:
        peer.sendall(request)
        head, _, body = read_all(peer).partition(b"\r\n\r\n")
    line, *fields = head.decode().split("\r\n")
    return int(line.split()[1]), dict(field.split(": ", 1) for field in fields), body


def held(daemon):
    """Connections of its HTTP port that the daemon has a descriptor of."""
    port = f":{daemon.conf.port:04X}"
    mine = {link.readlink().name for link in pathlib.Path(f"/proc/{daemon.pid}/fd").iterdir() if link.is_symlink()}
    rows = [row.split() for row in pathlib.Path(f"/proc/{daemon.pid}/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] != "0A" and f"socket:[{row[9]}]" in mine for row in rows)


def is_closed(peer):
    """Whether the other end has closed; what it sent is read."""
    peer.setblocking(False)
    try:
        while peer.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.mark.parametrize("reads", [True, False])
def test_pipelined_requests_cost_bounded_memory_and_others_are_served(daemon, reads):
    before = daemon.rss_kib()
    evil = connect(daemon)
    reader = threading.Thread(target=lambda: read_all(evil), daemon=True)
    sent = 0
    try:
        if reads:
            reader.start()
        while sent < 1 << 28:
            sent += evil.send(REQUEST * 1000)
            if sent % (1 << 23) < len(REQUEST) * 1000:
                assert daemon.rss_kib() - before < GROWTH_MAX_KIB, f"after {sent >> 20} MiB of requests"
                assert daemon.get("/metrics")[0] == 200
    except ConnectionError:
        pass  # cut off, as it should be
    else:
        raise AssertionError("256 MiB of requests were taken")
    assert daemon.rss_kib() - before < GROWTH_MAX_KIB
    daemon.metrics()
    evil.close()


def test_a_connection_is_closed_after_its_answer_and_what_comes_after_is_not_answered(daemon):
    with connect(daemon) as peer:
        peer.sendall(REQUEST * 3)
        assert read_all(peer).count(b"HTTP/1.1 200 OK\r\n") == 1


def test_at_most_32_connections_are_held_and_a_scraper_gets_in(daemon):
    idle = [connect(daemon) for _ in range(100)]
    wait_until(lambda: sum(map(is_closed, idle)) >= 100 - CONNECTIONS_MAX, "the oldest are closed")
    # libevent frees a connection, and closes its descriptor, after the callback in which it was given up.
    wait_until(lambda: held(daemon) <= CONNECTIONS_MAX, "their descriptors are closed")
    daemon.metrics()
    assert not is_closed(idle[-1]), "the newest stay"
    assert len(daemon.lines("http: more than 32 connections")) == 1
    for one in idle:
        one.close()


def test_a_request_that_never_ends_is_cut_off(daemon):
    """An occasional byte, as on a slow line, does not keep a connection open."""
    slow = connect(daemon)
    slow.sendall(b"GET /metrics HTTP/1.1\r\nX: ")

    def is_cut():
        try:
            slow.setblocking(True)
            slow.send(b"x")
        except ConnectionError:
            return True
        return is_closed(slow)

    wait_until(is_cut, "the slow one is closed", every=0.5)
    wait_until(lambda: held(daemon) == 0, "nothing is left of it")


def test_an_answer_that_is_not_read_is_given_up(daemon):
    deaf = connect(daemon, receive_buffer=2048)
    deaf.sendall(REQUEST)
    wait_until(lambda: held(daemon) == 1, "it is connected")
    wait_until(lambda: held(daemon) == 0, "it is closed")
    deaf.close()


def test_without_descriptors_it_complains_once_and_serves_when_there_are(daemon):
    taken = max(int(fd.name) for fd in pathlib.Path(f"/proc/{daemon.pid}/fd").iterdir()) + 1
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (taken, limits[1]))
    peers = []

    def complains():
        """How many descriptors are left is not known: some that it had at its start are closed meanwhile."""
        peers.append(connect(daemon))
        return daemon.lines("http: cannot accept a connection: Too many open files")

    wait_until(complains, "it complains")
    for peer in peers[:-1]:
        peer.close()
    size = len(daemon.log())
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
    peers[-1].sendall(REQUEST)
    assert b"200 OK" in read_all(peers[-1])
    assert len(daemon.log()) - size < 1000
    assert len(daemon.lines("cannot accept a connection")) == 1
    assert daemon.lines("http: accepting connections again")
    assert not daemon.lines(r"^\[(warn|err)"), "libevent's own words are log lines too"


@pytest.mark.parametrize("request_line, status", [
    (b"GET /healthz HTTP/1.1", 200), (b"GET /healthz?x=1 HTTP/1.0", 200), (b"GET /nothing HTTP/1.1", 404),
    (b"POST /metrics HTTP/1.1", 405), (b"DELETE /metrics HTTP/1.1", 405), (b"GET", 400), (b"GET /healthz", 400),
    (b"\x16\x03\x01\x02\x00", 400), (b"\0 \0 \0", 400), (b"GET /healthz SMTP/1.0", 400)])
def test_requests_get_the_status_that_is_due(daemon, request_line, status):
    got, fields, body = ask(daemon, request_line + b"\r\n\r\n")
    assert got == status
    assert int(fields["Content-Length"]) == len(body) > 0
    assert fields["Connection"] == "close" and fields["Content-Type"].startswith("text/plain")


def test_head_gets_the_fields_alone(daemon):
    status, fields, body = ask(daemon, b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (status, body, fields["Content-Length"]) == (200, b"", "3")


def test_a_request_of_more_than_4_kib_is_refused(daemon):
    assert ask(daemon, b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 5000 + b"\r\n\r\n")[0] == 431
    assert ask(daemon, b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 3000 + b"\r\n\r\n")[0] == 200


def test_a_peer_that_sends_its_end_before_the_answer_is_answered(daemon):
    with connect(daemon) as peer:
        peer.sendall(b"GET /healthz HTTP/1.1\n\n")
        peer.shutdown(socket.SHUT_WR)
        assert read_all(peer).endswith(b"\r\n\r\nok\n")
