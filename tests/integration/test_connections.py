"""One peer that sends without end loses its connection; all the others of its endpoint keep theirs."""
import contextlib
import resource
import socket
import urllib.parse

import pytest
import zmq
from harness.alerts import alert
from harness.curve import Clients, Key
from harness.idle_peers import IdlePeers
from harness.paths import free_port, sanitized
from harness.peers import Dealer, Load
from harness.wait import wait_until
from harness.zmtp import CurveDealer, frame, handshake

IDLE = 20
PART = bytes(65536)


class Door:
    """A daemon with the router `door` over tcp or ipc, plain or with CURVE, and peers of it."""

    def __init__(self, daemon, transport, curve=False):
        self.daemon = daemon
        self.server = Key() if curve else None
        self.key = Key(self.server) if curve else None
        more = {"bind": f"tcp://127.0.0.1:{free_port()}"} if transport == "tcp" else {}
        daemon.conf.set(endpoints=[daemon.conf.endpoint("door", **more)])
        if curve:
            clients = daemon.directory / "clients.yaml"
            Clients(clients).write(gate=(self.key, ["*"]))
            daemon.conf.set(more=f"security: {{server_key: {self.server.write(daemon.directory / 'server.key')}, "
                                 f"clients: {clients}}}\n")
        daemon.start()

    def connect(self):
        """A socket of the network, connected to the endpoint."""
        address = urllib.parse.urlsplit(self.daemon.address())
        if address.scheme == "tcp":
            return socket.create_connection((address.hostname, address.port), 60)
        made = socket.socket(socket.AF_UNIX)
        made.settimeout(60)
        made.connect(address.path)
        return made

    def flood(self, most):
        """Sends parts of a message that does not end, until it is cut off; returns what was sent."""
        with self.connect() as connection:
            if self.key:
                part = CurveDealer(connection, self.key).message
            else:
                handshake(connection)
                part = frame
            sent = 0
            with contextlib.suppress(ConnectionError):
                while sent < most:
                    connection.sendall(part(PART, True))
                    sent += len(PART)
            return sent

    def dealer(self, context):
        return Dealer(context, self.daemon.address(), curve=self.key)


def disconnections(socket):
    """Counts how often the socket loses its connection; gives a function that returns the number."""
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    seen = []

    def count():
        while monitor.poll(0):
            seen.append(monitor.recv_multipart())
        return len(seen)
    return count


@pytest.mark.parametrize("transport, curve", [("tcp", False), ("tcp", True), ("ipc", False)])
def test_of_an_endless_message_the_sender_alone_is_cut(context, database, daemons, transport, curve):
    door = Door(daemons(database.ingest), transport, curve)
    daemon = door.daemon
    idle = [door.dealer(context) for _ in range(IDLE)]
    busy = door.dealer(context)
    for n, dealer in enumerate(idle):
        assert dealer.ask(alert(f"first-{n}")).word == b"ACK"
    lost = [disconnections(dealer.socket) for dealer in (*idle, busy)]
    accepted = 0
    for attack in range(3):
        assert door.flood(1 << 30) < 1 << 30, "a message of 1 GiB was taken"
        daemon.wait_metric("memory_cuts_total", attack + 1, endpoint="door")
        for n in range(100):
            assert busy.ask(alert(f"busy-{attack}-{n}")).word == b"ACK"
            accepted += 1
    for n, dealer in enumerate(idle):
        assert dealer.ask(alert(f"last-{n}")).word == b"ACK"
    assert [count() for count in lost] == [0] * (IDLE + 1)
    assert daemon.metric("rebinds_total") == 0
    daemon.wait_drained()
    assert database.stored() == accepted + 2 * IDLE
    assert daemon.lines("memory: .* over the limit of .*: endpoint door: cut the connection from "
                        + ("uid 0" if transport == "ipc" else "127.0.0.1:"))
    assert len(daemon.lines("memory: ")) <= 3


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_a_busy_sender_on_the_same_endpoint_loses_nothing(context, database, daemons, transport):
    door = Door(daemons(database.ingest), transport)
    busy = Load(door.daemon.address(), "busy")
    wait_until(lambda: busy.accepted > 100, "the load runs")
    assert door.flood(1 << 30) < 1 << 30
    door.daemon.wait_metric("memory_cuts_total", 1)
    assert door.daemon.metric("rebinds_total") == 0
    before = busy.accepted
    wait_until(lambda: busy.accepted > before + 100, "it goes on")
    ledger = busy.stop()
    door.daemon.wait_drained()
    database.check(ledger)


def need_descriptors(needed):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"at most {hard} descriptors here, {needed} are needed")


@pytest.mark.skipif(sanitized(), reason="what a connection costs is not what it costs with a sanitizer")
def test_ten_thousand_idle_peers_are_held(context, database, daemons):
    need_descriptors(11000)
    door = Door(daemons(database.ingest), "tcp")
    daemon = door.daemon
    before = daemon.rss_kib()
    with IdlePeers(daemon.address(), 10000) as idle:
        dealer = door.dealer(context)
        assert dealer.ask(alert("among-many")).word == b"ACK"
        print(f"{(daemon.rss_kib() - before) / 10000:.1f} KiB a connection")
        assert daemon.metric("rebinds_total") + daemon.metric("memory_cuts_total") == 0
        assert door.flood(3 << 30) < 3 << 30
        daemon.wait_metric("memory_cuts_total", 1)
        assert dealer.ask(alert("after")).word == b"ACK"
        assert daemon.metric("rebinds_total") == 0
        assert idle.closed() == 0
    daemon.wait_drained()
    assert database.stored() == 2
