"""mobeyectl doctor: quiet if all is well, and each problem is named with what to do about it."""
import fcntl
import json
import os
import pathlib
import pwd
import re
import resource
import socket
import struct
import subprocess
import tempfile

import psycopg
import pytest

from harness.alerts import alerts
from harness.board import Board
from harness.daemon import mobeyectl
from harness.paths import BRIDGE, free_port
from harness.peers import Dealer
from harness.wait import wait_until

# The cluster of the tests leaves flushes out.
OF_THE_TESTS = {"durability"}


class Findings:
    def __init__(self, file, conninfo, *options, **how):
        done = mobeyectl("doctor", "-c", file, "--db", str(conninfo), "--json", *options, **how)
        self.all = [json.loads(line) for line in done.stdout.splitlines()]
        assert self.all, done.stderr
        self.returncode = done.returncode
        assert (done.returncode == 1) == any(one["level"] == "problem" for one in self.all)
        for one in self.all:
            assert one["level"] == "ok" or one["advice"], one

    def at(self, level):
        return {one["check"] for one in self.all if one["level"] == level}

    def text(self, check, level):
        return " / ".join(one["text"] for one in self.all if one["check"] == check and one["level"] == level)


@pytest.fixture
def asleep(database, daemons):
    """A daemon that was configured but is not running."""
    daemon = daemons(database.ingest)
    return daemon


def examine(daemon, conninfo, **how):
    daemon.write()
    return Findings(daemon.file, conninfo, **how)


def test_nothing_is_wrong_where_all_is_well(daemon, database):
    seen = Findings(daemon.file, database.ingest)
    assert seen.at("problem") == OF_THE_TESTS
    assert {"schema", "tls", "role", "descriptors", "ports", "space", "time"} <= seen.at("ok")
    assert str(daemon.pid) in seen.text("ports", "ok")


def test_people_get_one_line_each(daemon, database):
    done = mobeyectl("doctor", "-c", daemon.file)
    *lines, last = done.stdout.splitlines()
    assert done.returncode == 1 and re.fullmatch(r"1 problem, (1 warning|\d+ warnings)", last)
    assert all(line.startswith(("ok ", "WARNING ", "PROBLEM ")) for line in lines)


def test_a_journal_in_memory_is_a_problem(asleep, database):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        asleep.conf.set(journal=pathlib.Path(directory) / "journal")
        assert "filesystem" in examine(asleep, database.ingest).at("problem")


def test_a_disk_smaller_than_the_journal_is_a_warning(asleep, database):
    asleep.conf.set(max_size="900TiB")
    assert "space" in examine(asleep, database.ingest).at("warning")


def test_a_port_that_somebody_has_is_a_problem(asleep, database):
    with socket.create_server(("127.0.0.1", 0)) as other:
        asleep.conf.set(port=other.getsockname()[1])
        seen = examine(asleep, database.ingest)
    assert "ports" in seen.at("problem") and "http cannot bind" in seen.text("ports", "problem")
    asleep.conf.set(port=free_port())
    assert "ports" not in examine(asleep, database.ingest).at("problem")


def test_an_address_that_binds_both_families_is_tried_in_both(asleep, database):
    """The daemon binds * over IPv6 and IPv4 at once."""
    with socket.create_server(("::", 0), family=socket.AF_INET6) as other:  # IPv6 alone
        asleep.conf.set(endpoints=[asleep.conf.endpoint("door", bind=f"tcp://*:{other.getsockname()[1]}", plaintext="allow")])
        seen = examine(asleep, database.ingest)
    assert "door cannot bind *" in seen.text("ports", "problem")


def test_a_daemon_that_has_its_journal_and_not_its_ports_is_a_problem(daemon, database):
    """As it is while another program has the port and the daemon tries again and again."""
    daemon.stop()
    with (daemon.conf.journal / "lock").open("r+b") as lock, socket.create_server(("127.0.0.1", daemon.conf.port)):
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack("hh4xqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
        seen = examine(daemon, database.ingest)
    assert "http cannot bind" in seen.text("ports", "problem") and "in use by the daemon" not in seen.text("ports", "ok")
    assert "has the journal open, but does not answer" in seen.text("daemon", "problem")


def test_the_daemons_own_ports_are_no_problem(asleep, database):
    """It runs with the http.listen that it was started with."""
    asleep.conf.set(endpoints=[asleep.conf.endpoint("door", bind=f"tcp://127.0.0.1:{free_port()}")])
    asleep.start()
    asleep.file.write_text(asleep.file.read_text().replace(f":{asleep.conf.port}", f":{free_port()}"))
    seen = Findings(asleep.file, database.ingest)
    assert "ports" not in seen.at("problem") and "not all of them" in seen.text("ports", "ok")
    assert any("a change of http.listen requires systemctl restart" in one.get("advice", "") for one in seen.all)


def test_a_daemon_with_another_journal_is_a_problem(daemon, database, tmp_path):
    daemon.file.write_text(daemon.file.read_text().replace(str(daemon.conf.journal), str(tmp_path / "other")))
    seen = Findings(daemon.file, database.ingest)
    assert "does not have the journal of the file open" in seen.text("daemon", "problem")


def test_too_few_descriptors_are_a_problem(daemon, database):
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (512, 512))
    assert "descriptors" in Findings(daemon.file, database.ingest).at("problem")


def test_secrets_that_others_may_read_are_a_problem(asleep, database, tmp_path):
    passfile = tmp_path / "pgpass"
    passfile.write_text("*:*:*:*:swordfish\n")
    for mode, level in ((0o644, "problem"), (0o600, "ok")):
        passfile.chmod(mode)
        seen = examine(asleep, f"{database.ingest} passfile={passfile}")
        assert "pgpass" in seen.text("files", level)
    assert "swordfish" not in json.dumps(seen.all)


def test_a_password_in_a_file_for_everybody_is_a_problem(asleep, database):
    asleep.conf.set(conninfo=f"{database.ingest} password=swordfish")
    asleep.write()
    for mode, wrong in ((0o644, True), (0o600, False)):
        os.chmod(asleep.file, mode)
        done = mobeyectl("doctor", "-c", asleep.file)
        assert ("a password in it" in done.stdout) == wrong
        assert "swordfish" not in done.stdout + done.stderr


def test_what_the_unit_keeps_out_is_a_problem(asleep, database, tmp_path):
    """With a systemctl that says what a unit allows."""
    asleep.conf.set(endpoints=[{"name": "portal", "bind": f"tcp://127.0.0.1:{free_port()}", "socket": "tcp",
                                  "format": "sia-dc09", "allow_from": ["203.0.113.0/24"], "expect_every": "26h"}])
    fake = tmp_path / "systemctl"
    path = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for allowed, wrong in (("10.0.0.0/8", True), ("10.0.0.0/8 203.0.112.0/23", False)):
        fake.write_text("#!/bin/sh\nset -e\ncase \"$*\" in\n"
                        f"*' IPAddressAllow '*) echo '{allowed}' ;;\n*' IPAddressDeny '*) echo '::/0 0.0.0.0/0' ;;\nesac\n")
        fake.chmod(0o755)
        assert ("unit" in examine(asleep, database.ingest, env=path).at("problem")) == wrong


def test_a_line_that_nobody_expects_is_a_warning(asleep, database):
    asleep.conf.set(endpoints=[{"name": "portal", "bind": f"tcp://127.0.0.1:{free_port()}", "socket": "tcp",
                                  "format": "sia-dc09"}])
    assert "silence" in examine(asleep, database.ingest).at("warning")


def test_a_setting_that_hurts_is_told(asleep, database):
    database.alter("set synchronous_commit = off")
    assert "synchronous_commit" in examine(asleep, database.ingest).text("durability", "warning")


def test_a_dump_that_was_restored_without_its_roles_is_told(asleep, database):
    database.execute("alter schema patrol owner to postgres")
    assert "schema patrol belongs to postgres" in examine(asleep, database.ingest).text("owner", "problem")


def test_a_daemon_that_is_away_and_holds_up_silence_is_named(daemon, database):
    database.execute("insert into mobeye.daemon (journal, instance, alive_at, applied_until, gap_until, verified_until)"
                     " select gen_random_uuid(), 'second', at, at, at, at from (select now() - interval '1 hour') as t (at)")
    seen = Findings(daemon.file, database.ingest)
    (silence,) = [one for one in seen.all if (one["check"], one["level"]) == ("silence", "warning")]
    assert re.search("^nobody is found silent after .*: daemon second last reported at ", silence["text"])
    database.execute(re.search("delete from mobeye.daemon where journal = '[0-9a-f-]{36}'", silence["advice"]).group())
    assert "silence" not in Findings(daemon.file, database.ingest).at("warning")


def test_alerts_that_wait_or_are_in_quarantine_are_told(daemon, database, context):
    database.alter("set default_transaction_read_only = on")
    daemon.restart()
    Dealer(context, daemon.address()).deliver(alerts(3))
    wait_until(lambda: daemon.metric("commit_lag_seconds") > 5, "they wait")
    seen = Findings(daemon.file, database.ingest)
    assert "3 alerts are waiting in the journal" in seen.text("backlog", "problem")
    assert "read-only" in seen.text("role", "problem")
    database.alter("reset default_transaction_read_only")
    database.execute("insert into mobeye.quarantine (reason, record) values ('refused', '')")
    daemon.restart()
    daemon.wait_drained()
    seen = Findings(daemon.file, database.ingest)
    assert "1 alert is in quarantine" in seen.text("quarantine", "problem")
    assert "backlog" not in seen.at("problem")


def test_checkpoints_that_are_forced_are_told(asleep, database):
    database.execute("select pg_stat_reset_shared('bgwriter')")
    assert "of 0 checkpoints" in examine(asleep, database.ingest).text("checkpoints", "ok")
    for _ in range(11):
        database.execute("checkpoint")
    told = wait_until(lambda: examine(asleep, database.ingest).text("checkpoints", "warning"), "the statistics to count them")
    assert "max_wal_size is 1GB, wal_compression off" in told


def test_pages_that_are_not_in_memory_are_told(cluster, asleep, database):
    """A table of more than a quarter of shared_buffers is read past them each time, but for what is left of writing it."""
    assert "% of the pages were in shared_buffers" in examine(asleep, database.ingest).text("memory", "ok")
    database.execute("create table public.large (filler text)")
    database.execute("alter table public.large alter filler set storage plain")
    database.execute("insert into public.large select repeat('x', 7000) from generate_series(1, 5000)")
    cluster.restart()
    database.execute("do $$ begin for i in 1..30 loop perform count(*) from public.large; end loop; end $$")
    assert "which is 128MB" in wait_until(lambda: examine(asleep, database.ingest).text("memory", "warning"), "the statistics")


def test_another_schema_is_a_problem(asleep, database):
    database.execute("insert into mobeye.schema_version values (9999, 'of the future')")
    assert "schema" in examine(asleep, database.ingest).at("problem")
    database.execute("delete from mobeye.schema_version")
    assert "schema" in examine(asleep, database.ingest).at("problem")


def test_heartbeats_that_mean_nothing_are_told(asleep, database):
    for device, heartbeat, days in (("daily", "1 day", 90), ("monthly", "30 days", 90), ("weekend", "7 days", 2), ("mute", None, 9)):
        database.execute("insert into mobeye.device (device_id, heartbeat) values (%s, %s)", device, heartbeat)
        database.execute("insert into mobeye.placement (device_id, during, geom) values (%s, tstzrange(now() - interval '1 day', "
                         "now() + %s * interval '1 day'), 'srid=4326;point(5.38 52.19)')", device, days)
    seen = examine(asleep, database.conninfo)
    assert "4 devices are placed" in seen.text("heartbeats", "ok")
    told = seen.text("heartbeats", "warning")
    assert "1 placed device has no heartbeat" in told and "longer than their placement" in told and "8 days" in told


REPORTED = """insert into mobeye.device_status (device_id, registered, first_received_at, last_received_at, last_occurred_at, endpoint, source,
    kind) values (%s, %s, now(), now() + %s * interval '1 s', now(), 'door', %s, 'motion')"""


def test_cameras_behind_a_bridge_need_no_heartbeat(asleep, database):
    """A bridge reports that its server is gone; the silence of a camera without one goes unnoticed."""
    for device, group, source in (("new", "camera", None), ("seen", None, "/frigate/noord"), ("direct", "camera", "/axis/1")):
        database.execute("insert into mobeye.device (device_id, device_group) values (%s, %s)", device, group)
        database.execute("insert into mobeye.placement (device_id, during, geom) values (%s, tstzrange(now() - interval '1 day', null), "
                         "'srid=4326;point(5.38 52.19)')", device)
        if source:
            database.execute(REPORTED, device, True, 0, source)
    seen = examine(asleep, database.conninfo)
    assert "2 placed cameras have no heartbeat; the bridge reports when their server is offline" in seen.text("heartbeats", "ok")
    assert seen.text("heartbeats", "warning") == "1 placed device has no heartbeat"


def test_senders_that_are_not_registered_are_told(asleep, database):
    assert examine(asleep, database.ingest).text("devices", "ok") == "every sender is registered"
    database.execute("insert into mobeye.device (device_id) values ('known')")
    database.execute(REPORTED, "drill", False, 9, "/mobeyectl/setup")
    for device, registered, later in (("known", True, 5), ("noord/yard", False, 1), ("dc09:9/1", False, 2)):
        database.execute(REPORTED, device, registered, later, "/me")
    told = examine(asleep, database.ingest)
    assert told.text("devices", "warning") == "2 senders are not registered, the latest dc09:9/1"
    assert "mobeyectl devices unknown" in next(one["advice"] for one in told.all if one["check"] == "devices")
    database.execute("delete from mobeye.device_status where device_id = 'dc09:9/1'")
    assert examine(asleep, database.ingest).text("devices", "warning") == "1 sender is not registered, the latest noord/yard"


def test_an_empty_registry_is_told(asleep, database):
    """What keeps the board empty on the first evening; one line less with each thing that is added."""
    lacks = ["no team is registered, and no person of all teams: no officer sees an incident",
             "no person is registered: no officer sees an incident",
             "no device is placed: alerts have no address, and a team only if they report a location"]
    for told, added in ((lacks, "insert into mobeye.person (login, name, all_teams) values ('postgres', 'P', true)"),
                        (lacks[2:], "insert into mobeye.device (device_id) values ('d')"),
                        (lacks[2:], "insert into mobeye.placement (device_id, geom) values ('d', 'srid=4326;point(5.38 52.19)')"),
                        ([], "select 1")):
        seen = [one for one in examine(asleep, database.conninfo).all if one["check"] == "registry" and one["level"] == "warning"]
        assert [one["text"] for one in seen if one["text"].startswith("no ")] == told
        assert all(re.search("mobeyectl (teams|people|devices) import", one["advice"]) for one in seen[:len(told)])
        database.execute(added)


def test_a_database_that_is_away_is_a_problem(asleep, tmp_path):
    seen = examine(asleep, f"host={tmp_path} dbname=mobeye")
    assert "database" in seen.at("problem") and "space" in seen.at("ok")
    # No right is missing, only the connection.
    assert seen.text("database", "problem").startswith("cannot connect: connection to server on socket")
    assert seen.text("registry", "ok") == "not checked: no connection to the database" and "may not read" not in json.dumps(seen.all)


def test_a_bad_file_is_told_by_line(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("instance: x\nnonsense: 1\n")
    done = mobeyectl("doctor", "-c", file)
    assert done.returncode == 1 and "bad.yaml:2:" in done.stderr and "PROBLEM" in done.stdout


def test_a_bridge_to_frigate_is_examined(daemon, database, tmp_path):
    file = tmp_path / "mobeye-frigate.yaml"

    def write(**more):
        file.write_text(json.dumps({"name": "noord", "api": {"url": "http://127.0.0.1:1"}, "to": daemon.address(),
                                    "state": str(tmp_path), **more}))

    def seen():
        return Findings(daemon.file, database.ingest, "--frigate", str(file))
    assert "not installed: " in seen().text("frigate", "ok")
    write(lables=["person"])
    assert "not a valid configuration" in seen().text("frigate", "problem")
    write(http={"listen": f"127.0.0.1:{free_port()}"})  # not again: the bridge reads it as it starts
    assert "is not running" in seen().text("frigate", "problem")
    bridge = subprocess.Popen([BRIDGE, "-c", file], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: "is not running" not in seen().text("frigate", "problem"), "the bridge")
        wait_until(lambda: "connected to mobeyed" not in seen().text("frigate", "warning"), "it is connected")
        assert "does not answer at http://127.0.0.1:1" in seen().text("frigate", "warning")
    finally:
        bridge.terminate()
        bridge.wait(30)


def test_a_board_is_examined(daemon, database, tmp_path):
    user = pwd.getpwuid(os.geteuid()).pw_name
    board = Board(database, tmp_path, unix=True, user=user)

    def seen():
        return Findings(daemon.file, database.conninfo, "--board", str(board.file))
    assert "not installed: " in Findings(daemon.file, database.conninfo, "--board", str(tmp_path / "none")).text("board", "ok")
    assert "it is not running" in seen().text("board", "warning") and "board" not in seen().at("problem")
    board.start()
    try:
        wait_until(lambda: "board" not in seen().at("problem"), "the board is found well")
        os.rename(board.path, f"{board.path}.away")
        assert f"{user} cannot connect to {board.path}" in seen().text("board", "problem")
        os.rename(f"{board.path}.away", board.path)
        told = seen().text("board", "ok")
        assert "it can connect to the database as mobeye_board" in told and "it runs; 0 pages" in told
        assert f"{user} can connect to {board.path}" in told
        assert "board" not in seen().at("warning")
        board.file.write_text(board.file.read_text().replace(f"peers: [{user}]", "peers: [nobody-of-that-name]"))
        told = seen().text("board", "problem")
        assert "not valid" in told and "nobody-of-that-name is not a user of this machine" in told.replace('"', "")
        board.file.write_text(board.file.read_text().replace("mobeye_board", "nobody").replace("nobody-of-that-name", user))
        assert "cannot connect to the database" in seen().text("board", "problem")
    finally:
        board.stop()


def test_logins_that_cannot_be_read_are_not_missing(asleep, database):
    """A table that somebody has locked is not a reason to insert a row."""
    with psycopg.connect(database.conninfo) as holder:
        holder.execute("lock table mobeye.proxy_login")
        seen = examine(asleep, f"{database.conninfo} options='-c lock_timeout=100ms'")
    assert "mobeye.proxy_login cannot be read: canceling statement due to lock timeout" in seen.text("board", "warning")
    assert "board" not in seen.at("problem")


def test_a_board_on_trial_is_a_warning(daemon, database, tmp_path):
    file = tmp_path / "board.yaml"
    file.write_text(f"listen: \"127.0.0.1:{free_port()}\"\ndatabase: {{conninfo: {json.dumps(str(database.conninfo))}}}\n"
                    "identity: {fixed: jansen}\n")
    seen = Findings(daemon.file, database.conninfo, "--board", str(file))
    told = seen.text("board", "warning")
    assert "jansen (identity.fixed) is not a registered person" in seen.text("board", "problem")
    database.execute("insert into mobeye.person values ('jansen', 'Jansen', null, true)")
    assert "registered person" not in Findings(daemon.file, database.conninfo, "--board", str(file)).text("board", "problem")
    assert "everybody on this machine is treated as jansen" in told and "its version and its connections are not known" in told
    assert "it connects to the database as" in told
