"""The queue: mobeyectl queue, its metrics, and what status says of it."""
import json
import os
import pty
import re
import signal
import subprocess
import threading

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from harness.alerts import alert, now
from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL
from harness.wait import wait_until

RULES = """
rules:
  - name: panic
    match: {kind: panic}
    incident: {category: alarm, priority: 1, group_by: [device], gap: 4h, overdue: [1s, 2s]}
  - name: default
    incident: {category: alarm, priority: 2, group_by: [device], gap: 4h}
"""


@pytest.fixture
def alarms(daemon, database, dealer):
    """A daemon with a panic of NL-2, which nobody acknowledges, and a motion of NL-1 of team noord."""
    daemon.conf.more = RULES
    daemon.restart()
    database.execute("insert into mobeye.team values ('noord'), ('zuid')")
    database.execute("insert into mobeye.device (device_id) values ('NL-1'); "
                     "insert into mobeye.device_input values ('NL-1', 1, 'Hal')")
    database.execute("insert into mobeye.placement (device_id, during, geom, address, team) values "
                     "('NL-1', tstzrange(now() - interval '1 day', null), 'srid=4326;point(5.38 52.19)', 'Dorpsstraat 1', 'noord')")
    dealer.deliver([alert("a", device="NL-1", input=1, text="Beweging hal"), alert("b", device="NL-2", kind="panic")])
    wait_until(lambda: database.value("select count(*) from patrol.queue") == 2, "both are in the queue")
    return daemon


def mark_overdue(database):
    """As the daemon does every 20 s."""
    def marked():
        database.execute("select mobeye.mark_overdue()")
        return database.value("select count(overdue_since) from patrol.queue") == 1
    wait_until(marked, "the panic is overdue")


def queue(database, *options):
    return mobeyectl("queue", "--db", database.conninfo, *options)


def test_the_queue_is_shown_in_its_order_with_what_happened_and_where(alarms, database):
    done = queue(database)
    assert done.returncode == 0 and not done.stderr and "\033" not in done.stdout
    lines = done.stdout.splitlines()
    assert lines[0].startswith("2 incidents in the queue")
    assert lines[1].split() == ["#", "reference", "prio", "since", "kind", "what", "where", "status"]
    assert "panic" in lines[3] and "motion" in lines[4]
    assert "Beweging hal" in lines[4] and "Dorpsstraat 1" in lines[4]
    assert max(map(len, lines)) <= 120


def test_of_a_team(alarms, database):
    assert "Dorpsstraat" in queue(database, "--team", "noord").stdout
    done = queue(database, "--team", "zuid")
    assert done.stdout.startswith("1 incident in the queue of zuid") and "panic" in done.stdout and "motion" not in done.stdout


def test_as_json(alarms, database):
    rows = json.loads(queue(database, "--json").stdout)
    assert [row["place"] for row in rows] == [1, 2]
    assert rows[1]["text"] == "Beweging hal" and rows[1]["input_label"] == "Hal" and rows[1]["device_id"] == "NL-1"
    assert "geom" not in rows[0] and re.match(r"\d{4}-\d{6}$", rows[0]["reference"])
    database.execute("delete from mobeye.incident")
    assert json.loads(queue(database, "--json").stdout) == []
    assert queue(database).stdout.startswith("0 incidents in the queue")


def test_the_text_is_that_of_the_latest_alert_of_any_device(alarms, database, dealer):
    number = database.value("select incident_id from patrol.queue where kind = 'motion'")
    dealer.deliver([alert("c", device="NL-1", input=2, text="Beweging keuken")])
    wait_until(lambda: database.value("select text from patrol.incidents where incident_id = %s", number) == "Beweging keuken", "it joined")
    assert database.value("select input_label from patrol.incidents where incident_id = %s", number) is None
    # An auditor sees neither.
    database.execute("create role eve login; grant mobeye_auditor to eve")
    try:
        with psycopg.connect(make_conninfo(database.conninfo, user="eve")) as eve:
            assert eve.execute("select text, input_label from patrol.incidents where incident_id = %s", [number]).fetchall() == [(None, None)]
    finally:
        database.execute("drop owned by eve; drop role eve")


SEEN = [
    ({"label": "person", "score": 0.87, "camera_zone": "oprit"}, "person 87 %, oprit"), ({"label": "car"}, "car"),
    ({"score": 0.5, "camera_zone": "oprit"}, "50 %, oprit"), ({"label": "car", "score": 1e300}, "car"), ({"label": "car", "score": "high"}, "car"),
    ({"camera_zone": "oprit"}, "oprit"), ({}, None), (["person"], None), ({"label": "x" * 999}, "x" * 64),
]


def test_of_a_camera_it_is_what_was_recognised(alarms, database, dealer):
    for camera, text in SEEN:
        assert database.value("select mobeye.seen_by_camera(%s)", json.dumps(camera)) == text
    dealer.deliver([alert("c", device="CAM-1", kind="camera", camera=SEEN[0][0])])
    wait_until(lambda: database.value("select count(*) from patrol.queue") == 3, "it is in the queue")
    assert database.value("select text from patrol.queue where device_id = 'CAM-1'") == "person 87 %, oprit"
    assert re.search(r"camera +person 87 %, oprit ", queue(database).stdout)


def test_a_missing_database_is_a_failure(tmp_path):
    done = mobeyectl("queue", "--db", f"host={tmp_path} dbname=none")
    assert done.returncode == 1 and not done.stdout and "cannot connect" in done.stderr


def test_followed_through_a_pipe_it_is_printed_again_after_a_change(alarms, database):
    process = subprocess.Popen([MOBEYECTL, "queue", "--follow", "--json", "--db", database.conninfo],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        first = json.loads(process.stdout.readline())
        number = first[1]["incident_id"]
        database.execute("select patrol.close(%s, 'no_trace')", number)
        # The panic becomes overdue meanwhile, which is a change as well.
        while any(row["incident_id"] == number for row in json.loads(process.stdout.readline())):
            pass
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0 and process.stderr.read() == ""
    finally:
        process.kill()
        process.wait(60)


def test_on_a_terminal_it_is_redrawn_and_what_is_overdue_is_red(alarms, database):
    mark_overdue(database)
    leader, follower = pty.openpty()
    process = subprocess.Popen([MOBEYECTL, "queue", "--follow", "--db", database.conninfo], stdout=follower, env={
        **os.environ, "TERM": "xterm", "NO_COLOR": ""})
    os.close(follower)
    seen = bytearray()

    def read():
        try:
            while data := os.read(leader, 65536):
                seen.extend(data)
        except OSError:
            return  # the terminal's end

    reader = threading.Thread(target=read)
    reader.start()
    try:
        wait_until(lambda: re.search(rb"\033\[1;31m[^\n]*panic[^\n]*OVERDUE[^\n]*\033\[0m", seen), "the panic is red")
        assert b"\033[H\033[2J" in seen
        database.execute("select patrol.acknowledge(incident_id) from patrol.queue where kind = 'panic'")
        wait_until(lambda: re.search(rb"\n1 [^\n]*panic[^\n]*acknowledged[^\n\033]*\r\n", bytes(seen)), "it is neither bold nor red")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(60)
        reader.join(60)
        os.close(leader)


def test_metrics_count_what_waits(alarms, database):
    wait_until(lambda: alarms.metrics().total("queue_overdue") == 1, "a panic that nobody acknowledged is overdue")
    seen = alarms.metrics()
    assert [seen.total("queue_open", priority=str(p)) for p in (1, 2, 3, 4, 5)] == [1, 1, 0, 0, 0]
    assert seen.total("queue_oldest_seconds") > 0
    # Both steps were announced.
    wait_until(lambda: database.value("select max(overdue_step) from patrol.queue") == 2, "the second step has passed")
    wait_until(lambda: database.value("select count(*) from patrol.changes where op = 'overdue'") in (1, 2), "announced")
    database.execute("select patrol.acknowledge(incident_id) from patrol.queue")
    wait_until(lambda: alarms.metrics().total("queue_oldest_seconds") == 0, "nothing waits")
    seen = alarms.metrics()
    assert seen.total("queue_overdue") == 0 and seen.total("queue_open") == 2


def test_status_says_how_many_wait(alarms, database):
    mark_overdue(database)
    done = mobeyectl("status", "-c", alarms.file, "--db", database.conninfo)
    assert re.search(r"^queue +2 open, 1 overdue; the oldest has waited .* to be acknowledged$", done.stdout, re.M), done.stdout
    seen = json.loads(mobeyectl("status", "-c", alarms.file, "--db", database.ingest, "--json").stdout)
    assert seen["queue"]["open"] == 2 and seen["queue"]["overdue"] == 1 and seen["queue"]["oldest_seconds"] >= 0


@pytest.mark.parametrize("verb", ("queue", "status"))
def test_a_locked_table_is_told_and_not_waited_for(alarms, database, verb):
    with psycopg.connect(database.conninfo) as holder:
        holder.execute("lock table mobeye.incident")
        done = mobeyectl(verb, "-c", alarms.file, "--db", database.conninfo)
    assert "lock timeout" in done.stderr


def test_status_does_not_take_a_locked_table_for_one_that_it_may_not_read(alarms, database):
    with psycopg.connect(database.conninfo) as holder:
        holder.execute("lock table mobeye.quarantine")
        done = mobeyectl("status", "-c", alarms.file, "--db", database.conninfo)
    assert "in quarantine: unknown (it could not be read, see the error)" in done.stdout
    assert "mobeye.quarantine" in done.stderr and "migrate" not in done.stdout


def test_a_restore_that_is_repeated_after_a_mute_brings_nothing_back(daemon, database, dealer):
    daemon.conf.more = RULES
    daemon.restart()
    database.execute("insert into mobeye.device (device_id) values ('NL-1')")
    mute = database.value("select patrol.mute('NL-1', now() + interval '1 hour', 'op test')")
    dealer.deliver([alert("a", device="NL-1"), alert("b", device="NL-1", phase="restore")])
    wait_until(lambda: database.value("select count(restored_at) from patrol.incidents") == 1, "it is restored")
    database.execute("select patrol.unmute(%s)", mute)
    for event, phase, queued in (("c", "restore", 0), ("d", "raise", 1), ("e", "restore", 1)):
        dealer.deliver([alert(event, device="NL-1", phase=phase)])
        wait_until(lambda: database.value("select count(*) from patrol.alerts where event_id = %s", event) == 1, "it is stored")
        assert database.value("select count(*) from patrol.queue") == queued, event


def test_a_restore_after_the_gap_and_the_mute_leaves_the_alarm_in_the_queue_and_is_a_change(daemon, database, dealer):
    daemon.conf.more = RULES
    daemon.restart()
    database.execute("insert into mobeye.device (device_id) values ('NL-1')")
    mute = database.value("select patrol.mute('NL-1', now() + interval '1 hour', 'op test')")
    dealer.deliver([{**alert("a", device="NL-1"), "time": now(minutes_ago=300)}])
    wait_until(lambda: database.value("select count(*) from patrol.incidents") == 1, "there is an incident")
    database.execute("select patrol.unmute(%s)", mute)
    assert database.value("select count(*) from patrol.queue") == 1
    last = database.value("select max(entry) from mobeye.change")
    dealer.deliver([alert("b", device="NL-1", phase="restore")])
    wait_until(lambda: database.value("select count(restored_at) from patrol.incidents") == 1, "it is restored")
    assert database.value("select count(*) from patrol.queue") == 1
    assert database.value("select array_agg(op) from mobeye.change where entry > %s", last) == ["alert"]


@pytest.mark.parametrize("later, queued", [((), 0), (("raise",), 1), (("raise", "restore"), 1)])
def test_what_is_raised_in_an_outage_after_the_restore_that_ends_a_mute_is_in_the_queue(cluster, daemon, database, dealer, later, queued):
    daemon.conf.more = RULES
    daemon.restart()
    database.execute("insert into mobeye.device (device_id) values ('NL-1')")
    dealer.deliver([alert("a", device="NL-1")])
    wait_until(lambda: database.value("select count(*) from patrol.queue") == 1, "it is in the queue")
    database.execute("select patrol.mute_until_restored(incident_id, now() + interval '8 hours', 'defect') from patrol.queue")
    assert database.value("select count(*) from patrol.queue") == 0
    cluster.stop()
    dealer.deliver([alert(n, device="NL-1", phase=phase) for n, phase in enumerate(("restore", *later))])
    cluster.start()
    wait_until(lambda: database.value("select count(*) from mobeye.alert") == 2 + len(later), "all are stored")
    assert database.value("select count(*) from patrol.queue") == queued


SHARED = """
rules:
  - name: street
    incident: {category: alarm, priority: 2, group_by: [kind], gap: 10m}
"""


@pytest.mark.parametrize("order", ["abc", "acb"])
def test_a_mute_hides_no_alarm_of_another_device_whose_later_alert_began_another_incident(daemon, database, dealer, order):
    daemon.conf.more = SHARED
    daemon.restart()
    happened = {"a": ("NL-1", 60), "b": ("NL-2", 59), "c": ("NL-2", 0)}
    for event in order:
        device, minutes = happened[event]
        dealer.deliver([{**alert(event, device=device), "time": now(minutes_ago=minutes)}])
    wait_until(lambda: database.value("select count(*) from mobeye.alert") == 3, "all are stored")
    queued = "select array_agg(device_id || alert_count order by incident_id) from patrol.queue"
    assert database.value(queued) == ["NL-12", "NL-21"]
    database.execute("select patrol.mute('NL-1', now() + interval '1 hour', 'op test')")
    assert database.value(queued) == ["NL-12", "NL-21"]
    database.execute("select patrol.mute('NL-2', now() + interval '1 hour', 'op test')")
    assert database.value(queued) is None
    # However many come late, in one batch or several.
    joined = "select count(*) from mobeye.incident_condition where incident_id = 1"
    conditions = database.value(joined)
    for batch in range(2):
        dealer.deliver([{**alert(f"late-{batch}-{n}", device="NL-2"), "time": now(minutes_ago=58)} for n in range(20)])
        wait_until(lambda: database.value("select count(*) from mobeye.alert") == 3 + 20 * (batch + 1), "all are stored")
    assert database.value(joined) == conditions == 2


@pytest.fixture
def shared(daemon, database):
    """NL-1, which stands nowhere, and NL-2, which stands somewhere; their alarms join one incident."""
    daemon.conf.more = SHARED
    daemon.restart()
    database.execute("insert into mobeye.device (device_id) values ('NL-1'), ('NL-2')")
    database.execute("select mobeye.device_place('NL-2', 5.38, 52.19, now() - interval '1 day', address => 'Dorpsstraat 1')")
    daemon.wait_metric("registry_version", database.value("select value from mobeye.counter where name = 'registry'"))
    return daemon


def one_by_one(database, dealer, *messages):
    for message in messages:
        stored = database.value("select count(*) from mobeye.alert")
        dealer.deliver([message])
        wait_until(lambda: database.value("select count(*) from mobeye.alert") == stored + 1, "it is stored")


def mute(database, device):
    return database.value("select patrol.mute(%s, now() + interval '1 hour', 'op test')", device)


def queued(database):
    return database.value("select count(*) from patrol.queue") == 1


def test_an_alarm_that_was_in_the_queue_before_its_device_was_muted_is_there_again_after(shared, database, dealer):
    """Though the device that began the incident had been muted all the time."""
    first = mute(database, "NL-1")
    one_by_one(database, dealer, alert("a", device="NL-1"))
    assert not queued(database)
    one_by_one(database, dealer, alert("b", device="NL-2"))
    assert queued(database)
    second = mute(database, "NL-2")
    assert not queued(database)
    one_by_one(database, dealer, alert("c", device="NL-2", phase="restore"), alert("d", device="NL-1", phase="restore"))
    database.execute("select patrol.unmute(%s), patrol.unmute(%s)", first, second)
    assert queued(database)


@pytest.mark.parametrize("first, second", [("NL-1", "NL-2"), ("NL-2", "NL-1")])
def test_what_is_released_stays_in_the_queue_until_each_device_is_muted_again(shared, database, dealer, first, second):
    one_by_one(database, dealer, alert("a", device="NL-1"), alert("b", device="NL-2"))
    mute(database, first)
    database.execute("select patrol.assign(1, 'wagen 1'); select patrol.release(1)")
    mute(database, second)
    assert queued(database)
    mute(database, first)
    assert not queued(database)


def test_a_device_that_stands_nowhere_is_muted_where_another_one_joined_from_its_home(shared, database, dealer):
    one_by_one(database, dealer, alert("a", device="NL-1"), alert("b", device="NL-2"))
    mute(database, "NL-2")
    assert queued(database)
    mute(database, "NL-1")
    assert not queued(database)


def test_a_legal_hold_brings_back_nothing_that_was_restored_under_a_mute(shared, database, dealer):
    one = mute(database, "NL-1")
    one_by_one(database, dealer, alert("a", device="NL-1"), alert("b", device="NL-1", phase="restore"))
    database.execute("select patrol.unmute(%s), mobeye.hold(1, true, 'aangifte')", one)
    assert not queued(database)
