"""mobeyectl doctor and status on a Debian machine where the daemon cannot run, or whose reader is not root."""
import re

import pytest

from harness.machine_fixtures import *  # noqa: F401,F403
from harness.wait import wait_until

JOURNAL = "/var/lib/mobeyed/journal"


def problems(machine, *options, **how):
    """The lines of doctor that are problems; its status agrees with them."""
    done = machine.run("mobeyectl", "doctor", *options, **how)
    found = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM")]
    assert (done.returncode == 1) == (found != []), done.stdout
    return found


def test_a_daemon_that_ought_to_run_and_does_not_is_a_problem(ready):
    assert problems(ready) == []
    ready.must("systemctl", "stop")
    assert problems(ready) == ["PROBLEM  daemon       the daemon is not running: systemctl status mobeyed; journalctl -u mobeyed -n 20"]


MOVED = "s/127.0.0.1:9464/127.0.0.1:9469/; s|/var/lib/mobeyed/journal|/var/lib/mobeyed/other|"


def test_an_instance_that_does_not_run_is_a_problem_though_another_runs(ready):
    ready.must("bash", "-c", f"sed '{MOVED}' /etc/mobeyed/mobeyed.yaml > /etc/mobeyed/north.yaml && chgrp mobeyed /etc/mobeyed/north.yaml")
    assert ("PROBLEM  daemon       the daemon is not running: systemctl status mobeyed@north; journalctl -u mobeyed@north -n 20"
            in problems(ready, "-c", "/etc/mobeyed/north.yaml"))


def test_an_instance_is_not_the_daemon_that_has_its_address_or_journal(ready):
    """As a copy of the file would have it: neither doctor nor status takes the other for it, and setup refuses."""
    file, elsewhere = "/etc/mobeyed/north.yaml", "s|/var/lib/mobeyed/journal|/var/lib/mobeyed/other|"
    ready.must("useradd", "-M", "-G", "mobeyed", "anna")
    try:
        for change, told in ("", "the daemon is not running; process [0-9]+ has its journal open: /var/lib/mobeyed/journal"), \
                (elsewhere, "the daemon is not running; another program answers at 127.0.0.1:9464"):
            ready.must("bash", "-c", f"sed '{change}' /etc/mobeyed/mobeyed.yaml > {file} && chgrp mobeyed {file} && chmod 0640 {file}")
            found = problems(ready, "-c", file)
            assert any(re.search(f"daemon +{told}: journalctl -u mobeyed@north", line) for line in found), found
            assert any("http cannot bind 127.0.0.1 port 9464 (Address already in use)" in line for line in found), found
            found = problems(ready, "-c", file, user="anna")
            assert any("another program answers at" in line for line in found), found
            status = ready.run("mobeyectl", "status", "-c", file)
            assert status.returncode == 1 and "its unit is not running; another daemon answers at 127.0.0.1:9464" in status.stdout
            before = ready.must("cat", file)
            refused = ready.run("mobeyectl", "setup", "--yes", "-c", file)
            assert refused.returncode == 1 and "and is not mobeyed@north.service (each daemon needs" in refused.stdout, refused.stdout
            assert "done:" not in refused.stdout and ready.must("cat", file) == before
        ready.must("rm", file)
        refused = ready.run("mobeyectl", "setup", "--yes", "-c", file)
        assert refused.returncode == 1 and "each daemon needs" in refused.stdout and ready.run("test", "-e", file).returncode == 1
        assert problems(ready) == []
    finally:
        ready.must("userdel", "anna")


def test_a_daemon_that_runs_with_neither_address_nor_journal_of_the_file_is_a_problem(ready):
    ready.must("sed", "-i", MOVED, "/etc/mobeyed/mobeyed.yaml")
    assert any("mobeyed.service runs, but with neither the journal nor the http.listen of the file" in line
               for line in problems(ready)), problems(ready)


@pytest.mark.parametrize("path, mode, told", [
    (f"{JOURNAL}/lock", "0600", f"{JOURNAL}/lock belongs to root, the daemon runs as mobeyed: chown -R mobeyed: {JOURNAL}"),
    (JOURNAL, "0750", f"{JOURNAL} belongs to root, the daemon runs as mobeyed: chown -R mobeyed: {JOURNAL}"),
    ("/etc/mobeyed/pgpass", "0600", "/etc/mobeyed/pgpass belongs to root, the daemon runs as mobeyed: chown mobeyed: /etc/mobeyed/pgpass && chmod 0600 /etc/mobeyed/pgpass"),
    ("/etc/mobeyed/clients.yaml", "0600", "the user mobeyed cannot read /etc/mobeyed/clients.yaml: "
     "chown root:mobeyed /etc/mobeyed/clients.yaml && chmod 0640 /etc/mobeyed/clients.yaml"),
])
def test_files_of_another_user_are_a_problem(ready, path, mode, told):
    if "clients" in path:
        ready.must("mobeyectl", "setup", "--yes", "--curve", "--replace")
    ready.must("systemctl", "stop")
    ready.must("chown", "root:root", path)
    ready.must("chmod", mode, path)
    assert any(line.endswith(told) for line in problems(ready)), problems(ready)


@pytest.mark.parametrize("closed", [("chmod", "0700"), ("chgrp", "root")])
def test_a_directory_that_the_daemon_cannot_enter_is_a_problem(ready, closed):
    """Nothing is wrong with the files in it, nor with the database, whose password is not found."""
    ready.must(*closed, "/etc/mobeyed")
    said = ready.run("mobeyectl", "doctor").stdout
    assert said.count("cannot enter") == 1 and "ok       files        /etc/mobeyed" not in said, said
    assert ("PROBLEM  files        the user mobeyed cannot enter /etc/mobeyed: "
            "chgrp mobeyed /etc/mobeyed && chmod 0750 /etc/mobeyed\n") in said, said
    ready.must("chgrp", "mobeyed", "/etc/mobeyed")
    ready.must("chmod", "0750", "/etc/mobeyed")
    assert problems(ready) == []


def test_a_closed_directory_behind_a_link_is_a_problem(ready):
    ready.must("bash", "-c", "mkdir -m 0700 /etc/below && mv /etc/mobeyed /etc/below && ln -s below/mobeyed /etc/mobeyed")
    try:
        assert any("the user mobeyed cannot enter /etc/below: chgrp mobeyed /etc/below && chmod 0750 /etc/below" in line
                   for line in problems(ready)), problems(ready)
    finally:
        ready.must("bash", "-c", "rm /etc/mobeyed && mv /etc/below/mobeyed /etc && rmdir /etc/below")


def test_a_database_that_the_unit_blocks_is_a_problem(ready):
    """Which this program, outside of the unit, reaches."""
    (ready.home / "IPAddressAllow").write_text("10.0.0.0/8\n")
    try:
        advice = "systemctl edit mobeyed, [Service], IPAddressAllow=127.0.0.1; then systemctl restart mobeyed"
        assert f"PROBLEM  unit         the unit blocks the database at 127.0.0.1: {advice}" in problems(ready), problems(ready)
        refused = ready.run("mobeyectl", "setup", "--yes", "--no-drill")
        assert refused.returncode == 1 and "done:" not in refused.stdout, refused.stdout
        assert "mobeyed.service blocks 127.0.0.1 (systemctl edit mobeyed.service, [Service], IPAddressAllow=127.0.0.1)" in refused.stdout
    finally:
        (ready.home / "IPAddressAllow").unlink()


@pytest.mark.parametrize("change, told", [
    ("chgrp root /etc/mobeye-board", "the user mobeye-board cannot enter /etc/mobeye-board: chgrp mobeye-board /etc/mobeye-board && chmod 0750"),
    ("chmod 0600 /etc/mobeye-board/mobeye-board.yaml", "the user mobeye-board cannot open /etc/mobeye-board/mobeye-board.yaml: Permission denied: "
     "chown root:mobeye-board /etc/mobeye-board/mobeye-board.yaml && chmod 0640"),
])
def test_a_board_that_cannot_start_is_a_problem(ready, change, told):
    ready.must("mobeyectl", "setup", "--yes", "--no-drill", "--board")
    ready.must("bash", "-c", change)
    ready.must("systemctl", "stop", "mobeye-board.service")
    found = problems(ready)
    assert any(told in line for line in found), found
    assert any("board        it is enabled and not running: " in line for line in found), found


def test_root_does_not_follow_a_board_whose_variables_others_can_change(ready):
    file = "/etc/mobeye-board/mobeye-board.yaml"
    ready.must("mobeyectl", "setup", "--yes", "--no-drill", "--board")
    ready.must("sed", "-i", "s|host=[^ ]*||", file)
    ready.must("bash", "-c", "echo PGHOST=192.0.2.1 > /etc/default/mobeye-board; chmod 666 /etc/default/mobeye-board")
    (ready.home / "board.files.environment").write_text("/etc/default/mobeye-board (ignore_errors=yes)\n")
    try:
        told = ready.run("mobeyectl", "doctor").stdout
        assert "board        where it connects to is not known: /etc/default/mobeye-board is not only root's to change" in told, told
        # Who is not root cannot tell whether it is in order.
        ready.must("chmod", "600", "/etc/default/mobeye-board")
        ready.must("useradd", "-M", "-G", "mobeyed,mobeye-board", "anna")
        told = ready.run("env", f"HOME={ready.home}", "mobeyectl", "doctor", user="anna").stdout  # for systemctl
        assert "ok       board        not checked: where it connects to is not known: /etc/default/mobeye-board: Permission denied\n" in told, told
    finally:
        ready.must("bash", "-c", "rm /etc/default/mobeye-board; ! id anna || userdel anna")
    # Nor does it load its key.
    ready.must("sed", "-i", "s|conninfo: *\"*|&host=127.0.0.1 sslkey=pkcs11:token=x |", file)
    told = ready.run("mobeyectl", "doctor").stdout
    assert "board        not checked: its key is in an OpenSSL engine, which only it loads" in told, told


def test_the_directory_of_a_boards_credential_is_systemds(ready):
    """Which opens it to the unit alone."""
    ready.must("mobeyectl", "setup", "--yes", "--no-drill", "--board")
    ready.must("bash", "-c", "install -D -m 0400 /etc/mobeye-board/pgpass /run/credentials/mobeye-board.service/pgpass && chmod 0700 /run/credentials")
    ready.must("sed", "-i", "s|passfile=[^ \"]*|passfile=/run/credentials/mobeye-board.service/pgpass|", "/etc/mobeye-board/mobeye-board.yaml")
    try:
        assert not any("cannot enter" in line for line in problems(ready)), problems(ready)
    finally:
        ready.must("rm", "-r", "/run/credentials")


def test_the_mode_of_the_journal_is_that_of_its_directory(ready):
    """And not that of a file in it."""
    ready.must("chmod", "0700", JOURNAL)
    assert f"ok       files        {JOURNAL} has mode 0700\n" in ready.run("mobeyectl", "doctor").stdout
    ready.must("systemctl", "stop")
    for mode in "0000", "0500", "0300":
        ready.must("chmod", mode, JOURNAL)
        assert any(line.endswith(f" files        the user mobeyed cannot use {JOURNAL}, which has mode {mode}: chmod 0700 {JOURNAL}")
                   for line in problems(ready)), problems(ready)


def test_the_daemon_names_the_owner_of_a_lock_file_that_it_cannot_open(ready):
    ready.must("systemctl", "stop")
    ready.must("chown", "root:root", f"{JOURNAL}/lock")
    done = ready.run("mobeyed", user="mobeyed")
    assert done.returncode == 1 and "cannot open the lock file: Permission denied (must belong to the user that runs the daemon)" in done.stdout


def test_a_daemon_that_does_not_reach_the_database_is_a_problem(ready):
    """Though the file is right by now, and no alert waits yet."""
    ready.must("sed", "-i", "s/port=5432/port=5433/", "/etc/mobeyed/mobeyed.yaml")
    ready.must("systemctl", "restart")
    ready.must("sed", "-i", "s/port=5433/port=5432/", "/etc/mobeyed/mobeyed.yaml")
    wait_until(lambda: problems(ready) != [], "it has been away for some seconds")
    (told,) = problems(ready)
    assert re.search(r"backlog +the daemon has had no session on the database for \d+ s, to which this program can connect: "
                     "to make it read its file again: systemctl reload mobeyed; journalctl -u mobeyed -p warning gives the reason", told)
    ready.must("systemctl", "reload")
    wait_until(lambda: problems(ready) == [], "it has a session again")


def test_a_reload_that_was_refused_is_a_problem(ready):
    """systemctl reload fails, and the daemon itself knows; also once the file is in order again."""
    ready.must("sed", "-i", "$ a nonsense: 1", "/etc/mobeyed/mobeyed.yaml")
    done = ready.run("systemctl", "reload")
    assert done.returncode != 0 and "nonsense" in done.stdout, done.stdout
    wait_until(lambda: "nonsense" in ready.log(), "the reload is refused")
    ready.must("sed", "-i", "/^nonsense/d", "/etc/mobeyed/mobeyed.yaml")
    (told,) = problems(ready)
    assert re.search("daemon +it refused .*: journalctl -u mobeyed -p warning gives the reason", told)
    assert "the last reload was REFUSED (journalctl -u mobeyed -p warning gives the reason)" in ready.run("mobeyectl", "status").stdout


@pytest.mark.parametrize("file, change, told", [
    ("clients.yaml", "echo 'clients: 1' >", "clients.yaml:1:"),
    ("clients.yaml", "rm", "clients.yaml: .*No such file or directory"),
    ("server.key", "echo garbage >", "server.key: "),
])
def test_what_the_daemon_would_refuse_at_its_next_start_is_a_problem(ready, file, change, told):
    """Though it runs, with what it read before."""
    ready.must("mobeyectl", "setup", "--yes", "--curve", "--replace", "--no-drill")
    assert problems(ready) == []
    ready.must("bash", "-c", f"{change} /etc/mobeyed/{file}")
    assert any(re.search(f"file +the daemon refuses .*/etc/mobeyed/{told}", line) for line in problems(ready)), problems(ready)


@pytest.mark.parametrize("change", ["chown mobeyed", "chmod 0660"])
def test_a_configuration_that_the_daemon_can_change_is_a_problem(ready, change):
    """Root goes to the server that it names."""
    ready.must("bash", "-c", f"{change} /etc/mobeyed/mobeyed.yaml")
    assert problems(ready) == [
        "PROBLEM  files        the user mobeyed can change /etc/mobeyed/mobeyed.yaml, which leads root: "
        "chown root:mobeyed /etc/mobeyed/mobeyed.yaml && chmod 0640 /etc/mobeyed/mobeyed.yaml"]


def test_a_configuration_whose_directory_the_daemon_can_change_is_a_problem(ready):
    """It can replace the file; nobody else's group makes it able to."""
    ready.must("chmod", "0664", "/etc/mobeyed/mobeyed.yaml")
    ready.must("chgrp", "root", "/etc/mobeyed/mobeyed.yaml")
    assert problems(ready) == []
    ready.must("chown", "mobeyed", "/etc/mobeyed")
    assert problems(ready) == [
        "PROBLEM  files        the user mobeyed can change /etc/mobeyed, and so replace /etc/mobeyed/mobeyed.yaml, which leads root: "
        "chown root:mobeyed /etc/mobeyed && chmod 0750 /etc/mobeyed, or move the file to /etc/mobeyed"]
    ready.must("bash", "-c", "chown root /etc/mobeyed; cp -p /etc/mobeyed/mobeyed.yaml /var/lib/mobeyed; ln -s /var/lib/mobeyed/mobeyed.yaml /etc/mobeyed/north.yaml")
    assert any("the user mobeyed can change /var/lib/mobeyed, and so replace /etc/mobeyed/north.yaml, which leads root" in line
               for line in problems(ready, "-c", "/etc/mobeyed/north.yaml"))


def test_an_administrator_who_is_not_root_gets_no_false_problems(ready):
    ready.must("chmod", "0700", JOURNAL)  # as the umask of the unit has it
    ready.must("useradd", "-M", "-G", "mobeyed", "anna")
    ready.sql("create role anna login in role mobeye_owner")
    try:
        assert problems(ready, user="anna") == []
        done = ready.must("mobeyectl", "doctor", user="anna")
        assert "not checked: only root can connect as the daemon" in done and "in use by the daemon" in done
        assert re.search(r"ok +disk +not checked: only root can read", done)
    finally:
        ready.sql("drop role anna")
        ready.must("userdel", "anna")
    ready.must("useradd", "-M", "bert")
    try:
        told = ready.run("mobeyectl", "queue", user="bert").stdout
        assert "only root and members of its group can read it: usermod -aG mobeyed USER, or use --db CONNINFO" in told
        assert problems(ready, user="bert") == [
            "PROBLEM  file         /etc/mobeyed/mobeyed.yaml cannot be read (Permission denied): run doctor as root"]
    finally:
        ready.must("userdel", "bert")


def test_before_setup_everything_points_to_it(machine):
    machine.must("bash", "-c", "sed -i 's|conninfo: .*|conninfo: \"host=/run/postgresql dbname=mobeye user=mobeye_ingest\"|' /etc/mobeyed/mobeyed.yaml")
    way_out = "the database mobeye does not exist (mobeyectl setup creates it)"
    for verb in "queue", "migrate", "devices unknown", "status", "doctor":
        done = machine.run("mobeyectl", *verb.split())
        assert done.returncode == 1 and way_out in done.stdout, done.stdout


def test_a_database_that_was_restored_without_its_roles_is_told(ready):
    way_out = "a role of mobeyed is missing: mobeye_auditor (if it was renamed, rename it back; after a restore: psql -f mobeye.roles, then the dump again)"
    ready.must("mobeyectl", "migrate", "--check")
    ready.sql("alter role mobeye_auditor rename to away")
    try:
        for verb in "migrate", "migrate --check", "setup --yes":
            done = ready.run("mobeyectl", *verb.split())
            assert done.returncode == 1 and way_out in done.stdout, done.stdout
    finally:
        ready.sql("alter role away rename to mobeye_auditor")
    ready.must("systemctl", "stop")
    ready.sql("alter role mobeye_ingest rename to away")
    try:
        told = "\n".join(problems(ready))
        assert "the role mobeye_ingest does not exist (if it was renamed, rename it back; after a restore: psql" in told
    finally:
        ready.sql("alter role away rename to mobeye_ingest")


def test_a_password_that_has_expired_is_told(ready):
    ready.must("systemctl", "stop")
    ready.sql("alter role mobeye_ingest valid until '2020-01-01'")
    try:
        told = "\n".join(problems(ready))
        assert "the password of mobeye_ingest has expired (alter role mobeye_ingest valid until 'infinity'): 2" in told, told
    finally:
        ready.sql("alter role mobeye_ingest valid until 'infinity'")


def test_a_credential_is_not_missed_while_the_unit_is_stopped(ready):
    """Only the unit has it, while it runs."""
    ready.must("sed", "-i", "s|passfile=[^ \"]*|passfile=/run/credentials/mobeyed.service/pgpass|", "/etc/mobeyed/mobeyed.yaml")
    ready.must("systemctl", "stop")
    assert [line for line in problems(ready) if "database" in line] == []
    told = ready.run("mobeyectl", "doctor").stdout
    assert "not checked: the daemon's password is a credential of its unit, which does not run; what follows is seen by postgres" in told, told


def test_whom_the_database_does_not_know_is_told_so(ready):
    ready.must("useradd", "-M", "-G", "mobeyed", "carl")
    try:
        assert problems(ready, user="carl") == []
        told = ready.run("mobeyectl", "doctor", user="carl").stdout
        assert re.search("WARNING  database +not checked: only root can connect as the daemon, and the server refuses your own role: run doctor as root", told), told
        # A server that is away is a problem to everybody.
        ready.must("sed", "-i", "s|port=5432|port=1|", "/etc/mobeyed/mobeyed.yaml")
        assert "database" in " ".join(problems(ready, user="carl"))
    finally:
        ready.must("userdel", "carl")


def test_a_root_that_cannot_act_as_the_daemon_is_told_so(ready):
    """As in a user namespace of its own."""
    done = ready.run("unshare", "-r", "mobeyectl", "doctor")
    assert done.returncode == 1 and "PROBLEM  user         root cannot act as the user mobeyed: Operation not permitted" in done.stdout, done.stdout
    assert done.stdout.endswith("\n1 problem, 0 warnings\n"), done.stdout
