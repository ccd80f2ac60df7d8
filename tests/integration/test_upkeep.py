"""What the daemon looks after by itself: silence, retention; one daemon of several."""
import psycopg

from harness.alerts import alert
from harness.peers import Dealer
from harness.wait import wait_until

PLACED = """
insert into mobeye.device (device_id, heartbeat, registered_at) values ('NL-1', '1 hour', now() - interval '3 days');
insert into mobeye.placement (device_id, during, geom)
    values ('NL-1', tstzrange(now() - interval '2 days', null), st_setsrid(st_point(5.38, 52.19), 4326));
insert into mobeye.daemon values (gen_random_uuid(), 'gone', now() - interval '2 hours', now() - interval '2 hours',
                                  now() - interval '5 days');
"""

STATUS = "select status, outcome, device_id from mobeye.incident where kind = 'comms' order by incident_id"


def never_a_gap(database, daemon):
    """As if the daemon had run for days: what it reports at its start is no time in which nothing was taken."""
    wait_until(lambda: database.value("select count(*) from mobeye.daemon where instance = %s", daemon.conf.instance),
               "the daemon reports")
    database.execute("update mobeye.daemon set gap_until = now() - interval '5 days'")


def test_a_silent_device_is_one_incident_until_its_next_alert(database, daemons, context):
    daemon = daemons(database.ingest).start()
    never_a_gap(database, daemon)
    daemon.stop()
    database.execute(PLACED)
    daemon.start()
    wait_until(lambda: database.rows(STATUS) == [("new", None, "NL-1")], "the device is silent")
    assert Dealer(context, daemon.address()).ask(alert("back", device="NL-1", kind="keepalive")).word == b"ACK"
    wait_until(lambda: database.rows(STATUS) == [("closed", "restored", "NL-1")], "the device is heard again")
    ops = [row[0] for row in database.rows("select op from mobeye.change order by change_id")]
    assert ops == ["new", "status"]


def test_a_silent_endpoint_is_one_incident_until_its_next_message(database, daemons, context):
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door", expect_every="26h")])
    daemon.start()
    never_a_gap(database, daemon)
    database.execute("update mobeye.endpoint_status set since = now() - interval '27 hours'")
    daemon.stop()
    daemon.start()
    wait_until(lambda: database.rows(STATUS) == [("new", None, None)], "the endpoint is silent")
    assert Dealer(context, daemon.address()).ask(alert("back")).word == b"ACK"
    daemon.stop()
    daemon.start()
    Dealer(context, daemon.address()).ask(alert("again"))
    database.disconnect_all()  # the next round begins with the next connection
    wait_until(lambda: database.rows(STATUS) == [("closed", "restored", None)], "the endpoint is heard again")


def test_an_endpoint_that_falls_silent_and_speaks_again_needs_no_round_of_upkeep(database, daemons, context):
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door", expect_every="2s")])
    daemon.start()
    wait_until(lambda: database.rows(STATUS) == [("new", None, None)], "the endpoint is silent")
    assert Dealer(context, daemon.address()).ask(alert("back")).word == b"ACK"
    wait_until(lambda: database.rows(STATUS)[0] == ("closed", "restored", None), "the endpoint is heard again")


def test_what_is_past_its_time_is_erased(database, daemons):
    database.execute("select mobeye.make_partitions('camera', now() - interval '40 days', now() - interval '39 days')")
    before = database.value("select count(*) from mobeye.partitions_before('camera', now() - interval '35 days')")
    assert before > 0
    daemons(database.ingest).start()
    wait_until(lambda: database.value("select count(*) from mobeye.partitions_before('camera', now() - interval '35 days')")
               == 0, "old partitions are gone")


def test_who_changes_areas_does_not_wait_for_the_daemon_that_looks_after_it_all(database, daemons):
    daemons(database.ingest).start()
    wait_until(lambda: database.value("select count(*) from pg_locks where locktype = 'advisory'") == 1, "it leads")
    with psycopg.connect(database.conninfo, autocommit=True) as staff:
        staff.execute("set lock_timeout = '10s'")
        staff.execute("insert into mobeye.area (layer, code, name, geom) values"
                      " ('wijk', 'W1', 'W1', 'SRID=4326;POLYGON((5 52, 6 52, 6 53, 5 52))')")


def test_a_device_that_was_missed_is_back_at_once(database, daemons, context):
    """Within the minute in which nothing else is noted of it."""
    daemon = daemons(database.ingest).start()
    never_a_gap(database, daemon)
    database.execute(PLACED)
    dealer = Dealer(context, daemon.address())

    def keepalive(number, device):
        assert dealer.ask(alert(f"{number}-{device}", device=device, kind="keepalive")).word == b"ACK"

    keepalive(1, "NL-1")
    keepalive(1, "NL-2")
    wait_until(lambda: database.value("select count(*) from mobeye.device_status") == 2, "both are noted")
    database.execute("update mobeye.device_status set last_received_at = now() - interval '4 hours'")
    database.execute("update mobeye.alert set received_at = now() - interval '5 hours'")
    database.disconnect_all()  # the next round begins with the next connection
    wait_until(lambda: database.rows(STATUS) == [("new", None, "NL-1")], "the device is silent")
    keepalive(2, "NL-2")
    keepalive(2, "NL-1")
    wait_until(lambda: database.rows(STATUS) == [("closed", "restored", "NL-1")], "the device is heard again")
    assert database.value("select alerts from mobeye.device_status where device_id = 'NL-2'") == 1


def test_two_daemons_take_it_in_turns(database, daemons):
    holders = "select count(*) from pg_locks where locktype = 'advisory' and classid = 1297039941 and objid = 4"
    first = daemons(database.ingest, instance="one").start()
    wait_until(lambda: database.value(holders) == 1, "one has the lock")
    second = daemons(database.ingest, instance="two").start()
    wait_until(lambda: database.value("select count(*) from mobeye.daemon") == 2, "both report")
    assert database.value(holders) == 1
    first.kill()
    wait_until(lambda: database.value(holders) == 0, "the lock went with its session")
    assert second.running()
