"""mobeyectl status: what it knows of the daemon, of the database, and of neither."""
import json

from harness.alerts import alerts
from harness.daemon import mobeyectl
from harness.wait import wait_until

REPORTED = """insert into mobeye.device_status (device_id, registered, first_received_at, last_received_at, last_occurred_at,
    endpoint, source, kind, silent_since) values (%s, true, now(), now() - interval '3 hours', now(), 'door', '/me', 'motion', %s)
    on conflict (device_id) do update set endpoint = excluded.endpoint, last_received_at = excluded.last_received_at,
        silent_since = excluded.silent_since"""


def status(daemon, conninfo):
    done = mobeyectl("status", "-c", daemon.file, "--db", str(conninfo), "--json")
    return json.loads(done.stdout)


def test_silent_devices_and_new_rules_are_told(daemon, database):
    database.execute(REPORTED, "NL-1", "2026-11-23 21:00:00+00")
    database.execute(REPORTED, "NL-2", None)
    # The daemon puts its own there, once it is connected.
    wait_until(lambda: database.value("select count(*) from mobeye.rule_file") > 0, "the rules are in the database")
    database.execute("update mobeye.rule_file set applied_at = now() - interval '2 days'")
    seen = status(daemon, database.conninfo)
    assert seen["ok"] and seen["database"]["silent"] == 1
    assert 172800 <= seen["database"]["rules_changed_seconds_ago"] < 180000
    shown = mobeyectl("status", "-c", daemon.file, "--db", database.conninfo).stdout
    assert "1 silent" in shown and "last changed 2 d" in shown


def test_what_the_role_may_not_read_is_not_known_and_no_failure(daemon, database):
    database.execute("revoke all on mobeye.device_status, mobeye.rule_file from mobeye_ingest")
    done = daemon.ctl("status")
    assert done.returncode == 0 and not done.stderr
    assert "unknown to this role: silent" in done.stdout
    seen = status(daemon, database.ingest)
    assert seen["ok"] and seen["database"]["silent"] is None


def test_the_last_message_outlives_the_daemon(daemon, database, dealer):
    dealer.deliver(alerts(3))
    daemon.wait_drained()
    database.execute(REPORTED, "NL-1", None)
    database.execute("update mobeye.device_status set last_received_at = now() - interval '3 hours'")
    assert status(daemon, database.conninfo)["endpoints"][0]["last_received"] > 0
    daemon.stop()
    done = mobeyectl("status", "-c", daemon.file, "--db", database.conninfo)
    assert done.returncode == 1 and "3 h 0 min ago" in done.stdout.split("door")[1]
    daemon.start()
    # Nothing has come since it started: it is the database that remembers.
    assert status(daemon, database.conninfo)["endpoints"][0]["last_received"] > 0
