"""Sockets other than one bound router: pull and sub, connecting, several at once, tcp."""
import socket

import pytest
import zmq

from harness.alerts import alert, alerts, encode
from harness.paths import free_port
from harness.peers import Dealer
from harness.wait import wait_until


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
