"""The database goes down and comes back: ingest continues, and everything arrives once."""
import pytest
from psycopg.conninfo import make_conninfo

from harness.alerts import alert, alerts
from harness.peers import Dealer, Load
from harness.wait import wait_until


def test_stopped_and_started_in_mid_stream(cluster, database, daemons):
    daemon = daemons(database.ingest).start()
    load = Load(daemon.address(), "mid")
    wait_until(lambda: database.stored() > 300, "alerts are stored")
    cluster.stop()
    daemon.wait_metric("database_up", 0)
    before = load.accepted
    wait_until(lambda: load.accepted > before + 1000, "accepted while the database is down")
    assert daemon.metric("journal_pending") > 0
    assert daemon.get("/readyz")[0] == 200
    cluster.start()
    ledger = load.stop()
    daemon.wait_drained()
    database.check(ledger)
    assert database.stored() == len(ledger.accepted)
    assert daemon.metric("database_up") == 1
    assert daemon.metric("retry_total") == 0


def test_a_crash_of_the_database_loses_and_doubles_nothing(cluster, database, daemons):
    daemon = daemons(database.ingest, batch_max=200).start()
    load = Load(daemon.address(), "crash", window=100)
    for _ in range(3):
        before = daemon.metric("committed_total")
        daemon.wait_metric("committed_total", lambda value: value > before + 500)
        cluster.kill()
        daemon.wait_metric("database_up", 0)
        cluster.start()
        daemon.wait_metric("database_up", 1)
    ledger = load.stop()
    daemon.wait_drained()
    database.check(ledger)


def test_down_at_start_it_is_ready_and_drains_later(cluster, database, daemons, context):
    cluster.stop()
    daemon = daemons(database.ingest).start()
    assert (daemon.get("/readyz")[0], daemon.get("/healthz")[0]) == (200, 200)
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(1000))
    assert daemon.metric("journal_pending") == 1000
    assert daemon.metric("database_up") == 0
    assert len(daemon.log().splitlines()) < 30, "the outage is logged, and not over and over"
    cluster.start()
    daemon.wait_drained()
    database.check(dealer.ledger)


def test_waiting_alerts_survive_a_restart_during_the_outage(cluster, database, daemons, context):
    cluster.stop()
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(500, "one"))
    daemon.restart()
    assert daemon.metric("recovered_total") == 500
    dealer.deliver(alerts(500, "two"))
    daemon.kill()
    daemon.start()
    assert daemon.metric("recovered_total") == 1000
    cluster.start()
    daemon.wait_drained()
    database.check(dealer.ledger)
    assert database.stored() == 1000
    assert daemon.metric("committed_total") == 1000


VERIFY = """rules:
  - {name: one, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h, verify_by: {within: 5m, radius: 150m}}}
"""


@pytest.mark.parametrize("stops", [False, True])
def test_what_was_stored_before_a_long_outage_is_verified_after_it(cluster, database, daemons, context, stops):
    """A crash, or a stop while the database is down, comes before the verification; afterwards more is stored before it."""
    daemon = daemons(database.ingest, more=VERIFY).start()
    place = {"type": "Point", "coordinates": [5.38421, 52.19603], "accuracy_m": 5}
    database.execute("revoke execute on function mobeye.verify_incidents from mobeye_ingest")
    Dealer(context, daemon.address()).deliver([alert(name, device=name, location=place) for name in ("A", "B")])
    database.wait_stored(2)
    if stops:
        cluster.stop()
        daemon.wait_metric("database_up", 0)
        daemon.stop()
        cluster.start()
    else:
        daemon.kill()
    for table, column in (("incident", "stored_at"), ("journal_position", "updated_at")):
        database.execute(f"update mobeye.{table} set {column} = {column} - interval '1 hour'")
    database.execute("grant execute on function mobeye.verify_incidents to mobeye_ingest")
    database.execute("revoke execute on function mobeye.verify_recent from mobeye_ingest")
    daemon.start()
    Dealer(context, daemon.address()).deliver([alert("C", device="C")])
    database.wait_stored(3)
    database.execute("grant execute on function mobeye.verify_recent to mobeye_ingest")
    verified = "select device_id from patrol.incidents where verified_by = 'second_device' order by 1"
    wait_until(lambda: database.rows(verified) == [("A",), ("B",)], "both are verified")


def test_what_waited_for_its_verification_for_long_is_verified_after_a_crash(database, daemons, context):
    """More was stored in between: its time says nothing about the raises that waited. Nor does a second crash."""
    daemon = daemons(database.ingest, more=VERIFY).start()
    place = {"type": "Point", "coordinates": [5.38421, 52.19603], "accuracy_m": 5}
    database.execute("revoke execute on function mobeye.verify_incidents from mobeye_ingest")
    Dealer(context, daemon.address()).deliver([alert(name, device=name, location=place) for name in ("A", "B")])
    database.wait_stored(2)
    later = "select min(alive_at) > max(i.stored_at) from mobeye.daemon, mobeye.incident i"
    for _ in range(2):
        wait_until(lambda: database.value(later), "the daemon reports")
        database.execute("revoke execute on function mobeye.verify_recent from mobeye_ingest")
        daemon.kill()
        for table, column in (("incident", "stored_at"), ("daemon", "verified_until"), ("daemon", "alive_at")):
            database.execute(f"update mobeye.{table} set {column} = {column} - interval '1 hour'")
        daemon.start()
    database.execute("grant execute on function mobeye.verify_incidents, mobeye.verify_recent to mobeye_ingest")
    verified = "select device_id from patrol.incidents where verified_by = 'second_device' order by 1"
    wait_until(lambda: database.rows(verified) == [("A",), ("B",)], "both are verified")


def test_connections_cut_under_load_lose_and_double_nothing(database, daemons):
    daemon = daemons(database.ingest, batch_max=100).start()
    load = Load(daemon.address(), "cut", window=50)
    cut = 0
    while cut < 6:
        before = daemon.metric("committed_total")
        daemon.wait_metric("committed_total", lambda value: value > before)
        cut += database.disconnect_all()
    ledger = load.stop()
    daemon.wait_drained()
    database.check(ledger)


def test_a_connection_that_is_lost_again_and_again_does_not_fill_the_log(database, daemons, context):
    """Also where each is of use for a moment."""
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    writer = "from pg_stat_activity where datname = current_database() and application_name = 'mobeyed test-1'"
    seen = None
    for n in range(6):
        dealer.deliver([alert(f"a-{n}")])
        database.wait_stored(n + 1)
        wait_until(lambda: database.value(f"select max(pid) {writer}") not in (None, seen), "the writer has a new connection")
        daemon.wait_metric("database_up", 1)
        seen = database.value(f"select max(pid) {writer}")
        database.execute(f"select pg_terminate_backend(pid) {writer}")
    daemon.wait_metric("database_up", 1)
    assert 1 <= len(daemon.lines("database: connected to")) < 6
    assert 1 <= len(daemon.lines("database: connection lost")) < 6


def test_the_second_of_two_hosts_is_taken_when_the_first_is_dead(database, daemons, context):
    host = make_conninfo(database.ingest).split("host=")[1].split()[0].strip("'")
    daemon = daemons(make_conninfo(database.ingest, host=f"/nonexistent,{host}")).start()
    Dealer(context, daemon.address()).ask(alert("a-1"))
    database.wait_stored(1)


def test_a_read_only_server_is_not_written_to_and_its_promotion_is_found(database, daemons, context):
    database.alter("set default_transaction_read_only = on")
    daemon = daemons(database.ingest).start()
    dealer = Dealer(context, daemon.address())
    dealer.deliver(alerts(10))
    assert database.stored() == 0 and daemon.metric("quarantined_total") == 0
    database.alter("reset default_transaction_read_only")
    database.disconnect_all()
    daemon.wait_drained()
    database.check(dealer.ledger)
