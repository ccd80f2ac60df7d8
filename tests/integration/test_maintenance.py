"""What the daemon does without being triggered: silence, retention; one daemon of several."""
import json
import re

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from harness.alerts import alert
from harness.peers import Dealer
from harness.wait import wait_until

PLACED = """
insert into mobeye.device (device_id, heartbeat, registered_at) values ('NL-1', '1 hour', now() - interval '3 days');
insert into mobeye.placement (device_id, during, geom)
    values ('NL-1', tstzrange(now() - interval '2 days', null), st_setsrid(st_point(5.38, 52.19), 4326));
insert into mobeye.daemon values (gen_random_uuid(), 'gone', now() - interval '2 hours', now() - interval '2 hours',
                                  now() - interval '5 days', now() - interval '2 hours');
"""

LEADERS = """select count(*) from mobeye.leader l
             join pg_stat_activity a on a.pid = l.pid and a.backend_start = l.backend_start"""

STATUS = "select status, outcome, device_id from mobeye.incident where kind = 'comms' order by incident_id"


def never_a_gap(database, daemon):
    """As if the daemon had run for days: what it reports at its start is not an ingest gap."""
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
    wait_until(lambda: database.rows("select op from mobeye.change where change_id is not null order by change_id")
               == [("new",), ("status",)], "the changes are numbered")


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
    database.disconnect_all()  # the next cycle begins with the next connection
    wait_until(lambda: database.rows(STATUS) == [("closed", "restored", None)], "the endpoint is heard again")


def test_an_endpoint_that_falls_silent_and_speaks_again_needs_no_cycle_of_maintenance(database, daemons, context):
    daemon = daemons(database.ingest)
    daemon.conf.set(endpoints=[daemon.conf.endpoint("door", expect_every="2s")])
    daemon.start()
    wait_until(lambda: database.rows(STATUS) == [("new", None, None)], "the endpoint is silent")
    assert Dealer(context, daemon.address()).ask(alert("back")).word == b"ACK"
    wait_until(lambda: database.rows(STATUS)[0] == ("closed", "restored", None), "the endpoint is heard again")


def test_what_is_past_its_time_is_erased(database, daemons):
    database.execute("select mobeye.make_partitions('camera', now() - interval '40 days', now() - interval '39 days')")
    old = "select count(*) from mobeye.partitions_of('camera') where lower_end < now() - interval '28 days'"
    assert database.value(old) > 0
    daemons(database.ingest).start()
    wait_until(lambda: database.value(old) == 0, "old partitions are gone")


def test_who_changes_areas_does_not_wait_for_the_daemon_that_looks_after_it_all(database, daemons):
    daemons(database.ingest).start()
    wait_until(lambda: database.value(LEADERS) == 1, "it leads")
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
    database.disconnect_all()  # the next cycle begins with the next connection
    wait_until(lambda: database.rows(STATUS) == [("new", None, "NL-1")], "the device is silent")
    keepalive(2, "NL-2")
    keepalive(2, "NL-1")
    wait_until(lambda: database.rows(STATUS) == [("closed", "restored", "NL-1")], "the device is heard again")
    assert database.value("select alerts from mobeye.device_status where device_id = 'NL-2'") == 1


def test_no_login_keeps_the_daemon_from_leading(database, daemons):
    database.execute("drop role if exists somebody; create role somebody login")
    with psycopg.connect(make_conninfo(database.conninfo, user="somebody"), autocommit=True) as somebody:
        for number in range(1, 10):
            somebody.execute("select pg_advisory_lock(1297039941, %s)", [number])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            somebody.execute("select from mobeye.leader for update")
        daemons(database.ingest).start()
        wait_until(lambda: database.value(LEADERS) == 1, "it leads")
    database.execute("drop role somebody")


UNLED = "update mobeye.leader set pid = %s, backend_start = (select backend_start from pg_stat_activity where pid = %s), since = now() - interval '6 minutes'"


def test_a_leader_that_does_nothing_is_warned_of(database, daemons):
    with psycopg.connect(database.ingest, autocommit=True) as hung:
        pid = hung.info.backend_pid
        database.execute(UNLED, pid, pid)
        daemon = daemons(database.ingest).start()
        daemon.wait_log("warning.* maintenance: no daemon has run maintenance for 5 minutes")
        assert database.value("select pid from mobeye.leader") == pid
    database.disconnect_all()  # the next cycle begins with the next connection
    daemon.wait_log("maintenance: maintenance is running again")


def test_a_lead_that_cannot_be_taken_is_warned_of(database, daemons):
    database.execute(UNLED, None, None)
    with psycopg.connect(database.conninfo) as owner:
        owner.execute("select from mobeye.leader for update")
        daemon = daemons(database.ingest).start()
        daemon.wait_log("warning.* maintenance: no daemon has run maintenance for 5 minutes")
    database.disconnect_all()
    daemon.wait_log("maintenance: maintenance is running again")


def test_two_daemons_take_it_in_turns(database, daemons):
    first = daemons(database.ingest, instance="one").start()
    wait_until(lambda: database.value(LEADERS) == 1, "one leads")
    leader = database.value("select pid from mobeye.leader")
    second = daemons(database.ingest, instance="two").start()
    wait_until(lambda: database.value("select count(*) from mobeye.daemon") == 2, "both report")
    assert database.value("select pid from mobeye.leader") == leader
    first.kill()
    # The other one may lead at once.
    wait_until(lambda: database.value("select count(*) from pg_stat_activity where pid = %s", leader) == 0, "it leads no more")
    assert second.running()


STUCK = """
select mobeye.make_partitions('camera', now() - interval '30 days', now() - interval '30 days' + interval '1 minute');
insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, stored_at, journal_seq, origin,
                          flags, drill, source, event_id, device_id, payload)
    select 1, 10, 0, 0, at, at, at, 1, 1, 0, false, '/s', 'old', 'NL-1', '{}'
      from (select now() - interval '30 days' as at) as t;
select mobeye.make_partitions('service', now() - interval '200 days', now() - interval '199 days');
do $$ begin execute format('create view public.hangs_on_it as select * from %s',
                           (select tableoid::regclass from mobeye.alert where event_id = 'old')); end $$
"""
OLD_SERVICE = "select count(*) from mobeye.partitions_of('service') where upper_end < now() - interval '90 days'"


def ended(daemon, job):
    """(when it last succeeded, how often it failed here) by the daemon's metrics."""
    metrics = daemon.metrics()
    return (metrics.total("maintenance_last_success_timestamp_seconds", job=job), metrics.total("maintenance_failures_total", job=job))


def test_retention_goes_on_when_the_planner_has_statistics_of_the_catalogs(database, daemons):
    database.execute("select mobeye.premake_partitions()")
    database.execute("analyze")
    daemon = daemons(database.ingest).start()
    for job in ("camera", "alarm", "service", "incident", "quarantine", "devices", "identities"):
        wait_until(lambda: ended(daemon, f"retention_{job}")[0] > 0, f"retention of {job} succeeded")
        assert ended(daemon, f"retention_{job}")[1] == 0
    wait_until(lambda: ended(daemon, "retention")[0] > 0, "nothing is overdue")
    assert ended(daemon, "retention")[1] == 0


def test_a_class_that_is_a_day_overdue_is_an_error_and_stops_no_other(database, daemons):
    database.execute(STUCK)
    daemon = daemons(database.ingest).start()
    line, = daemon.wait_log(r"error.* retention: camera: 1 rows should have been erased up to \d+ hours ago")
    assert "expected less than 24" in line
    assert daemon.lines(r"warning.* retention_camera: mobeye\.alert_camera_\d+: .*depend")
    wait_until(lambda: ended(daemon, "purge")[0] > 0, "the cycle is over")
    assert ended(daemon, "retention_camera") == (0, 1) and ended(daemon, "retention") == (0, 1)
    assert ended(daemon, "retention_service")[0] > 0 and database.value(OLD_SERVICE) == 0
    seen = json.loads(daemon.ctl("status", "--json").stdout)["maintenance"]
    assert {job["job"] for job in seen if not job["ok"]} == {"retention", "retention_camera"}
    shown = daemon.ctl("status").stdout
    assert f"maintenance  {len(seen) - 2} of {len(seen)} jobs done in time" in shown and "retention_camera FAILED: mobeye.alert_camera_" in shown
    found = {(one["level"], one["text"].split(" ")[0]) for one in map(json.loads, daemon.ctl("doctor", "--json").stdout.splitlines())
             if one["check"] == "maintenance"}
    assert {("problem", "retention"), ("warning", "retention_camera"), ("ok", str(len(seen) - 2))} == found
    database.execute("drop view public.hangs_on_it")
    daemon.restart()
    wait_until(lambda: ended(daemon, "retention")[0] > 0 and ended(daemon, "retention_camera")[0] > 0, "it is erased")
    assert database.value("select count(*) from mobeye.alert") == 0
    shown = daemon.ctl("status").stdout
    assert f"maintenance  {len(seen)} of {len(seen)} jobs done in time; retention last succeeded 0 s ago" in re.sub(r"\d+ s ago$", "0 s ago", shown, flags=re.M)


def test_a_job_that_fails_stops_no_other_and_is_told_once_it_goes_on(database, daemons):
    kept = database.value("select pg_get_functiondef('mobeye.mark_overdue()'::regprocedure)")
    database.execute("create or replace function mobeye.mark_overdue() returns bigint language plpgsql as"
                     " $$ begin raise 'sabotage'; end $$")
    daemon = daemons(database.ingest).start()
    daemon.wait_log(r"warning.* overdue: sabotage")
    wait_until(lambda: ended(daemon, "mutes")[0] > 0, "the cycle is over")
    success, failures = ended(daemon, "overdue")
    assert success == 0 and failures > 0
    for job in ("silent_endpoints", "silent_devices", "device_states", "unattended", "retention", "purge"):
        success, failures = ended(daemon, job)
        assert success > 0 and failures == 0, job
    assert not daemon.lines("goes on")
    database.execute(kept)
    database.disconnect_all()  # the next cycle begins with the next connection
    daemon.wait_log("overdue: succeeded again")
    wait_until(lambda: ended(daemon, "overdue")[0] > 0, "it succeeded")


def test_a_job_that_nobody_did_for_a_day_is_an_error(database, daemons):
    database.execute(STUCK)
    database.execute("insert into mobeye.maintenance values ('retention_camera', '1 hour', now() - interval '9 days', now() - interval '25 hours')")
    daemon = daemons(database.ingest).start()
    daemon.wait_log("retention_camera: ")
    wait_until(lambda: ended(daemon, "purge")[0] > 0, "the cycle is over")
    assert ended(daemon, "retention_camera")[0] > 0  # the last success is that of any daemon
    daemon.restart()
    daemon.wait_log(r"error.* retention_camera: .*; it has not succeeded for a day")


def test_a_daemon_that_does_not_lead_knows_when_the_jobs_last_succeeded(database, daemons):
    first = daemons(database.ingest, instance="one").start()
    wait_until(lambda: ended(first, "purge")[0] > 0, "a cycle is over")
    second = daemons(database.ingest, instance="two").start()
    wait_until(lambda: ended(second, "purge") == ended(first, "purge"), "both know")
