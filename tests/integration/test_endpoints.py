"""Sockets other than one bound router: pull and sub, connecting, several at once, tcp."""
import socket
import unittest.mock

import pytest
import zmq
from zmq.auth.thread import ThreadAuthenticator

from harness.alerts import alert, alerts, encode
from harness.curve import Key, Site
from harness.paths import free_port
from harness.peers import Dealer
from harness.wait import wait_until
from harness.zmtp import greeting


def endpoints(daemon, *list_of_keys):
    daemon.conf.set(endpoints=[daemon.conf.endpoint(**keys) for keys in list_of_keys])
    return daemon.start()


def test_pull_stores_what_is_pushed_and_answers_nothing(context, database, daemons):
    daemon = endpoints(daemons(database.ingest), {"name": "push", "socket": "pull"})
    push = context.socket(zmq.PUSH)
    push.connect(daemon.address("push"))
    for message in alerts(100):
        push.send(encode(message))
    push.send(b"garbage")
    database.wait_stored(100)
    daemon.wait_metric("rejected_total", 1, endpoint="push", code="malformed")


def test_pull_connects_to_a_pusher_that_binds(context, database, daemons):
    daemon = daemons(database.ingest)
    push = context.socket(zmq.PUSH)
    push.bind(f"ipc://{daemon.directory}/gateway")
    endpoints(daemon, {"name": "gateway", "connect": f"ipc://{daemon.directory}/gateway", "socket": "pull"})
    for message in alerts(100):
        push.send(encode(message))
    database.wait_stored(100)


def test_sub_stores_what_is_published_under_any_topic(context, database, daemons):
    daemon = endpoints(daemons(database.ingest), {"name": "news", "socket": "sub"})
    publish = context.socket(zmq.XPUB)
    publish.connect(daemon.address("news"))
    assert publish.poll(60000), "the daemon subscribes"
    assert publish.recv() == b"\x01"
    for n in range(100):
        publish.send_multipart([b"topic%d" % n, encode(alert(n))])
    database.wait_stored(100)


def test_sub_connects_and_takes_only_its_topics(context, database, daemons):
    daemon = daemons(database.ingest)
    publish = context.socket(zmq.XPUB)
    publish.bind(f"ipc://{daemon.directory}/gateway")
    endpoints(daemon, {"name": "news", "connect": f"ipc://{daemon.directory}/gateway", "socket": "sub",
                       "topics": ["alarm", "camera"]})
    subscribed = set()
    while len(subscribed) < 2:
        assert publish.poll(60000), f"two subscriptions; so far {subscribed}"
        subscribed.add(publish.recv())
    assert subscribed == {b"\x01alarm", b"\x01camera"}
    publish.send_multipart([b"weather", encode(alert("w"))])
    publish.send_multipart([b"alarm/1", encode(alert("a"))])
    publish.send_multipart([b"camera", encode(alert("c"))])
    database.wait_stored(2)
    assert {event for _, event in database.identities()} == {"a", "c"}


@pytest.mark.parametrize("frames", [[b"topic"], [b"topic", b"{}", b"image", b"more"]], ids=["one frame", "four frames"])
def test_sub_counts_what_has_other_frames_as_malformed(context, database, daemons, frames):
    daemon = endpoints(daemons(database.ingest), {"name": "news", "socket": "sub"})
    publish = context.socket(zmq.XPUB)
    publish.connect(daemon.address("news"))
    assert publish.poll(60000)
    publish.send_multipart(frames)
    publish.send_multipart([b"topic", encode(alert("good"))])
    database.wait_stored(1)
    assert daemon.metric("rejected_total", endpoint="news", code="malformed") == 1


def test_a_router_that_connects_serves_a_dealer_that_binds(context, database, daemons):
    daemon = daemons(database.ingest)
    dealer = context.socket(zmq.DEALER)
    dealer.bind(f"ipc://{daemon.directory}/gateway")
    endpoints(daemon, {"name": "gateway", "connect": f"ipc://{daemon.directory}/gateway"})
    dealer.send(encode(alert("a-1")))
    assert dealer.poll(60000)
    assert dealer.recv_multipart() == [b"ACK", b"a-1", b"1"]


PEERS = {"pull": zmq.PUSH, "sub": zmq.XPUB, "router": zmq.DEALER}
STRANGE_READY = b"\x04\x10\x05READY\x0bSocket-Type"


class Hub:
    """A peer that binds, for an endpoint `hub` of that kind that connects to it."""

    def __init__(self, context, database, daemon, kind, transport):
        self.context, self.database, self.daemon, self.kind = context, database, daemon, kind
        self.address = f"tcp://127.0.0.1:{free_port()}" if transport == "tcp" else f"ipc://{daemon.directory}/hub"

    def start(self):
        daemon = self.daemon
        out = daemon.conf.endpoint("hub", connect=self.address, socket=self.kind)
        daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), out])
        daemon.start()

    def _bound(self):
        try:
            self.socket.bind(self.address)
        except zmq.ZMQError as e:
            assert e.errno == zmq.EADDRINUSE
            return False
        return True

    def open(self, kind=None):
        self.socket = self.context.socket(kind or PEERS[self.kind])
        self.socket.linger = 0
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_ACCEPTED)
        wait_until(self._bound, "the address is free")

    def accepted(self):
        """How many connections since it was opened."""
        n = 0
        while self.monitor.poll(0):
            self.monitor.recv_multipart()
            n += 1
        return n

    def send(self, payload):
        try:
            self.socket.send_multipart([b"topic", payload] if self.kind == "sub" else [payload], zmq.DONTWAIT)
        except zmq.Again:
            return False
        return True

    def wait_heard(self, event_id):
        """Sent again and again: what is sent before the daemon has connected is lost. Only the identity tells that it
        came: a counter also counts an earlier one that was sent once more."""
        def heard():
            self.send(encode(alert(event_id)))
            return event_id in {event for _, event in self.database.identities()}
        wait_until(heard, f"{event_id} is stored")


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
@pytest.mark.parametrize("kind", PEERS)
def test_one_that_connects_comes_back_after_a_frame_that_is_too_large(context, database, daemons, kind, transport):
    """libzmq ends the connection, does not make another, and reports nothing more."""
    hub = Hub(context, database, daemons(database.ingest), kind, transport)
    hub.open()
    hub.start()
    hub.wait_heard("before")
    assert hub.send(bytes(9 << 20))
    hub.wait_heard("after")
    assert hub.accepted() == 2, "one connection and then another"
    hub.daemon.wait_drained()
    assert {event for _, event in database.identities()} == {"before", "after"}
    assert len(hub.daemon.lines(f"endpoint hub: connecting again to {hub.address}: .* a frame above 8 MiB")) == 1


@pytest.mark.parametrize("kind", PEERS)
def test_one_that_connects_comes_back_after_a_peer_of_another_type(context, database, daemons, kind):
    hub = Hub(context, database, daemons(database.ingest), kind, "tcp")
    hub.open(zmq.REP)
    hub.start()
    hub.daemon.wait_log("endpoint hub: connecting again")
    hub.socket.close()
    hub.open()
    hub.wait_heard("after")
    assert hub.accepted() == 1


@pytest.mark.parametrize("says", [bytes(64), greeting() + STRANGE_READY], ids=["zeros", "metadata"])
def test_one_that_connects_comes_back_after_something_else_on_the_port(context, database, daemons, says):
    hub = Hub(context, database, daemons(database.ingest), "pull", "tcp")
    with socket.create_server(("127.0.0.1", int(hub.address.split(":")[-1]))) as other:
        hub.start()
        connection, _ = other.accept()
        connection.sendall(says)
        hub.daemon.wait_log("endpoint hub: connecting again")
        connection.close()
    hub.open()
    hub.wait_heard("after")
    assert hub.accepted() == 1


def test_one_that_connects_leaves_it_to_libzmq_where_that_connects_again(context, database, daemons):
    hub = Hub(context, database, daemons(database.ingest), "pull", "ipc")
    hub.open()
    hub.start()
    for n in range(5):
        hub.wait_heard(f"a-{n}")
        assert hub.accepted() == 1
        hub.socket.close()
        hub.open()
    hub.wait_heard("last")
    assert not hub.daemon.lines("connecting again")


def test_one_that_connects_names_a_peer_that_refuses_its_key_and_tries_again(context, database, daemons):
    site = Site(daemons(database.ingest))
    hub, push = Key(), context.socket(zmq.PUSH)
    provider = unittest.mock.Mock(**{"callback.return_value": False})
    authenticator = ThreadAuthenticator(context)
    authenticator.start()
    try:
        authenticator.configure_curve_callback(credentials_provider=provider)
        hub.serve(push)
        push.sndtimeo, push.linger = 60000, 0
        port = push.bind_to_random_port("tcp://127.0.0.1")
        out = site.endpoint("hub", connect=f"tcp://127.0.0.1:{port}", socket="pull", server_key=hub.public)
        site.daemon.conf.set(endpoints=[site.endpoint(), out])
        site.start(hub=(hub, ["*"]))
        site.daemon.wait_log("endpoint hub: connecting again to .*: its peer does not accept the public key of this daemon")
        provider.callback.return_value = True
        push.send(encode(alert("again")))
        site.daemon.wait_metric("journaled_total", 1)
        push.send(bytes(9 << 20))
        site.daemon.wait_log("connecting again to .*: .* a frame above 8 MiB")
        push.send(encode(alert("and again")))
        site.daemon.wait_metric("journaled_total", 2)
    finally:
        authenticator.stop()


def test_several_endpoints_share_one_journal_and_each_is_counted(context, database, daemons):
    port = free_port()
    daemon = endpoints(daemons(database.ingest), {"name": "one"}, {"name": "two", "bind": f"tcp://127.0.0.1:{port}"},
                       {"name": "three", "socket": "pull"})
    one, two = Dealer(context, daemon.address("one")), Dealer(context, daemon.address("two"))
    push = context.socket(zmq.PUSH)
    push.connect(daemon.address("three"))
    for n in range(100):
        one.send(alert(f"one-{n}"))
        two.send(alert(f"two-{n}"))
        push.send(encode(alert(f"three-{n}")))
    replies = [dealer.reply() for dealer in (one, two) for _ in range(100)]
    assert len({reply.seq for reply in replies}) == 200
    database.wait_stored(300)
    metrics = daemon.metrics()
    for name in ("one", "two", "three"):
        assert metrics.total("received_total", endpoint=name) == 100
        assert database.value("select count(*) from patrol.alerts where endpoint = %s", name) == 100


def test_a_peer_that_comes_back_goes_on(context, daemon, database):
    for n in range(5):
        dealer = Dealer(context, daemon.address())
        assert dealer.ask(alert(f"a-{n}")).seq == n + 1
        dealer.close()
    database.wait_stored(5)


def test_pull_keeps_taking_while_the_senders_are_many(context, database, daemons):
    daemon = endpoints(daemons(database.ingest), {"name": "push", "socket": "pull"})
    pushes = [context.socket(zmq.PUSH) for _ in range(20)]
    for which, push in enumerate(pushes):
        push.connect(daemon.address("push"))
        for message in alerts(50, f"p{which}"):
            push.send(encode(message))
    wait_until(lambda: database.stored() == 1000, "all of them")


@pytest.mark.parametrize("keys", [{"socket": "pull", "bind": "tcp://127.0.0.1:*"},
                                  {"socket": "tcp", "format": "sia-dc09", "bind": "tcp://127.0.0.1:0"}], ids=["zeromq", "tcp"])
def test_a_free_port_is_told_in_the_log(database, daemons, keys):
    daemon = daemons(database.ingest)
    daemon.conf.endpoints.append(daemon.conf.endpoint("free", **keys))
    daemon.start()
    line, = daemon.wait_log(r"endpoint free: listening on port [1-9]\d*$")
    with socket.create_connection(("127.0.0.1", int(line.split()[-1])), timeout=60):
        assert not daemon.lines("endpoint door: listening"), "an address that the file names is not repeated"
