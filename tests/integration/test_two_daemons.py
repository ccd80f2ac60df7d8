"""Two daemons: together on one database they double nothing; only one can use a journal."""
import shutil
import subprocess

import psycopg
from psycopg.conninfo import make_conninfo

from harness.alerts import alerts, encode, padded
from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL, MOBEYED, ROOT
from harness.peers import Dealer, Ledger

PYTHON = "/usr/bin/python3"


def send_both_ways(dealers, messages):
    """All of them to both, to the second one backwards."""
    for forth, back in zip(messages, reversed(messages)):
        dealers[0].send(forth)
        dealers[1].send(back)


def expect_acks(dealers, messages):
    for dealer in dealers:
        assert [dealer.reply().word for _ in messages] == [b"ACK"] * len(messages)
        dealer.ledger.sent = dealer.ledger.accepted = {(m["source"], m["id"]): 0 for m in messages}


def test_the_same_alerts_in_different_order_are_each_stored_once(context, database, daemons):
    messages = alerts(2000)
    pair = [daemons(database.ingest, instance=f"test-{n}", batch_max=100).start() for n in (1, 2)]
    dealers = [Dealer(context, daemon.address()) for daemon in pair]
    send_both_ways(dealers, messages)
    expect_acks(dealers, messages)
    for daemon in pair:
        daemon.wait_drained()
    database.check(*(dealer.ledger for dealer in dealers))
    scrapes = [daemon.metrics() for daemon in pair]
    assert sum(scrape.total("committed_total") for scrape in scrapes) == 2000
    assert sum(scrape.total("duplicate_total") for scrape in scrapes) == 2000
    assert all(scrape.total("quarantined_total") == 0 for scrape in scrapes)


def test_two_backlogs_drained_at_once_are_each_stored_once(cluster, context, database, daemons):
    """Both daemons have everything waiting when the database comes."""
    messages = alerts(3000)
    cluster.stop()
    pair = [daemons(database.ingest, instance=f"test-{n}").start() for n in (1, 2)]
    dealers = [Dealer(context, daemon.address()) for daemon in pair]
    dealers[0].deliver(messages)
    dealers[1].deliver(list(reversed(messages)))
    cluster.start()
    for daemon in pair:
        daemon.wait_drained()
    database.check(*(dealer.ledger for dealer in dealers))
    assert sum(daemon.metric("duplicate_total") for daemon in pair) == 3000


def test_alerts_are_each_stored_once_across_the_ends_of_periods_of_identities(context, database, daemons):
    """Both daemons receive all alerts, one backwards; periods end meanwhile, and filters are made for some of them."""
    messages = alerts(3000)
    pair = [daemons(database.ingest, instance=f"test-{n}", batch_max=50).start() for n in (1, 2)]
    dealers = [Dealer(context, daemon.address()) for daemon in pair]
    send_both_ways(dealers, messages)
    ended = 0
    while any(daemon.metric("committed_total") + daemon.metric("duplicate_total") < 3000 for daemon in pair):
        try:
            ended += database.value("select mobeye.turn_identity_period(0)") is not None
        except psycopg.errors.LockNotAvailable:
            continue
        if ended % 2:
            database.value("select mobeye.make_identity_filters()")
    assert ended > 3, ended
    expect_acks(dealers, messages)
    database.check(*(dealer.ledger for dealer in dealers))
    assert sum(daemon.metric("duplicate_total") for daemon in pair) == 3000
    assert all(daemon.metric("quarantined_total") == 0 for daemon in pair)


def test_a_second_daemon_on_one_journal_ends_with_one_line_naming_the_first(daemon, daemons, database, context):
    second = daemons(database.ingest, journal=daemon.conf.journal)
    second.write()
    done = subprocess.run([MOBEYED, "-c", second.file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if " error " in line]
    assert len(errors) == 1, done.stderr
    assert str(daemon.conf.journal) in errors[0] and str(daemon.pid) in errors[0]
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(10))
    database.wait_stored(10)


def test_a_copied_journal_is_recognised_and_both_go_on(context, database, daemons):
    """The directory of a stopped daemon is copied to a second machine, and both run."""
    first = daemons(database.ingest).start()
    dealer = Dealer(context, first.address())
    dealer.deliver(alerts(100, "both"))
    first.stop()
    second = daemons(database.ingest, instance="test-2")
    shutil.copytree(first.conf.journal, second.conf.journal)
    first.start()
    dealer.deliver(alerts(50, "first"))
    first.wait_drained()
    second.start()
    other = Dealer(context, second.address())
    other.deliver(alerts(70, "second"))
    dealer.deliver(alerts(50, "later"))
    for daemon in (first, second):
        daemon.wait_drained()
    database.check(dealer.ledger, other.ledger)
    assert database.stored() == 270
    assert database.value("select count(*) from mobeye.journal_position") == 2


def killed_halfway(pair, senders):
    """The first daemon is killed when it has taken some, and comes back when the senders are done."""
    pair[0].wait_metric("journaled_total", lambda value: value > 100)
    pair[0].kill()
    for sender in senders:
        _, errors = sender.communicate(timeout=120)
        assert sender.returncode == 0, errors
    pair[0].start()
    for daemon in pair:
        daemon.wait_drained()


def test_send_goes_over_to_the_other_daemon_when_one_is_killed(database, daemons, tmp_path):
    """Two senders of the same alerts, that begin at either daemon."""
    pair = [daemons(database.ingest, instance=f"test-{n}").start() for n in (1, 2)]
    ledger, messages = Ledger(), alerts(20000)
    ledger.sent = ledger.accepted = {(m["source"], m["id"]): 0 for m in messages}
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(b"".join(encode(message) + b"\n" for message in messages))
    senders = [subprocess.Popen([MOBEYECTL, "send", *(f"--to={daemon.address()}" for daemon in order), file],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE) for order in (pair, pair[::-1])]
    killed_halfway(pair, senders)
    database.check(ledger)
    assert pair[1].metric("journaled_total") > 20000, "what the one that was killed did not take too"


def test_send_goes_over_to_the_other_daemon_when_one_has_no_room(database, daemons, tmp_path):
    full = daemons(make_conninfo(database.ingest, host="/nonexistent"), max_size="1MiB").start()
    other = daemons(database.ingest, instance="test-2").start()
    file = tmp_path / "alerts.jsonl"
    file.write_bytes(b"".join(padded(f"big-{n:03}", 30000) + b"\n" for n in range(100)))
    done = mobeyectl("send", "--to", full.address(), "--to", other.address(), "--json", file)
    assert done.returncode == 0, done.stderr
    assert full.metric("retry_total") > 0
    full.conf.set(conninfo=database.ingest)
    full.restart()
    for daemon in (full, other):
        daemon.wait_drained()
    assert database.stored() == 100


def test_the_producer_goes_over_to_the_other_daemon(database, daemons):
    pair = [daemons(database.ingest, instance=f"test-{n}").start() for n in (1, 2)]
    producer = [PYTHON, ROOT / "config" / "producer.py", ",".join(daemon.address() for daemon in pair)]
    first = subprocess.run(producer, capture_output=True, text=True, timeout=60)
    assert first.returncode == 0 and pair[0].address() in first.stdout, first.stderr
    pair[0].kill()
    many = [subprocess.Popen(producer, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(5)]
    for one in many:
        said, errors = one.communicate(timeout=120)
        assert one.returncode == 0 and pair[1].address() in said, errors
    pair[0].start()
    for daemon in pair:
        daemon.wait_drained()
    assert database.stored() == 6
