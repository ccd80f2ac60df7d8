"""What helps people who write rules: explain, replay, apply."""
import json
import os
import re
import shutil
import socket

import pytest

from harness.alerts import alert
from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL, free_port
from harness.peers import Dealer
from harness.wait import wait_until

# Two inputs, an hour apart; two rules that group them otherwise.
BY_DEVICE = """
timezone: Europe/Amsterdam
rules:
  - name: power
    match: {kind: power}
    incident: {category: service, priority: 4, group_by: [device, kind], gap: 24h}
  - name: rest
    incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m}
"""
BY_INPUT = """
timezone: Europe/Amsterdam
rules:
  - name: no-power
    match: {kind: power}
    action: store
  - name: each-input
    incident: {category: alarm, priority: 1, group_by: [device, input], gap: 4h30m}
"""


def stored(daemons, database, context):
    """A daemon that has stored two motions and a power failure."""
    daemon = daemons(database.ingest, more=BY_DEVICE).start()
    dealer = Dealer(context, daemon.address())
    dealer.ask(alert("one", input=1))
    dealer.ask(alert("two", input=2))
    dealer.ask(alert("three", kind="power"))
    database.wait_stored(3)
    return daemon


def rules_file(daemon, tmp_path, text, name="other.yaml"):
    file = tmp_path / name
    file.write_text(daemon.conf.text().replace(BY_DEVICE, text))
    return file


def test_an_alert_is_explained_rule_by_rule(daemons, database, context, tmp_path):
    daemon = stored(daemons, database, context)
    file = tmp_path / "alert.json"
    file.write_text(json.dumps(alert("four", input=3)))
    done = daemon.ctl("explain", "--json", "--db", database.conninfo, file)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["rule"], said["category"], said["priority"]) == ("rest", "alarm", 2)
    assert [(rule["rule"], rule["matches"]) for rule in said["rules"]] == [("power", False), ("rest", True)]
    assert "motion" in said["rules"][0]["why"]
    incident, key = database.rows("select incident_id, incident_key::text from mobeye.incident where kind = 'motion'")[0]
    assert said["key"] == key
    assert str(incident) in said["joins"]


def test_an_incident_is_explained_by_the_alert_that_began_it(daemons, database, context):
    daemon = stored(daemons, database, context)
    incident = database.value("select incident_id from mobeye.incident where kind = 'power'")
    done = daemon.ctl("explain", "--json", "--db", database.conninfo, "--incident", str(incident))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["kind"], said["rule"], said["priority"]) == ("power", "power", 4)
    assert daemon.ctl("explain", "--db", database.conninfo, "--incident", "999").returncode == 1
    for nonsense in "abc", "", "1 2", "99999999999999999999":
        done = daemon.ctl("explain", "--db", database.conninfo, "--incident", nonsense)
        assert done.returncode == 2 and (f"--incident {nonsense}: not an incident (expected a number, or a reference such as "
                                         "2026-004711)") in done.stderr, done.stderr


RAISING = """
timezone: Europe/Amsterdam
rules:
  - {name: urgent, match: {kind: panic}, incident: {category: alarm, priority: 1, group_by: [device], gap: 4h}}
  - {name: rest, incident: {category: alarm, priority: 3, group_by: [device], gap: 4h, verify_by: {within: 5m, radius: 150m, priority: 2}}}
"""


def test_what_raised_the_priority_of_an_incident_is_explained(daemons, database, context):
    daemon = daemons(database.ingest, more=RAISING).start()
    dealer = Dealer(context, daemon.address())

    def explained(device, *more):
        done = daemon.ctl("explain", "--db", database.conninfo, "--incident", str(database.value(
            "select incident_id from mobeye.incident where device_id = %s", device)), *more)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def near(device, event, **more):
        return alert(event, device=device, location={"type": "Point", "coordinates": [5.38, 52.19]}, **more)
    dealer.deliver([alert("quiet", device="NL-0")])
    dealer.deliver([alert("a", device="NL-1", input=1)])
    dealer.deliver([alert("b", device="NL-1", input=2)])
    dealer.deliver([near("NL-2", "c")])
    dealer.deliver([near("NL-3", "d", kind="intrusion")])
    dealer.deliver([alert("e", device="NL-4", input=7)])
    dealer.deliver([alert("f", device="NL-4", kind="panic")])
    wait_until(lambda: database.value("select count(*) from mobeye.incident where verified_by is not null") == 3, "three are verified")
    assert "verified" not in explained("NL-0") and "raised" not in explained("NL-0")
    assert re.search(r"^verified +second_input: motion of NL-1 input 2 at \d\d:\d\d:\d\d, \d+ s after motion of NL-1 input 1\n"
                     r"raised +from 3 to 2 by the verification \(verify_by of rule rest\)$", explained("NL-1"), re.M)
    assert re.search(r"^verified +second_device: intrusion of NL-3 at [0-9:]+, \d+ s after motion of NL-2$", explained("NL-2"), re.M)
    assert re.search(r"^raised +from 3 to 1 by panic of NL-4 at [0-9:]+ \(rule urgent\)$", explained("NL-4"), re.M), explained("NL-4")
    database.execute("select patrol.verify(incident_id, 'person') from patrol.incidents where device_id = 'NL-0'")
    database.execute("update mobeye.incident set rule = 'urgent', priority = 1 where device_id = 'NL-3'")
    assert re.search(r"^priority +3\nstored +by rule urgent, priority 1; rules, areas or placements have changed since\nverified ", explained("NL-3"), re.M)
    assert "raised" not in explained("NL-3")
    person = json.loads(explained("NL-0", "--json"))
    assert re.fullmatch(r"person: \S+ at [0-9:]+", person["verified"]) and person["priority"] == 3


def test_a_login_that_does_not_see_incidents_is_told_so(daemons, database, context, tmp_path):
    daemon = stored(daemons, database, context)
    file = tmp_path / "alert.json"
    file.write_text(json.dumps(alert("five", kind="power")))
    done = daemon.ctl("explain", "--json", "--db", database.ingest, file)  # as the daemon
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["team"].startswith("unknown: ")
    for refused in (daemon.ctl("explain", "--incident", "1", "--db", database.ingest),
                    daemon.ctl("replay", "--since", "1h", "--db", database.ingest)):
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "mobeye_owner: --db CONNINFO" in refused.stderr


MISSPELLED = """
rules:
  - {name: quiet, match: {kind: power}, action: store}
  - {name: rest, incident: {category: alarm, priority: 2, group_by: [device], gap: 4h, team: Noort}}
"""


def test_a_team_that_a_rule_misspells_is_named(daemons, database, context, tmp_path):
    """Its incidents have the team of their place: that is what explain says, and why."""
    database.execute("insert into mobeye.team values ('noord'), ('wolk')")
    database.execute("insert into mobeye.device (device_id) values ('NL-1')")
    database.execute("insert into mobeye.placement (device_id, geom, team) values ('NL-1', 'srid=4326;point(5.38 52.19)', 'wolk')")
    daemon = daemons(database.ingest, more=MISSPELLED).start()
    Dealer(context, daemon.address()).deliver([alert("one", device="NL-1")])
    (stored_team,), = wait_until(lambda: database.rows("select team from patrol.incidents"), "the incident")
    wrong = "rule rest names team Noort, which does not exist (did you mean noord?): "
    file = tmp_path / "alert.json"

    def explained(conninfo, kind="motion"):
        file.write_text(json.dumps(alert("two", device="NL-1", kind=kind)))
        done = daemon.ctl("explain", "--json", "--db", conninfo, file)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
    for conninfo in database.conninfo, database.ingest:
        assert (explained(conninfo)["team"], explained(conninfo)["warning"]) == (
            stored_team, wrong + "the incident gets the team of its place")
    assert "warning" not in explained(database.conninfo, "power")
    assert re.search(f"^warning +{re.escape(wrong)}", daemon.ctl("explain", "--db", database.conninfo, "--incident", "1").stdout, re.M)
    said = wrong + "its incidents get the team of their place"
    assert f"mobeyectl replay: {said}\n" in daemon.ctl("replay", "--since", "1h", "--db", database.conninfo).stderr
    assert wrong in daemon.ctl("doctor", "--db", database.conninfo).stdout
    target = tmp_path / "target.yaml"
    for text, told in (daemon.conf.text(), True), (daemon.conf.text().replace("Noort", "noord"), False):
        new = tmp_path / "new.yaml"
        new.write_text(text)
        done = mobeyectl("apply", "-c", target, "--unit", "none", "--yes", "--db", database.conninfo, new)
        assert done.returncode == 0 and (f"mobeyectl apply: {said}\n" in done.stderr) == told, done.stderr


def test_what_the_daemon_would_warn_of_is_shown_before_it_is_applied(daemons, database, tmp_path):
    daemon = daemons(database.ingest)
    daemon.write(more="""
rules:
  - {name: all, action: store}
  - {name: hidden, match: {kind: panic}, action: store}
""")
    done = mobeyectl("apply", "-c", tmp_path / "target.yaml", "--unit", "none", "--yes", "--no-replay", daemon.file)
    assert done.returncode == 0 and re.search(r"mobeyed.yaml:\d+:\d+: warning: rules.hidden", done.stderr), done.stderr


def test_without_a_database_an_alert_is_explained_all_the_same(daemons, database, tmp_path):
    daemon = daemons(database.ingest, more=BY_DEVICE)
    daemon.write()
    file = tmp_path / "alert.json"
    file.write_text(json.dumps(alert("four", kind="power")))
    done = daemon.ctl("explain", "--db", f"host={tmp_path}", file)
    assert done.returncode == 0
    assert "-> power" in done.stdout and "unknown: no database" in done.stdout
    file.write_text("{}")
    assert daemon.ctl("explain", "--db", f"host={tmp_path}", file).returncode == 1


def test_the_same_rules_would_have_made_the_same(daemons, database, context):
    daemon = stored(daemons, database, context)
    done = daemon.ctl("replay", "--json", "--since", "1h", "--db", database.conninfo)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["alerts"], said["stored"], said["same"], said["changes"]) == (3, 2, 2, [])


def test_other_rules_gain_lose_and_change_priority(daemons, database, context, tmp_path):
    database.execute("alter sequence mobeye.incident_id restart 1234567")
    daemon = stored(daemons, database, context)
    before = database.rows("select * from mobeye.incident order by 1")
    done = mobeyectl("replay", "-c", rules_file(daemon, tmp_path, BY_INPUT), "--json", "--db", database.conninfo)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["same"], said["gained"], said["lost"], said["more_urgent"]) == (1, 1, 1, 1)
    assert {(change["change"], change["rule"]) for change in said["changes"]} == {
        ("more urgent", "each-input"), ("gained", "each-input"), ("lost", "power")}
    assert database.rows("select * from mobeye.incident order by 1") == before
    table = mobeyectl("replay", "-c", rules_file(daemon, tmp_path, BY_INPUT), "--db", database.conninfo)
    assert "1 gained, 1 lost, 1 more urgent" in table.stdout and "2 -> 1" in table.stdout
    for reference, in database.rows("select reference from mobeye.incident"):
        assert f" {reference} " in table.stdout


def test_what_a_person_closed_is_closed_in_the_replay_too(daemons, database, context):
    daemon = stored(daemons, database, context)
    database.execute("update mobeye.incident set status = 'closed', accepting = false, closed_at = now(), "
                     "closed_by_person = true, outcome = 'no_trace' where kind = 'motion'")
    Dealer(context, daemon.address()).ask(alert("four", input=1))
    database.wait_stored(4)
    said = json.loads(daemon.ctl("replay", "--json", "--db", database.conninfo).stdout)
    assert (said["stored"], said["same"], said["changes"]) == (3, 3, [])


def test_rules_are_applied_in_one_step_and_undone(daemons, database, context, tmp_path):
    daemon = stored(daemons, database, context)
    target, other = tmp_path / "mobeyed.yaml", rules_file(daemon, tmp_path, BY_INPUT)
    target.write_text(daemon.conf.text())
    target.chmod(0o640)
    before = target.read_text()

    def apply(*arguments):
        return mobeyectl("apply", "-c", target, "--unit", "none", "--db", database.conninfo, *arguments, input="")

    asked = apply(other)
    assert asked.returncode == 1 and "--yes" in asked.stderr
    assert target.read_text() == before, "nobody said yes"
    done = apply("--yes", other)
    assert done.returncode == 0, done.stderr
    assert "1 gained, 1 lost" in done.stderr
    assert target.read_text() == other.read_text() and target.stat().st_mode & 0o777 == 0o640
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mobeyed.yaml", "mobeyed.yaml.previous", "other.yaml"]
    assert apply("--yes", "--undo").returncode == 0
    assert target.read_text() == before
    assert apply("--yes", "--undo").returncode == 0
    assert target.read_text() == other.read_text(), "the two are exchanged"


def test_a_file_that_was_edited_in_place_leaves_the_previous_one(daemons, database, tmp_path):
    daemon = daemons(database.ingest)
    daemon.write()
    target, previous = tmp_path / "mobeyed.yaml", tmp_path / "mobeyed.yaml.previous"
    target.write_text(daemon.file.read_text() + "# edited\n")
    previous.write_text(daemon.file.read_text())
    options = "-c", target, "--unit", "none", "--yes", "--no-replay"
    done = mobeyectl("apply", *options, target)
    assert done.returncode == 0 and previous.read_text() == daemon.file.read_text(), done.stderr
    done = mobeyectl("apply", *options, "--undo")
    assert done.returncode == 0 and target.read_text() == daemon.file.read_text(), done.stderr


def test_without_a_replay_nothing_is_applied(daemons, database, context, tmp_path):
    """No database, and one that does not show what happened."""
    daemon = stored(daemons, database, context)
    target, other = tmp_path / "mobeyed.yaml", rules_file(daemon, tmp_path, BY_INPUT)
    target.write_text(daemon.conf.text())
    before = target.read_text()
    for db in f"host={tmp_path}", database.ingest:
        for what in [other], ["--undo"]:
            shutil.copy(other, tmp_path / "mobeyed.yaml.previous")
            done = mobeyectl("apply", "-c", target, "--unit", "none", "--yes", "--db", db, *what)
            assert done.returncode == 1 and "--no-replay" in done.stderr, done.stderr
            assert target.read_text() == before
    done = mobeyectl("apply", "-c", target, "--unit", "none", "--yes", "--db", f"host={tmp_path}", "--no-replay", other)
    assert done.returncode == 0 and target.read_text() == other.read_text(), done.stderr


def test_a_bad_file_is_not_applied(daemons, database, tmp_path):
    daemon = daemons(database.ingest, more=BY_DEVICE)
    daemon.write()
    bad = rules_file(daemon, tmp_path, BY_DEVICE.replace("priority: 2", "priority: 9"))
    target = tmp_path / "mobeyed.yaml"
    target.write_text("as it was")
    done = mobeyectl("apply", "-c", target, "--unit", "none", "--yes", bad)
    assert done.returncode == 1 and "priority" in done.stderr
    assert target.read_text() == "as it was"


def test_a_file_that_refers_to_a_bad_one_is_not_applied(daemons, database, tmp_path):
    daemon = daemons(database.ingest, more=BY_DEVICE)
    keys = tmp_path / "dc09.keys"
    keys.write_text("1234 0123456789abcdef0123456789abcdef\n")
    keys.chmod(0o644)
    daemon.write(endpoints=[daemon.conf.endpoint("door", format="sia-dc09", dc09_keys=str(keys))])
    target = tmp_path / "mobeyed.yaml"
    target.write_text("as it was")
    done = mobeyectl("apply", "-c", target, "--unit", "none", "--yes", "--no-replay", daemon.file)
    assert done.returncode == 1 and "dc09_keys" in done.stderr, done.stderr
    assert target.read_text() == "as it was"


@pytest.fixture
def systemd(tmp_path, daemons, database, monkeypatch):
    """A running daemon whose file is `target`, and a systemctl that reloads it with the signal, as its unit does; where
    there is a file `fails` it then fails once, as after the unit's check."""
    daemon = daemons(database.ingest).start()
    calls = tmp_path / "bin" / "systemctl"
    calls.parent.mkdir()
    calls.write_text(f"""#!/bin/sh
        [ $1 = reload ] || exit 0
        kill -HUP {daemon.pid}
        rm {tmp_path}/fails 2> /dev/null || exit 0
        until {MOBEYECTL} status -c {daemon.file} | grep -q REFUSED; do :; done
        exit 1""")
    calls.chmod(0o755)
    monkeypatch.setenv("PATH", f"{calls.parent}:{os.environ['PATH']}")
    return daemon


def test_what_requires_a_restart_is_told_without_metrics_too(systemd, tmp_path):
    """Both files name addresses at which nobody answers, so that nobody knows whether the new one was refused."""
    new, text, here = tmp_path / "new.yaml", systemd.file.read_text(), f":{systemd.conf.port}"
    new.write_text(text.replace(here, f":{free_port()}"))
    installed = free_port()
    systemd.file.write_text(text.replace(here, f":{installed}"))
    done = mobeyectl("apply", "-c", systemd.file, "--yes", "--no-replay", new)
    assert done.returncode == 1 and f"no answer from 127.0.0.1:{installed}" in done.stderr, done.stderr
    assert "http.listen: change requires a restart" in done.stderr
    assert "systemctl restart mobeyed.service is required" in done.stderr


def test_metrics_that_only_the_new_file_has_are_not_asked(systemd, tmp_path):
    """The daemon runs without, until a restart."""
    new, text = tmp_path / "new.yaml", systemd.file.read_text()
    new.write_text(text.replace(f":{systemd.conf.port}", f":{free_port()}"))
    without = re.sub("http:\n +listen: .*\n", "", text)
    assert without != text
    systemd.file.write_text(without)
    done = mobeyectl("apply", "-c", systemd.file, "--yes", "--no-replay", new)
    assert done.returncode == 1 and "http.listen is not set" in done.stderr, done.stderr
    assert "http.listen: change requires a restart" in done.stderr


def test_an_installed_file_that_is_not_valid_does_not_hide_a_refusal(systemd, tmp_path):
    """The address of the daemon is then that of the new one."""
    new, text = tmp_path / "new.yaml", systemd.file.read_text()
    systemd.file.write_text(text + "nonsense: 1\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        second = systemd.conf.endpoint("second", bind=f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        new.write_text(systemd.conf.set(endpoints=[systemd.conf.endpoint("door"), second]).text())
        refused = mobeyectl("apply", "-c", systemd.file, "--yes", "--no-replay", new)
    assert refused.returncode == 1 and "mobeyed.service refused the file" in refused.stderr, refused.stderr
    assert systemd.file.read_text() == text + "nonsense: 1\n"
    done = mobeyectl("apply", "-c", systemd.file, "--yes", "--no-replay", new)
    assert done.returncode == 0 and "mobeyed.service reloaded" in done.stderr, done.stderr
    assert "cannot tell whether systemctl restart mobeyed.service is required" in done.stderr


class StatusFile(list):
    """What the daemon tells the service manager; the last STATUS is in the file, for systemctl show."""

    def __init__(self, path):
        super().__init__()
        self.path = path
        path.touch()

    def extend(self, lines):
        for line in lines:
            if line.startswith("STATUS="):
                new = self.path.with_suffix(".new")
                new.write_text(line.removeprefix("STATUS=") + "\n")
                new.rename(self.path)
        super().extend(lines)


def test_what_the_daemon_refuses_does_not_stay_without_metrics(systemd, tmp_path):
    """Only systemd knows, by the daemon's status."""
    daemon, new, status = systemd, tmp_path / "new.yaml", tmp_path / "status"
    daemon.notices.seen = StatusFile(status)
    calls = tmp_path / "bin" / "systemctl"
    calls.write_text(calls.read_text().replace("[ $1 = reload ]", f"[ $1 != show ] || cat {status}\n[ $1 = reload ]"))
    before = re.sub("http:\n +listen: .*\n", "", daemon.file.read_text())
    daemon.file.write_text(before)
    wait_until(lambda: status.read_text(), "the daemon tells its status")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        second = daemon.conf.endpoint("second", bind=f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        text = daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), second]).text()
        new.write_text(re.sub("http:\n +listen: .*\n", "", text))
        refused = mobeyectl("apply", "-c", daemon.file, "--yes", "--no-replay", new)
    assert refused.returncode == 1 and "mobeyed.service refused the file" in refused.stderr, refused.stderr
    assert daemon.file.read_text() == before
    done = mobeyectl("apply", "-c", daemon.file, "--yes", "--no-replay", new)
    assert done.returncode == 0 and "mobeyed.service reloaded" in done.stderr, done.stderr
    assert daemon.file.read_text() == new.read_text()


def test_a_link_stays_one(systemd, tmp_path):
    link, new = tmp_path / "link.yaml", tmp_path / "new.yaml"
    link.symlink_to(systemd.file)
    new.write_text(systemd.file.read_text() + "# new\n")
    assert mobeyectl("apply", "-c", link, "--yes", "--no-replay", new).returncode == 0
    assert link.is_symlink() and systemd.file.read_text() == new.read_text()


@pytest.mark.parametrize("check_fails", [False, True])
def test_what_the_daemon_refuses_does_not_stay(systemd, tmp_path, check_fails):
    """An address in use, which only the daemon finds, unless the unit's check fails too; then one that is free."""
    daemon, new = systemd, tmp_path / "new.yaml"
    previous = daemon.directory / "mobeyed.yaml.previous"
    before = daemon.file.read_text()
    previous.write_text("the one before")
    if check_fails:
        (tmp_path / "fails").touch()

    def apply():
        return mobeyectl("apply", "-c", daemon.file, "--yes", "--no-replay", new)

    with socket.create_server(("127.0.0.1", 0)) as taken:
        second = daemon.conf.endpoint("second", bind=f"tcp://127.0.0.1:{taken.getsockname()[1]}")
        new.write_text(daemon.conf.set(endpoints=[daemon.conf.endpoint("door"), second]).text())
        refused = apply()
    assert refused.returncode == 1 and "mobeyed.service refused the file" in refused.stderr, refused.stderr
    assert "reloaded" not in refused.stderr
    assert daemon.file.read_text() == before and previous.read_text() == "the one before"
    assert daemon.metric("config_last_reload_successful") == 1, "it has read the old file again"
    done = apply()
    assert done.returncode == 0 and "mobeyed.service reloaded" in done.stderr, done.stderr
    assert daemon.file.read_text() == new.read_text() and previous.read_text() == before
    assert daemon.metric("config_last_reload_successful") == 1
