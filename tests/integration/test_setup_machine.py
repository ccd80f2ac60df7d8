"""mobeyectl as root on a Debian machine: setup in one command, and who can connect to the database without options."""
import contextlib
import json
import re

import pytest

from harness.machine_fixtures import *  # noqa: F401,F403
from harness.machine_fixtures import BOARD_FILE, check, stat
from harness.wait import wait_until


def does(output):
    return re.findall("^done: +(.*)", output, re.M)


def test_one_command_leads_to_a_drill_alert_in_the_database(machine):
    """The directory of the password file is for the daemon's group alone."""
    assert stat(machine, "") == ["750 root:mobeyed"]
    assert "7 changes required" in machine.must("mobeyectl", "setup", "--dry-run")
    check(machine, machine.must("bash", "-c", "umask 077 && mobeyectl setup --yes"))
    # Sent, and nothing else done.
    assert "1 change required" in machine.must("mobeyectl", "setup", "--dry-run")
    (drill,) = does(machine.must("mobeyectl", "setup", "--yes"))
    assert drill.startswith("send a drill alert")
    # As root it sees people too, and that the board was installed and not set up.
    doctor = machine.must("mobeyectl", "doctor")
    assert "not checked" not in "".join(line for line in doctor.splitlines() if " registry " in line or " login" in line)
    assert re.search("WARNING +board +it is not running: .*: mobeyectl setup --board starts it", doctor)


def test_the_drill_reaches_an_endpoint_of_an_interface(ready):
    ready.must("sed", "-i", "s|tcp://[^:]*:5555|tcp://lo:5555|", "/etc/mobeyed/mobeyed.yaml")
    assert "tcp://lo:5555" in ready.must("cat", "/etc/mobeyed/mobeyed.yaml")
    ready.must("systemctl", "restart")
    (drill,) = does(ready.must("mobeyectl", "setup", "--yes"))
    assert drill.startswith("send a drill alert to tcp://127.0.0.1:5555"), drill


def test_what_runs_is_brought_up_to_date(ready):
    """A file that was changed and not reloaded, a daemon that runs without a database, one that does not run."""
    ready.must("sed", "-i", "s/^#timezone/timezone/", "/etc/mobeyed/mobeyed.yaml")
    assert does(ready.must("mobeyectl", "setup", "--yes"))[0] == "systemctl reload mobeyed.service"
    ready.must("systemctl", "stop")
    assert does(ready.must("mobeyectl", "setup", "--yes"))[0] == "systemctl restart mobeyed.service"
    ready.install()
    ready.must("systemctl", "start")
    output = ready.must("mobeyectl", "setup", "--yes")
    assert "systemctl reload mobeyed.service" in does(output)
    check(ready, output)


@pytest.mark.parametrize("key, change", [("http.listen", "s/127.0.0.1:9464/127.0.0.1:9469/"),
                                         ("journal.directory", "s|/var/lib/mobeyed/journal|/var/lib/mobeyed/other|")])
def test_what_a_reload_does_not_change_is_told(ready, key, change):
    ready.must("bash", "-c", f"sed '{change}' /etc/mobeyed/mobeyed.yaml > /etc/mobeyed/new.yaml")
    applied = ready.must("mobeyectl", "apply", "--yes", "/etc/mobeyed/new.yaml")
    assert f"{key}: change requires a restart" in applied and "systemctl restart mobeyed.service is required" in applied, applied
    for _ in range(2):
        refused = ready.run("mobeyectl", "setup", "--yes", "--no-drill")
        assert refused.returncode == 1 and f"another {key} than that of the file: this requires systemctl restart" in refused.stdout
    ready.must("systemctl", "restart")
    ready.must("mobeyectl", "setup", "--yes")


def test_the_file_of_a_unit_is_known_however_its_path_is_written(ready):
    for path in "/etc//mobeyed/mobeyed.yaml", "mobeyed.yaml":
        ready.must("touch", "/etc/mobeyed/mobeyed.yaml")
        done = ready.must("bash", "-c", f"cd /etc/mobeyed && mobeyectl setup --yes --no-drill -c {path}")
        assert does(done) == ["systemctl reload mobeyed.service"], done
    ready.must("cp", "-p", "/etc/mobeyed/mobeyed.yaml", "/etc/elsewhere.yaml")
    done = ready.must("mobeyectl", "setup", "--yes", "--no-drill", "-c", "/etc/elsewhere.yaml")
    assert "left to do:    start or reload the daemon that uses /etc/elsewhere.yaml: no unit uses this file\n" in done, done


def test_a_unit_that_does_not_start_with_the_machine_is_told(ready):
    """As an instance, which no package enables."""
    enable = "left to do:    systemctl enable mobeyed.service, so that it starts with the machine\n"
    assert enable not in ready.must("mobeyectl", "setup", "--yes", "--no-drill")
    (ready.home / "disabled").touch()
    assert enable in ready.must("mobeyectl", "setup", "--yes", "--no-drill")


def test_without_root_it_says_so(machine):
    """The configuration is for root and the daemon's group."""
    refused = machine.run("mobeyectl", "setup", "--yes", user="nobody")
    assert refused.returncode == 1 and "Permission denied (run it as root)" in refused.stdout, refused.stdout


def test_a_password_that_the_daemon_cannot_read_is_told_where_to_look(machine):
    machine.must("chmod", "0700", "/etc/mobeyed")
    refused = machine.run("mobeyectl", "setup", "--yes", "--no-drill")
    assert refused.returncode == 1 and "no password supplied" in refused.stdout, refused.stdout
    assert "mobeyectl doctor checks whether the daemon may read that file and enter its directories" in refused.stdout
    assert "the user mobeyed cannot enter /etc/mobeyed: " in machine.run("mobeyectl", "doctor").stdout


DEVICES = "device_id,account,input,heartbeat,grace,address,lon,lat\nNL-0307-00042,3071,1,24h,2h,Ringweg 1,5.38421,52.19634\n"


def test_root_needs_no_db(ready):
    (ready.home / "etc/devices.csv").write_text(DEVICES)
    ready.must("bash", "-c", "sed '$ a # new' /etc/mobeyed/mobeyed.yaml > /etc/new.yaml")
    incident = ready.sql("select incident_id from mobeye.incident")
    for verb in ("migrate", "status", "doctor", "devices import /etc/devices.csv", "devices unknown", "device show NL-0307-00042",
                 "device place NL-0307-00042 --at 5.4,52.2", "device retrieve NL-0307-00042", "journal list",
                 "quarantine list", "quarantine retry", f"explain --incident {incident}",
                 "replay --since 7d -c /etc/new.yaml", "apply --yes /etc/new.yaml", "apply --yes --undo",
                 "subject erase --yes --device NL-0307-00042 --from 2026-01-01T00:00:00Z --until 2100-01-01T00:00:00Z",
                 # The socket asks for the user of this machine.
                 "migrate --db 'host=/run/postgresql dbname=mobeye user=postgres'"):
        ready.must("bash", "-c", f"mobeyectl {verb}")


def test_a_member_of_the_owner_needs_no_db(ready):
    ready.must("bash", "-c", "for user in anna bert; do id $user || useradd -G mobeyed $user; done")
    ready.sql("drop role if exists anna; create role anna login in role mobeye_owner")
    (ready.home / "etc/devices.csv").write_text(DEVICES)
    ready.must("mobeyectl", "devices", "import", "/etc/devices.csv", user="anna")
    shown = json.loads(ready.must("mobeyectl", "devices", "unknown", "--json", user="anna"))
    assert [row["device_id"] for row in shown] == ["drill"]
    # Whom the database does not know is told so, and why the daemon's way is closed as well.
    refused = ready.run("mobeyectl", "devices", "unknown", user="bert")
    assert refused.returncode == 1
    assert 'role "bert" does not exist' in refused.stdout and "no password supplied" in refused.stdout, refused.stdout


@contextlib.contextmanager
def as_peer(machine, user, role):
    """The database lets the user in as the role without a password, as sql/README.md and the guide say; no longer afterwards."""
    def let_in():
        return machine.run("psql", "-U", role, "-c", "select 1", "mobeye", user=user).returncode == 0

    def change(how):
        machine.must("bash", "-c", f"cd /run/postgresql/data && {how}")
        machine.sql("select pg_reload_conf()")

    change("cp -p pg_hba.conf hba.before && cp -p pg_ident.conf ident.before && "
           f"echo 'mobeye {user} {role}' >> pg_ident.conf && sed -i '1i local mobeye {role} peer map=mobeye' pg_hba.conf")
    try:
        wait_until(let_in, "pg_hba.conf is in force")
        yield
    finally:
        change("mv hba.before pg_hba.conf && mv ident.before pg_ident.conf")
        wait_until(lambda: not let_in(), "the earlier pg_hba.conf is in force")


def test_the_daemon_may_be_a_peer(ready):
    """No password, and neither root nor setup need one."""
    with as_peer(ready, "mobeyed", "mobeye_ingest"):
        ready.must("rm", "/etc/mobeyed/pgpass")
        ready.must("sed", "-i", 's|conninfo: .*|conninfo: "host=/run/postgresql dbname=mobeye user=mobeye_ingest"|',
                   "/etc/mobeyed/mobeyed.yaml")
        ready.must("mobeyectl", "setup", "--yes")
        assert not (ready.etc / "pgpass").exists()
        ready.must("mobeyectl", "doctor")
        ready.must("mobeyectl", "devices", "unknown")


def test_how_the_daemon_connects_is_not_how_root_does(ready):
    """Root takes the Unix socket, at whose other end is another user, and which has no TLS."""
    ready.must("sed", "-i", 's|conninfo: "\\(.*\\)"|conninfo: "\\1 requirepeer=nobody"|', "/etc/mobeyed/mobeyed.yaml")
    ready.must("mobeyectl", "setup", "--yes")
    ready.must("mobeyectl", "people", "list")


def test_whoever_has_the_rights_of_the_daemon_only_is_told_why(ready):
    refused = ready.run("mobeyectl", "people", "list", user="mobeyed")
    assert refused.returncode == 1 and "permission denied" in refused.stdout, refused.stdout
    assert re.search('the daemon\'s role was used, since your own was refused: .*role "mobeyed" does not exist', refused.stdout)


def test_apply_without_a_database_changes_nothing(ready):
    ready.must("bash", "-c", "sed s/amersfoort/soest/ /etc/mobeyed/mobeyed.yaml > /etc/new.yaml")
    ready.must("sed", "-i", "s/dbname=mobeye/dbname=nowhere/", "/etc/new.yaml")
    before = (ready.etc / "mobeyed.yaml").read_text()
    refused = ready.run("mobeyectl", "apply", "--yes", "/etc/new.yaml")
    assert refused.returncode == 1 and "--no-replay" in refused.stdout
    assert 'database "nowhere" does not exist' in refused.stdout
    assert (ready.etc / "mobeyed.yaml").read_text() == before
    ready.must("mobeyectl", "apply", "--yes", "--no-replay", "/etc/new.yaml")
    assert "dbname=nowhere" in (ready.etc / "mobeyed.yaml").read_text()


def test_apply_reloads_the_daemon_of_the_file(ready):
    """Of an instance, which does not run here; also where its path is written in another way."""
    ready.must("cp", "-p", "/etc/mobeyed/mobeyed.yaml", "/etc/mobeyed/north.yaml")
    ready.must("sed", "-i", "$ a # of the north", "/etc/mobeyed/north.yaml")
    for path in "/etc/mobeyed/north.yaml", "/etc//mobeyed/north.yaml", "north.yaml":
        done = ready.must("bash", "-c", f"cd /etc/mobeyed && mobeyectl apply --yes --no-replay -c {path} mobeyed.yaml")
        assert "mobeyed@north.service is not running under systemd" in done, done
    assert "mobeyed.service reloaded" in ready.must("bash", "-c", "cd /etc && mobeyectl apply --yes --undo -c mobeyed/north.yaml --unit mobeyed.service")


def ask_board(machine, user, person):
    """The status and body of the board's answer to that user of the machine, who names the person."""
    return machine.must("curl", "-s", "--unix-socket", "/run/mobeye-board/http.sock", "-H", f"X-Remote-User: {person}",
                        "-w", " %{http_code}", "http://board/api/me", user=user)


def test_one_command_leads_to_a_board(machine):
    """Its login, its file, its unit; the database lets it act for people."""
    before = machine.must("bash", "-c", f"sha256sum {BOARD_FILE} /etc/mobeyed/*; ls /etc/mobeye-board")
    planned = machine.must("mobeyectl", "setup", "--board", "--dry-run")
    assert "set the password of mobeye_board and write it to /etc/mobeye-board/pgpass" in planned
    assert "enable mobeye-board.service" in planned and "nothing was changed" in planned
    assert machine.must("bash", "-c", f"sha256sum {BOARD_FILE} /etc/mobeyed/*; ls /etc/mobeye-board") == before
    assert machine.sql("select count(*) from pg_database where datname = 'mobeye'", "postgres") == "0"
    output = machine.must("bash", "-c", "umask 077 && mobeyectl setup --yes --board")
    assert does(output)[-3:] == ["set the password of mobeye_board and write it to /etc/mobeye-board/pgpass",
                                 f"write {BOARD_FILE}", "enable mobeye-board.service and restart it"]
    left = output[output.index("left to do:"):]
    assert "a reverse proxy" in left and "unix:/run/mobeye-board/http.sock in the header X-Remote-User" in left
    assert "mobeyectl people import" in left
    assert machine.must("stat", "-c", "%a %U:%G", BOARD_FILE, "/etc/mobeye-board/pgpass").splitlines() == [
        "640 root:mobeye-board", "600 mobeye-board:mobeye-board"]
    machine.sql("insert into mobeye.team values ('noord', 'Noord'); insert into mobeye.person values ('jansen', 'J. Jansen', 'noord')")
    wait_until(lambda: ask_board(machine, "www-data", "jansen").endswith(" 200"), "the board has its connections")
    assert ask_board(machine, "nobody", "jansen").endswith(" 401")
    doctor = machine.must("mobeyectl", "doctor")
    assert "the login mobeye_board can do nothing but act for people" in doctor
    assert "www-data can connect to /run/mobeye-board/http.sock" in doctor and "it runs; 0 pages" in doctor


def test_setup_of_the_board_can_be_run_again(machine):
    machine.must("mobeyectl", "setup", "--yes", "--board")
    again = machine.must("mobeyectl", "setup", "--yes", "--no-drill", "--board")
    assert does(again) == []
    assert "mobeye-board.service uses the present file" in again
    # A file that was changed and that the board has not read; a login of its own is kept.
    machine.must("sed", "-i", "s/^#language: nl/language: en/", BOARD_FILE)
    (done,) = does(machine.must("mobeyectl", "setup", "--yes", "--no-drill", "--board"))
    assert done == "enable mobeye-board.service and restart it"
    machine.must("systemctl", "stop", "mobeye-board.service")
    (done,) = does(machine.must("mobeyectl", "setup", "--yes", "--no-drill", "--board"))
    assert done == "enable mobeye-board.service and restart it"


def test_the_board_may_be_a_peer(ready):
    with as_peer(ready, "mobeye-board", "mobeye_board"):
        done = does(ready.must("mobeyectl", "setup", "--yes", "--no-drill", "--board"))
        assert done == ["enable mobeye-board.service and restart it"]
        assert ready.run("test", "-e", "/etc/mobeye-board/pgpass").returncode == 1


def test_setup_of_the_board_takes_its_package(machine):
    machine.must("userdel", "mobeye-board")
    try:
        refused = machine.run("mobeyectl", "setup", "--yes", "--board")
        assert refused.returncode == 1 and "install the package mobeyed-board" in refused.stdout
        assert machine.sql("select count(*) from pg_database where datname = 'mobeye'", "postgres") == "0"
    finally:
        machine.must("systemd-sysusers", machine.home / "mobeye-board.sysusers")


@pytest.mark.parametrize("grant, told", [
    ("grant mobeye_patrol to mobeye_board", "is a member of mobeye_patrol"),
    ("grant select on patrol.queue to mobeye_board", "may read or change patrol.queue"),
    ("grant usage on schema mobeye to mobeye_board; grant execute on function mobeye.hold(bigint, boolean, text) to mobeye_board",
     "may call mobeye.hold"),
    ("alter role mobeye_board createdb", "is privileged"),
])
def test_doctor_names_what_else_the_login_of_the_board_may_do(ready, grant, told):
    ready.sql(grant)
    try:
        examined = ready.run("mobeyectl", "doctor")
        assert examined.returncode == 1
        assert f"the login mobeye_board has rights beyond acting for people: it {told}" in examined.stdout
    finally:
        ready.sql("revoke mobeye_patrol from mobeye_board; alter role mobeye_board nocreatedb; "
                  "revoke all on patrol.queue from mobeye_board; revoke all on function mobeye.hold(bigint, boolean, text) from mobeye_board; "
                  "revoke all on schema mobeye from mobeye_board")


def test_apply_replays_what_the_daemon_of_the_file_stored(ready):
    """An instance has its own unit, whose variables name its database."""
    ready.sql("create database north template migrated", "postgres")
    try:
        ready.must("bash", "-c", "cd /etc/mobeyed && sed -i 's/ dbname=[a-z]*//' mobeyed.yaml && cp -p mobeyed.yaml north.yaml && cp mobeyed.yaml /etc/new.yaml")
        (ready.home / "mobeyed.service.environment").write_text("PGDATABASE=mobeye\n")
        (ready.home / "mobeyed@north.service.environment").write_text("PGDATABASE=north\n")
        shown = ready.run("mobeyectl", "apply", "--yes", "-c", "/etc/mobeyed/north.yaml", "/etc/new.yaml").stdout
        assert "the last 7 days: 0 alerts" in shown, shown
        assert "the last 7 days: 1 alert" in ready.run("mobeyectl", "apply", "--yes", "/etc/new.yaml").stdout
    finally:
        ready.sql("drop database north with (force)", "postgres")
