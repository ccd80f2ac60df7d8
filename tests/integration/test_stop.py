"""Start, stop, and what the service manager and probes are told meanwhile."""
import signal
import socket
import time
import urllib.error

import pytest
import zmq

from harness.alerts import alert, alerts, encode
from harness.paths import free_port
from harness.peers import Dealer, Load
from harness.wait import wait_until
from harness.zmtp import frame, handshake


def test_sigterm_under_load_ends_with_0_and_loses_nothing(database, daemons):
    daemon = daemons(database.ingest).start()
    load = Load(daemon.address(), "load", window=500)
    wait_until(lambda: load.accepted > 1000, "some load")
    for _ in range(3):
        daemon.stop()
        daemon.start()
        before = load.accepted
        wait_until(lambda: load.accepted > before + 500, "the load goes on")
    ledger = load.stop()
    daemon.wait_drained()
    database.check(ledger)
    assert "STOPPING=1" in daemon.notices.seen


def test_sigint_is_a_stop_too(daemon):
    daemon.signal(signal.SIGINT)
    assert daemon.wait_exit(10) == 0


def test_what_was_accepted_is_stored_before_it_stops(context, daemon, database):
    daemon.wait_metric("database_up", 1)
    Dealer(context, daemon.address()).deliver(alerts(500))
    daemon.stop()
    assert database.stored() == 500


def test_nothing_waits_after_a_start_when_everything_was_stored(context, daemon, database):
    Dealer(context, daemon.address()).deliver(alerts(100))
    daemon.wait_drained()
    daemon.restart()
    daemon.wait_metric("database_up", 1)
    metrics = daemon.metrics()
    assert [metrics.total(name) for name in ("recovered_total", "duplicate_total", "journal_pending")] == [0, 0, 0]


def test_sigterm_ends_it_with_the_database_hung_and_a_peer_stalled(cluster, context, database, daemons):
    daemon = daemons(database.ingest, batch_max=50)
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door", bind=f"tcp://127.0.0.1:{free_port()}")])
    daemon.start()
    load = Load(daemon.address(), "load", window=500)
    wait_until(lambda: load.accepted > 200, "some load")
    cluster.freeze()
    before = load.accepted
    wait_until(lambda: load.accepted > before + 500, "the hung database holds no sender up")
    stalled = socket.create_connection(("127.0.0.1", int(daemon.address().rsplit(":", 1)[1])))
    handshake(stalled)
    stalled.sendall(frame(encode(alert("stalled-" + "x" * 100))) * 2000)
    daemon.stop(within=10)
    stalled.close()
    cluster.thaw()
    daemon.start()
    ledger = load.stop()
    daemon.wait_drained()
    ledger.sent.add(("/test/gateway", "stalled-" + "x" * 100))
    database.check(ledger)


def test_senders_get_retry_or_nothing_while_it_stops_never_a_false_ack(context, daemon, database):
    dealer = Dealer(context, daemon.address())
    for message in alerts(3000):
        dealer.send(message)
    assert dealer.reply().word == b"ACK"
    daemon.stop()
    accepted = 1
    while dealer.socket.poll(500):
        word = dealer.reply().word
        assert word in (b"ACK", b"RETRY")
        accepted += word == b"ACK"
    daemon.start()
    daemon.wait_drained()
    assert database.stored() >= accepted


def test_ready_comes_when_the_endpoint_is_bound_and_the_journal_recovered(context, database, daemons):
    daemon = daemons("host=/nonexistent").start()
    Dealer(context, daemon.address()).deliver(alerts(200))
    daemon.kill()
    daemon.start()  # returns at READY
    assert daemon.metric("recovered_total") == 200
    assert daemon.get("/readyz")[0] == 200
    assert (daemon.directory / "door").exists()


def test_the_watchdog_is_fed_while_the_database_hangs(cluster, context, database, daemons):
    daemon = daemons(database.ingest).start(env={"WATCHDOG_USEC": "400000"})
    cluster.freeze()
    Dealer(context, daemon.address()).deliver(alerts(100))
    fed = daemon.notices.count("WATCHDOG=1")
    assert daemon.notices.wait("WATCHDOG=1", fed + 5, daemon.running)
    cluster.thaw()
    daemon.wait_drained()
    cluster.stop()
    fed = daemon.notices.count("WATCHDOG=1")
    assert daemon.notices.wait("WATCHDOG=1", fed + 5, daemon.running)


def test_the_probes_answer_and_nothing_else_does(daemon):
    assert daemon.get("/healthz")[0] == 200
    assert daemon.get("/readyz")[0] == 200
    assert daemon.get("/")[0] == 404
    assert daemon.get("/etc/passwd")[0] == 404


def test_while_it_stops_it_is_not_ready(cluster, context, database, daemons):
    daemon = daemons(database.ingest).start()
    daemon.wait_metric("database_up", 1)
    cluster.freeze()
    Dealer(context, daemon.address()).deliver(alerts(100))
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: daemon.get("/readyz") == (503, "not ready: stopping\n"), "what /readyz says")
    assert daemon.get("/healthz")[0] == 200
    assert daemon.wait_exit(10) == 0


def test_every_metric_of_the_contract_is_there_from_the_start(daemon):
    status, text = daemon.get("/metrics")
    assert status == 200
    for name in ("received_total", "rejected_total", "retry_total", "in_flight", "journaled_total", "recovered_total",
                 "committed_total", "duplicate_total", "quarantined_total", "journal_pending", "journal_bytes",
                 "database_up", "ack_seconds_bucket", "ack_seconds_sum", "ack_seconds_count", "commit_lag_seconds",
                 "config_last_reload_successful"):
        assert f"\nmobeyed_{name}" in text, name
    for line in ("# TYPE mobeyed_ack_seconds histogram", "# TYPE mobeyed_received_total counter",
                 "# TYPE mobeyed_in_flight gauge"):
        assert line in text
    assert daemon.metric("config_last_reload_successful") == 1


def test_the_histogram_counts_every_ack(dealer, daemon, database):
    dealer.deliver(alerts(300))
    dealer.ask(b"nonsense")
    metrics = daemon.metrics()
    assert metrics.total("ack_seconds_count") == 300
    assert metrics.total("ack_seconds_bucket", le="+Inf") == 300
    assert metrics.total("ack_seconds_sum") > 0, "no sync takes no time at all"
    buckets = [value for (name, _), value in metrics.items() if name == "mobeyed_ack_seconds_bucket"]
    assert buckets == sorted(buckets)


def test_each_endpoint_tells_when_its_last_message_came(daemons, database, context):
    before = time.time()
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), daemon.conf.endpoint("other")])
    daemon.start()
    assert daemon.metric("last_received_timestamp_seconds", endpoint="door") == 0
    Dealer(context, daemon.address()).ask(b"nonsense")
    assert before <= daemon.metric("last_received_timestamp_seconds", endpoint="door") <= time.time()
    assert daemon.metric("last_received_timestamp_seconds", endpoint="other") == 0


def test_the_commit_lag_grows_with_an_outage_and_falls_after_it(cluster, context, database, daemons):
    daemon = daemons(database.ingest).start()
    daemon.wait_metric("database_up", 1)
    cluster.stop()
    Dealer(context, daemon.address()).deliver(alerts(10))
    daemon.wait_metric("commit_lag_seconds", lambda lag: lag > 0.5)
    cluster.start()
    daemon.wait_drained()
    daemon.wait_metric("commit_lag_seconds", lambda lag: lag < 0.5)


def test_the_http_port_is_closed_after_the_stop(daemon):
    daemon.stop()
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        daemon.get("/healthz")


def test_books_balance_in_every_scrape_under_load(daemon, database, context):
    load = Load(daemon.address(), "books", window=300)
    garbage = context.socket(zmq.DEALER)
    garbage.connect(daemon.address())
    while load.accepted < 3000:
        garbage.send(b"nonsense")
        daemon.metrics()
    ledger = load.stop()
    daemon.wait_drained()
    database.check(ledger)
