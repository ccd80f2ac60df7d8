"""A full journal: RETRY, no ACK, the daemon stays up, and acceptance resumes by itself."""
import json
import re

import zmq

from harness.alerts import alert, encode, padded
from harness.daemon import mobeyectl
from harness.paths import free_port
from harness.peers import Dealer, Load
from harness.wait import wait_until


def fill(dealer, size=30000):
    """Sends until the first RETRY; returns the accepted ids and the RETRY."""
    accepted = []
    for n in range(10000):
        reply = dealer.ask(padded(f"fill-{n}", size))
        if reply.word == b"RETRY":
            return accepted, reply
        assert reply.word == b"ACK", reply
        accepted.append(reply.id.decode())
    raise AssertionError("the journal never became full")


def test_a_full_journal_answers_retry_and_is_freed_by_the_database(cluster, database, daemons, context):
    daemon = daemons(database.ingest, max_size="8MiB").start()
    cluster.stop()
    dealer = Dealer(context, daemon.address())
    accepted, reply = fill(dealer)
    assert reply.id == b"fill-%d" % len(accepted) and int(reply.detail) > 0
    assert len(accepted) * 30000 > 3 << 20, "most of max_size holds alerts"
    assert daemon.metric("journal_bytes") <= 8 << 20
    assert daemon.metric("retry_total", endpoint="door") == 1
    assert dealer.ask(b"nonsense").word == b"REJECT"
    assert daemon.get("/readyz") == (503, "not ready: the journal is full: journal.max_size reached by"
                                            " alerts not yet in the database\n")
    told = mobeyectl("status", "-c", daemon.file).stdout
    assert "NOT READY, senders get RETRY: the journal is full: journal.max_size reached by alerts not yet in the database\n" in told
    told = mobeyectl("doctor", "-c", daemon.file).stdout
    assert re.search("^PROBLEM +daemon +it does not accept alerts: the journal is full: .*: journalctl -u mobeyed -p warning", told, re.M), told
    assert daemon.get("/healthz")[0] == 200
    cluster.start()
    wait_until(lambda: daemon.get("/readyz") == (200, "ok\n"), "ready without anybody sending")
    daemon.wait_drained()
    wait_until(lambda: dealer.ask(padded(f"fill-{len(accepted)}", 30000)).word == b"ACK", "taken again")
    daemon.wait_drained()
    assert {event for _, event in database.identities()} == {*accepted, f"fill-{len(accepted)}"}
    assert database.stored() == len(accepted) + 1


def test_it_stays_full_through_a_restart_and_loses_nothing(cluster, database, daemons, context):
    daemon = daemons(database.ingest, max_size="8MiB").start()
    cluster.stop()
    accepted, _ = fill(Dealer(context, daemon.address()))
    daemon.restart()
    assert daemon.metric("recovered_total") == len(accepted)
    assert daemon.get("/readyz")[0] == 503, "before anybody has sent anything"
    cluster.start()
    daemon.wait_drained()
    assert daemon.get("/readyz")[0] == 200
    assert {event for _, event in database.identities()} == set(accepted)


def test_a_full_journal_stops_the_reading_of_pull(cluster, database, daemons, context):
    daemon = daemons(database.ingest, max_size="8MiB")
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), daemon.conf.endpoint("push", socket="pull")])
    daemon.start()
    cluster.stop()
    dealer = Dealer(context, daemon.address())
    accepted, _ = fill(dealer)
    push = context.socket(zmq.PUSH)
    push.connect(daemon.address("push"))
    for n in range(100):
        push.send(encode(alert(f"push-{n}")))
    assert dealer.ask(padded("later", 30000)).word == b"RETRY", "the loop has been round"
    cluster.start()
    database.wait_stored(len(accepted) + 100)
    assert daemon.metric("retry_total", endpoint="push") == 0, "nobody can be told to retry"


def test_full_queues_of_pull_are_no_pile_of_memory(cluster, database, daemons, context):
    """Senders who cannot be told to wait are not cut off for it: what they had sent would be lost."""
    daemon = daemons(database.ingest, max_size="8MiB")
    push = daemon.conf.endpoint("push", bind=f"tcp://127.0.0.1:{free_port()}", socket="pull")
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), push])
    daemon.start()
    cluster.stop()
    room_kib = daemon.rss_kib() + 128 * 1024
    for sender in range(4):
        with context.socket(zmq.PUSH) as push:  # and is gone before what it sent is read
            push.connect(daemon.address("push"))
            for n in range(1000):
                push.send(padded(f"push-{sender}-{n}", 60000))
    wait_until(lambda: daemon.rss_kib() > room_kib, "more waits than peers may pile up")
    cluster.start()
    database.wait_stored(4000)
    scrape = daemon.metrics()
    assert scrape.total("memory_cuts_total") == scrape.total("rebinds_total") == 0


def test_ten_times_max_size_passes_when_the_database_keeps_up(database, daemons, context):
    daemon = daemons(database.ingest, max_size="8MiB").start()
    dealer = Dealer(context, daemon.address())
    messages = (json.loads(padded(f"big-{n}", 40000)) for n in range(2000))
    dealer.deliver(messages, window=20)
    daemon.wait_drained()
    assert database.stored() == 2000
    assert daemon.metric("journal_bytes") <= 8 << 20


def test_what_is_stored_makes_room_after_a_restart_without_the_database(cluster, database, daemons, context):
    """The journal is full of alerts that the database has; the daemon restarts while the database is down."""
    daemon = daemons(database.ingest, max_size="8MiB").start()
    dealer = Dealer(context, daemon.address())
    for n in range(250):
        assert dealer.ask(padded(f"stored-{n}", 30000)).word == b"ACK"
    daemon.wait_drained()
    daemon.stop()
    cluster.stop()
    daemon.start()
    for n in range(100):
        assert dealer.ask(padded(f"later-{n}", 30000)).word == b"ACK", n
    cluster.start()
    daemon.wait_drained()
    assert database.stored() == 350


def test_the_books_balance_while_a_group_waits_to_fill_its_frame(cluster, database, daemons, context):
    """In a journal over half full a group may begin in one segment and end in the next."""
    daemon = daemons(database.ingest, max_size="8MiB").start()
    cluster.stop()
    dealer = Dealer(context, daemon.address())
    words = set()
    for n in range(0, 600, 3):
        for m in range(n, n + 3):
            dealer.send(padded(f"group-{m}", 15000))
        daemon.metrics()
        words |= {dealer.reply().word for _ in range(3)}
    assert words == {b"ACK", b"RETRY"}


def test_the_books_balance_while_pull_waits_and_a_router_goes_on(cluster, database, daemons, context):
    """What pull holds is tried again every now and then: it may have the journal sync what others' group gathers."""
    cluster.stop()
    for turn in range(4):  # what is left of a full journal lasts for a few of those tries
        daemon = daemons(database.ingest, max_size="8MiB")
        daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), daemon.conf.endpoint("push", socket="pull")])
        daemon.start()
        fill(Dealer(context, daemon.address()), 60000)
        push = context.socket(zmq.PUSH)
        push.connect(daemon.address("push"))
        push.send(padded("held", 60000))
        daemon.wait_metric("in_flight", 1)
        refused = daemon.metric("retry_total")
        trickle = Load(daemon.address(), f"small-{turn}", window=1)
        while daemon.metric("retry_total") == refused:
            pass
        assert trickle.accepted > 5, "small ones fit where no large one does"
        trickle.ending.set()
    cluster.start()
