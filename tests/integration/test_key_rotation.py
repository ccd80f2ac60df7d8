"""The daemon's CURVE key is rotated as the guide says, with two keys at a time, while senders send."""
import subprocess
import threading

import pytest
import zmq

from harness.alerts import alert
from harness.curve import Clients, Key
from harness.paths import MOBEYED, free_port
from harness.peers import Dealer
from harness.wait import wait_until

ALL = ["*"]


class Sender(threading.Thread):
    """Sends one alert after another and waits for each reply, until told to stop; moves to another address when told to.
    Any reply but an ACK, and any that does not come, is in `bad`."""

    def __init__(self, name, address, key):
        super().__init__()
        self.context, self.source = zmq.Context(), f"/rotation/{name}"
        self.address, self.key, self.moved = address, key, None
        self.sent, self.bad, self.ending = [], [], threading.Event()
        self.counts = {}
        self.start()

    def move(self, address, server):
        key = Key(server)
        key.public, key.secret = self.key.public, self.key.secret
        self.moved = (address, key)

    def run(self):
        peer = Dealer(self.context, self.address, curve=self.key)
        while not self.ending.is_set():
            if self.moved:
                peer.socket.close(0)
                (self.address, self.key), self.moved = self.moved, None
                peer = Dealer(self.context, self.address, curve=self.key)
            event_id = f"{len(self.sent):06}"
            reply = peer.ask(alert(event_id, source=self.source))
            if reply.word != b"ACK":
                self.bad.append((event_id, reply))
            self.sent.append(event_id)
            self.counts[self.address] = self.counts.get(self.address, 0) + 1
        peer.socket.close(0)
        self.context.term()

    def end(self):
        self.ending.set()
        self.join(60)


@pytest.fixture
def senders():
    made = []

    def make(*arguments):
        made.append(Sender(*arguments))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_no_alert_is_refused_or_lost_while_the_key_is_rotated_under_load(database, daemons, senders):
    daemon = daemons(database.ingest)
    old, new = Key(), Key()
    old_file, new_file = old.write(daemon.directory / "server.key"), new.write(daemon.directory / "server-new.key")
    clients = Clients(daemon.directory / "clients.yaml")
    keys = [Key(old) for _ in range(4)]
    clients.write(**{f"gateway{i}": (key, ALL) for i, key in enumerate(keys)})

    def configure(server, *endpoints):
        daemon.conf.set(more=f"security: {{server_key: {server}, clients: {clients.file}}}\n", endpoints=list(endpoints))
        daemon.write()

    def reload():
        daemon.hang_up()
        assert daemon.metric("config_last_reload_successful") == 1

    first = daemon.conf.endpoint("gateways", bind=f"tcp://127.0.0.1:{free_port()}")
    second = daemon.conf.endpoint("gateways-new", bind=f"tcp://127.0.0.1:{free_port()}", secret_key=str(new_file))
    configure(old_file, first)
    daemon.start()
    running = [senders(i, first["bind"], key) for i, key in enumerate(keys)]
    wait_until(lambda: all(len(one.sent) >= 20 for one in running), "all send to the first")

    # Both keys at once.
    configure(old_file, first, second)
    reload()
    for one in running:
        before = len(one.sent)
        wait_until(lambda one=one, before=before: len(one.sent) > before + 5, "the first endpoint goes on")
        one.move(second["bind"], new)
        wait_until(lambda one=one: one.counts.get(second["bind"], 0) > 5, "a sender has moved")

    # The old key goes; the second endpoint is the same under security.server_key.
    del second["secret_key"]
    configure(new_file, second)
    reload()
    for one in running:
        before = len(one.sent)
        wait_until(lambda one=one, before=before: len(one.sent) > before + 20, "all send with the new key alone")
    for one in running:
        one.end()
    assert [one.bad for one in running] == [[]] * len(running)
    total = sum(len(one.sent) for one in running)
    database.wait_stored(total)
    assert daemon.metrics().total("rejected_total") == daemon.metrics().total("retry_total") == 0
    assert daemon.metrics().total("handshakes_refused_total") == 0


def test_a_secret_key_that_cannot_be_read_is_an_error_of_its_endpoint(database, daemons):
    daemon = daemons(database.ingest)
    file = Key().write(daemon.directory / "server.key")
    clients = Clients(daemon.directory / "clients.yaml")
    clients.write()
    endpoint = daemon.conf.endpoint("door", bind=f"tcp://127.0.0.1:{free_port()}", secret_key=str(daemon.directory / "gone.key"))
    daemon.conf.set(more=f"security: {{server_key: {file}, clients: {clients.file}}}\n", endpoints=[endpoint])
    daemon.write()
    done = subprocess.run([MOBEYED, "--check", "-c", daemon.file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "endpoints.door.secret_key: " in done.stdout + done.stderr
