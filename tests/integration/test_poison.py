"""What the database refuses is quarantined with its bytes and the reason, and holds up nobody."""
import json

import psycopg
import pytest

from harness.alerts import alert
from harness.peers import Dealer
from harness.wait import wait_until

REFUSE = "alter table mobeye.alert add constraint no_poison check (device_id <> 'POISON') not valid"
ALLOW = "alter table mobeye.alert drop constraint no_poison"


@pytest.fixture
def refusing(daemon, dealer, database):
    """The database refuses what the device POISON reports, from a moment on when the daemon is at work with it."""
    dealer.ask(alert("first"))
    database.wait_stored(1)
    database.execute(REFUSE)


def send_mixed(dealer, count=300, every=30):
    """Returns the ids that the database then has and those that it refuses."""
    good, bad = {"first"}, set()
    for n in range(count):
        poison = n % every == 7
        (bad if poison else good).add(f"m-{n}")
        dealer.send(alert(f"m-{n}", device="POISON" if poison else "NL-0307-00042", text=f"tekst {n}"))
    assert [dealer.reply().word for _ in range(count)] == [b"ACK"] * count
    return good, bad


def stored(database):
    return {event for _, event in database.identities()}


def quarantine(daemon, *verb):
    done = daemon.ctl("quarantine", *verb)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_refused_rows_go_to_quarantine_and_the_others_are_stored(refusing, dealer, daemon, database):
    good, bad = send_mixed(dealer)
    daemon.wait_metric("quarantined_total", len(bad))
    daemon.wait_drained()
    assert stored(database) == good
    rows = database.rows("select event_id, sqlstate, reason, record, payload from mobeye.quarantine")
    assert {row[0] for row in rows} == bad
    for event, sqlstate, reason, record, payload in rows:
        assert sqlstate == "23514" and "no_poison" in reason
        assert json.loads(payload)["id"] == event and payload in record
    assert dealer.ask(alert("m-7", device="POISON")).word == b"ACK", "a resend is an ACK too"
    daemon.wait_drained()
    assert database.value("select count(*) from mobeye.quarantine") == len(bad)


def test_retry_stores_what_is_no_longer_refused(refusing, dealer, daemon, database):
    good, bad = send_mixed(dealer, count=60)
    daemon.wait_metric("quarantined_total", len(bad))
    listed = json.loads(quarantine(daemon, "list", "--json"))
    assert {row["event_id"] for row in listed} == bad
    some = next(row for row in listed if row["event_id"] == "m-7")
    assert "no_poison" in quarantine(daemon, "show", str(some["id"]))
    database.execute(ALLOW)
    quarantine(daemon, "retry")
    database.wait_stored(61)
    assert stored(database) == good | bad
    assert database.value("select count(*) from mobeye.quarantine") == 0
    assert dealer.ask(alert("m-7", device="POISON")).word == b"ACK"
    daemon.wait_drained()
    assert database.stored() == 61


def test_discard_removes_it_for_good(refusing, dealer, daemon, database):
    _, bad = send_mixed(dealer, count=30)
    daemon.wait_metric("quarantined_total", 1)
    one = json.loads(quarantine(daemon, "list", "--json"))[0]
    quarantine(daemon, "discard", "--yes", str(one["id"]))
    assert json.loads(quarantine(daemon, "list", "--json")) == []
    assert database.stored() == 30


def test_all_poison_does_not_stop_what_follows(refusing, dealer, daemon, database):
    for n in range(500):
        dealer.send(alert(f"p-{n}", device="POISON"))
    assert [dealer.reply().word for _ in range(500)] == [b"ACK"] * 500
    assert dealer.ask(alert("good")).word == b"ACK"
    database.wait_stored(2)
    daemon.wait_metric("quarantined_total", 500)


def test_a_constraint_that_is_older_than_the_partitions_is_the_same(database, daemons, context):
    database.execute(REFUSE)
    daemon = daemons(database.ingest).start()
    good, bad = send_mixed(Dealer(context, daemon.address()), count=60)
    daemon.wait_metric("quarantined_total", len(bad))
    daemon.wait_drained()
    assert stored(database) == good - {"first"}


def test_a_missing_partition_is_made_not_quarantined(dealer, daemon, database):
    """As after a long pause of maintenance: the partitions are gone when the alerts come."""
    dealer.ask(alert("first"))
    database.wait_stored(1)
    for (table,) in database.rows("""select c.oid::regclass::text from pg_inherits i join pg_class c on c.oid = i.inhrelid
                                     where i.inhparent = 'mobeye.alert_alarm'::regclass"""):
        database.execute(f"drop table {table}")
    assert dealer.ask(alert("early")).word == b"ACK"
    database.wait_stored(1)
    assert daemon.metric("quarantined_total") == 0


def test_a_detached_partition_costs_only_what_falls_into_its_time(dealer, daemon, database):
    """What shares a batch with it and lacks a partition too gets one."""
    dealer.ask(alert("first", kind="battery"))
    database.wait_stored(1)
    with psycopg.connect(database.conninfo) as conn:
        conn.execute("""do $$ declare p record; begin
            for p in select inhrelid::regclass as name, inhparent::regclass as parent from pg_inherits
                      where inhparent in ('mobeye.alert_alarm'::regclass, 'mobeye.alert_camera'::regclass) loop
                execute format('alter table %s detach partition %s', p.parent, p.name);
                if p.parent = 'mobeye.alert_camera'::regclass then execute format('drop table %s', p.name); end if;
            end loop; end $$""")
        conn.execute("lock table mobeye.alert_service")
        assert dealer.ask(alert("before", kind="battery")).word == b"ACK"
        wait_until(lambda: database.value("select count(*) from pg_locks where not granted") > 0, "its batch waits")
        for event, kind in (("lost", "motion"), ("kept", "camera")):
            assert dealer.ask(alert(event, kind=kind)).word == b"ACK"
    daemon.wait_drained()
    assert stored(database) == {"first", "before", "kept"}
    assert database.rows("select event_id from mobeye.quarantine") == [("lost",)]
