"""mobeyectl retention and subject, from outside."""
import json
import os
import pty
import subprocess

import pytest

from harness.paths import MOBEYECTL

HOME = """
insert into mobeye.device (device_id) values ('NL-1');
insert into mobeye.placement (device_id, during, geom, address)
    values ('NL-1', tstzrange('2026-10-01', '2026-10-15'), st_setsrid(st_point(5.38, 52.19), 4326), 'Kerkstraat 1');
select mobeye.make_partitions('alarm', '2026-10-05', '2026-10-06');
insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill,
                          source, event_id, device_id, payload)
    values (0, 2, 0, 0, '2026-10-05', '2026-10-05', 1, 1, 0, false, '/s', 'home', 'NL-1', '{"secret": "in bed"}');
"""


@pytest.fixture
def ctl(database):
    def run(*arguments, stdin=""):
        return subprocess.run([MOBEYECTL, *arguments, "--db", database.conninfo], input=stdin, capture_output=True,
                              text=True, timeout=60)
    return run


def test_what_is_due_is_shown_and_then_erased(database, ctl, daemons):
    daemon = daemons(database.ingest)
    daemon.write(more="retention: {alarm: 10d}\n")
    database.execute(HOME)
    due = ctl("retention", "-c", str(daemon.file), "--dry-run", "--json")
    assert due.returncode == 0, due.stderr
    assert [(row["what"], row["class"], row["rows"]) for row in json.loads(due.stdout) if row["rows"]] == [
        ("alerts", "alarm", 1)]
    assert database.value("select count(*) from mobeye.alert") == 1
    assert ctl("retention", "-c", str(daemon.file)).stdout == "1 row erased\n"
    assert database.value("select count(*) from mobeye.alert") == 0


def test_what_cannot_be_erased_is_told_and_stops_nothing_else(database, ctl, daemons):
    daemon = daemons(database.ingest)
    daemon.write(more="retention: {alarm: 10d}\n")
    database.execute(HOME)
    database.execute("insert into mobeye.quarantine (quarantined_at, reason, record) values (now() - interval '40 days', '', '')")
    database.execute("create view public.hangs_on_it as select * from mobeye.alert_alarm_202610")
    done = ctl("retention", "-c", str(daemon.file))
    assert done.returncode == 1 and done.stdout == "1 row erased\n"
    assert "mobeye.alert_alarm_202610" in done.stderr and "depend" in done.stderr
    assert database.value("select count(*) from mobeye.alert") == 1
    assert database.value("select count(*) from mobeye.quarantine") == 0
    database.execute("drop view public.hangs_on_it")
    assert ctl("retention", "-c", str(daemon.file)).returncode == 0
    assert database.value("select count(*) from mobeye.alert") == 0


def test_a_home_is_exported_erased_and_erased_again(database, ctl):
    database.execute(HOME)
    whose = ("--address", "kerkstraat 1")
    (export,) = json.loads(ctl("subject", "export", *whose).stdout)
    assert export["alerts"][0]["payload"] == {"secret": "in bed"}
    refused = ctl("subject", "erase", *whose)
    assert refused.returncode == 1 and "not a terminal; use --yes to skip the confirmation" in refused.stderr
    assert database.value("select count(*) from mobeye.alert") == 1
    erased = ctl("subject", "erase", "--yes", *whose)
    assert erased.returncode == 0 and "2 rows erased" in erased.stderr
    assert "Kerkstraat" not in erased.stdout and json.loads(erased.stdout)["device_id"] == "NL-1"
    assert database.value("select count(*) from mobeye.alert") == 0
    database.execute("delete from mobeye.erasure; delete from mobeye.device")
    database.execute(HOME)  # as a backup from before has it
    database.execute(f"update mobeye.device set device_uuid = '{json.loads(erased.stdout)['device_uuid']}'")
    again = ctl("subject", "again", "-", stdin=erased.stdout)
    assert again.stdout == "2 rows erased again\n", again.stderr
    assert database.value("select count(*) from mobeye.alert") == 0


def alerts_of(ctl, *period):
    """How many an export has, and what it says."""
    done = ctl("subject", "export", "--device", "NL-1", *period)
    return sum(len(part["alerts"]) for part in json.loads(done.stdout)), done.stderr


@pytest.mark.parametrize("start, end, found", [
    ("05-10-2026", "06-10-2026", 1),  # the day first, as wherever people write times
    ("10-05-2026", "10-06-2026", 0),
    ("5-10-2026 01:59", "05-10-2026 02:01", 1),  # in summer two hours ahead
    ("2026-10-05T00:00:00.000000Z", "2026-10-05T00:00:00.000001Z", 1),
])
def test_the_period_of_a_request_is_read_as_other_times_are(database, ctl, start, end, found):
    database.execute(HOME)
    database.execute(f"alter database {database.name} set timezone to 'Europe/Amsterdam'")
    n, said = alerts_of(ctl, "--from", start, "--until", end)
    assert n == found
    for option, time in ("--from", start), ("--until", end):
        assert (f'mobeyectl subject: note: {option}: "{time}" read as 2026-' in said) == ("Z" not in time)


@pytest.mark.parametrize("time", ["yesterday", "now", "-infinity", "10/05/2026", "2026-10-05 00:00:00 PST", "31-06-2026"])
@pytest.mark.parametrize("option", ["--from", "--until"])
def test_a_period_that_is_read_in_no_one_way_is_refused(database, ctl, option, time):
    database.execute(HOME)
    period = {"--from": "2000-01-01T00:00:00Z", "--until": "2100-01-01T00:00:00Z", option: time}
    for verb in ["export"], ["erase", "--yes"]:
        done = ctl("subject", *verb, "--device", "NL-1", *(word for pair in period.items() for word in pair))
        assert done.returncode == 2 and done.stderr.startswith(f'mobeyectl subject: {option}: "{time}" is not a '), done.stderr
    assert database.value("select count(*) from mobeye.alert") == 1


@pytest.mark.parametrize("subject, named", [
    (["--device", "NL-1", "--from", "05-10-2026", "--until", "06-11-2026 12:00"],
     "device NL-1, from 2026-10-05 00:00:00+0200, until 2026-11-06 12:00:00+0100"),
    (["--address", "kerkstraat 1"], 'the home "kerkstraat 1"'),
    (["--address", "kerkstraat 1", "--device", "NL-1", "--from", "2026-10-01T00:00:00Z"],
     'device NL-1 at "kerkstraat 1", from 2026-10-01 02:00:00+0200'),
])
def test_the_question_names_what_would_be_erased(database, subject, named):
    database.execute(HOME)
    database.execute(f"alter database {database.name} set timezone to 'Europe/Amsterdam'")
    ours, terminal = pty.openpty()
    os.write(ours, b"n\n")
    try:
        done = subprocess.run([MOBEYECTL, "subject", "erase", *subject, "--db", database.conninfo], stdin=terminal,
                              capture_output=True, text=True, timeout=60)
    finally:
        os.close(ours)
        os.close(terminal)
    assert f"Permanently erase all data about {named}? [y/N] " in done.stderr and done.returncode == 1
    assert database.value("select count(*) from mobeye.alert") == 1


@pytest.mark.parametrize("arguments, word", [
    (["export"], "--address"),
    (["erase", "--device", "NL-1"], "--from"),
    (["again"], "FILE"),
    (["again", "--address", "x", "-"], "FILE"),
    (["burn"], "export"),
    ([], "export"),
])
def test_a_request_without_a_subject_is_refused(ctl, arguments, word):
    done = ctl("subject", *arguments)
    assert done.returncode == 2 and word in done.stderr
