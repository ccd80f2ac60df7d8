"""Malicious peers: each costs bounded memory, is counted, and holds up nobody else."""
import os
import socket
import subprocess

import pytest
import zmq

from harness.alerts import alert, alerts, encode, padded
from harness.paths import free_port, sanitized
from harness.peers import Dealer, Load
from harness.wait import wait_until
from harness.zmtp import frame, handshake

# What the daemon may grow to under attack: its limit is 128 MiB over its start, it looks twenty times a second, and
# loopback brings up to 1 GB a second. Sanitizers take memory of their own.
RSS_MAX_KIB = 384 * 1024 * (8 if sanitized() else 1)


def on_tcp(daemon):
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door", bind=f"tcp://127.0.0.1:{free_port()}")])
    return daemon.start()


def connect(daemon, receive_buffer=None):
    made = socket.socket()
    made.settimeout(60)
    if receive_buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.connect(("127.0.0.1", int(daemon.address().rsplit(":", 1)[1])))
    return made


def connect_as_dealer(daemon, receive_buffer=None):
    """Tried again: the daemon may just be closing the endpoint to be rid of somebody."""
    def attempt():
        try:
            made = connect(daemon, receive_buffer)
            handshake(made)
            return made
        except ConnectionError:
            return None
    return wait_until(attempt, "a connection")


def test_endless_multipart_costs_bounded_memory_and_others_are_served(context, database, daemons):
    daemon = on_tcp(daemons(database.ingest))
    other = Load(daemon.address(), "other")
    part = frame(bytes(65536), more=True)
    most = 0
    for attack in range(3):
        evil = connect_as_dealer(daemon)
        sent = 0
        try:
            while sent < 1 << 30:
                evil.sendall(part)
                sent += len(part)
                if sent % (1 << 24) < len(part):
                    most = max(most, daemon.rss_kib())
                    assert most < RSS_MAX_KIB, f"{most} KiB after {sent >> 20} MiB of one message"
        except (ConnectionError, TimeoutError):
            pass  # cut off, as it should be
        else:
            raise AssertionError("a message of 1 GiB was taken")
        evil.close()
    print(f"at most {most} KiB")
    before = other.accepted
    wait_until(lambda: other.accepted > before + 100, "others are served")
    ledger = other.stop()
    daemon.wait_drained()
    database.check(ledger)


def test_a_peer_that_never_reads_loses_its_replies_not_its_alerts(context, database, daemons):
    daemon = on_tcp(daemons(database.ingest))
    deaf = connect_as_dealer(daemon, receive_buffer=4096)
    count = 20000
    for first in range(0, count, 100):
        deaf.sendall(b"".join(frame(encode(alert(f"deaf-{n:06}-" + "x" * 100))) for n in range(first, first + 100)))
        if first % 5000 == 0:
            assert Dealer(context, daemon.address()).ask(alert(f"other-{first}")).word == b"ACK"
    database.wait_stored(count + count // 5000)
    assert daemon.rss_kib() < RSS_MAX_KIB
    assert Dealer(context, daemon.address()).ask(alert("last")).word == b"ACK"
    deaf.close()


def test_garbage_on_the_port_disturbs_nobody(context, database, daemons):
    daemon = on_tcp(daemons(database.ingest))
    dealer = Dealer(context, daemon.address())
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\xff" * 100000, os.urandom(100000), b"\x00" * 64,
                    b"\xff" + bytes(8) + b"\x7f\x03" + os.urandom(5000)):
        evil = connect(daemon)
        try:
            evil.sendall(garbage)
            evil.shutdown(socket.SHUT_WR)
            while evil.recv(65536):
                pass
        except OSError:
            pass  # cut off
        evil.close()
        assert dealer.ask(alert(f"after-{garbage[:4].hex()}-{len(garbage)}")).word == b"ACK"
    daemon.wait_drained()
    assert daemon.running()


def test_garbage_frames_of_a_well_spoken_peer_are_rejected(dealer, daemon):
    for n in range(200):
        assert dealer.ask(os.urandom(n)).word == b"REJECT" if n else True
    assert daemon.metric("rejected_total", code="malformed") == 199


@pytest.fixture
def idle_connections():
    """Opens many in a process of its own, whose file descriptors are not those of the test."""
    opened = []

    def connect_many(port, count):
        script = (f"import resource, socket; resource.setrlimit(resource.RLIMIT_NOFILE, ({count + 100},) * 2)\n"
                  f"made = [socket.create_connection(('127.0.0.1', {port})) for _ in range({count})]\n"
                  f"print(len(made), flush=True); input()")
        opened.append(subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True))
        assert opened[-1].stdout.readline() == f"{count}\n"

    yield connect_many
    for process in opened:
        process.communicate()


def test_a_thousand_idle_connections_hold_nobody_up(context, database, daemons, idle_connections):
    daemon = on_tcp(daemons(database.ingest))
    idle_connections(int(daemon.address().rsplit(":", 1)[1]), 1000)
    idle = [connect_as_dealer(daemon) for _ in range(100)]
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(1000))
    daemon.wait_drained()
    assert database.stored() == 1000
    assert daemon.rss_kib() < RSS_MAX_KIB
    for one in idle:
        one.close()


def test_one_flood_does_not_starve_the_others(context, daemon, database):
    flood = context.socket(zmq.DEALER)
    flood.connect(daemon.address())
    payload = padded("flood", 2000)
    for _ in range(900):
        flood.send(payload)
    other = Dealer(context, daemon.address())
    for n in range(20):
        for _ in range(100):
            flood.send(payload)
        assert other.ask(alert(f"other-{n}")).word == b"ACK"
    daemon.wait_drained()
    assert database.stored() == 21


def test_bad_flood_is_counted_and_others_are_served(context, daemon, database):
    flood = context.socket(zmq.DEALER)
    flood.connect(daemon.address())
    bad = (b"[" * 1000, b"nonsense", b'{"id":1}', b"\xff", bytes(70000), bytes(70001))
    for n in range(6000):
        flood.send(bad[n % len(bad)])
    other = Dealer(context, daemon.address())
    assert other.ask(alert("good")).word == b"ACK"
    daemon.wait_metric("rejected_total", 6000, endpoint="door")
    database.wait_stored(1)
    assert len(daemon.log().splitlines()) < 100, "rejects do not fill the log"
