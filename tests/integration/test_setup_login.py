"""mobeyectl setup and the password of a daemon that has one: whom a new one would lock out, and what setup considers
its own."""
import os
import re
import shutil

import psycopg
import pytest

from harness.daemon import mobeyectl
from harness.machine_fixtures import machine, machine_of_module, ready as ready_machine  # noqa: F401
from harness.paths import ROOT
from test_setup import does, letting_in, name, place, ready, server, set_up, write_conninfo  # noqa: F401


def verifier(server):
    with psycopg.connect(server.conninfo, dbname="postgres") as connection:
        return connection.execute("select rolpassword from pg_authid where rolname = 'mobeye_ingest'").fetchone()


def conninfo_of(place):
    return (place / "mobeyed.yaml").read_text().split('conninfo: "')[1].split('"')[0]


@pytest.mark.parametrize("limit, back, told", [
    ("connection limit 0", "connection limit -1", "too many connections for role"),
    ("valid until '2020-01-01'", "valid until 'infinity'", "the password of mobeye_ingest has expired (alter role mobeye_ingest valid until"),
])
def test_a_refusal_that_no_password_mends_changes_none(server, place, name, limit, back, told):
    ready(server, place, name)
    before = verifier(server)
    with psycopg.connect(server.conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"alter role mobeye_ingest {limit}")
        try:
            refused = set_up(server, place, name, "--no-drill")
        finally:
            connection.execute(f"alter role mobeye_ingest {back}")
    assert refused.returncode == 1 and told in refused.stderr, refused.stdout + refused.stderr
    assert verifier(server) == before and not does(refused.stdout)


@pytest.mark.parametrize("option", ["--conninfo", "--admin", "file"])
def test_a_conninfo_that_is_refused_makes_no_database(server, place, name, option):
    """It has no host, and is not for this machine therefore; nothing of its password is printed."""
    refused = "postgresql://mobeye_ingest:ge/heim@db.example/mobeye"
    file = place / "mobeyed.yaml"
    text = (ROOT / "config/mobeyed.yaml").read_text()
    if option == "file":
        file.write_text(re.sub('conninfo: ".*"', f'conninfo: "{refused}"', text))
        done = set_up(server, place, name)
    elif option == "--admin":
        done = mobeyectl("setup", option, refused, "--yes", "-c", file)
    else:
        done = set_up(server, place, name, option, refused)
    where = file if option == "file" else option
    assert done.returncode == 1 and f"{where}: unexpected @ after the host" in done.stderr, done.stdout + done.stderr
    assert not done.stdout and "heim" not in done.stderr
    with psycopg.connect(server.conninfo, dbname="postgres") as connection:
        assert not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()


def test_a_login_that_only_the_unit_knows_is_left_alone(server, place, name):
    """The connection string names no passfile: the unit does, where setup does not see it."""
    ready(server, place, name)
    passfile = place / "pgpass"
    write_conninfo(place, conninfo_of(place).replace(f" passfile={passfile}", ""))
    passfile.rename(place / "credential")
    before = verifier(server)
    refused = set_up(server, place, name, "--no-drill")
    assert refused.returncode == 1 and "so no password was set" in refused.stderr, refused.stdout + refused.stderr
    assert verifier(server) == before and not passfile.exists()
    assert len(does(ready(server, place, name, "--replace"))) == 2 and passfile.exists()


def test_a_passfile_of_somebodys_own_is_left_alone(server, place, name):
    ready(server, place, name)
    passfile, elsewhere = place / "pgpass", place / "credentials"
    write_conninfo(place, conninfo_of(place).replace(f"passfile={passfile}", f"passfile={elsewhere}"))
    passfile.unlink()
    text = (place / "mobeyed.yaml").read_text()
    before = verifier(server)
    refused = set_up(server, place, name, "--no-drill")
    assert refused.returncode == 1 and "neither the sample nor what setup wrote" in refused.stderr, refused.stdout + refused.stderr
    assert verifier(server) == before and (place / "mobeyed.yaml").read_text() == text


def test_the_environment_of_the_administrator_is_not_the_daemons(server, place, name):
    ready(server, place, name)
    before = verifier(server)
    passfile = place / "of_root"
    passfile.write_text("*:*:*:*:other\n")
    passfile.chmod(0o600)
    for variable, value in ("PGPASSWORD", "other"), ("PGPASSFILE", str(passfile)):
        done = set_up(server, place, name, "--no-drill", env={**os.environ, variable: value})
        assert done.returncode == 0 and not does(done.stdout), variable + done.stdout + done.stderr
    # Nor does the administrator's password take the place of the daemon's.
    shutil.move(place / "pgpass", place / "away")
    password = (place / "away").read_text().strip().rsplit(":", 1)[1]
    done = set_up(server, place, name, "--no-drill", env={**os.environ, "PGPASSWORD": password})
    assert len(does(done.stdout)) == 1 and verifier(server) != before, done.stdout + done.stderr


def test_a_password_that_is_in_use_on_this_machine_is_not_replaced(server, place, name):
    """By another daemon, or by this one, which would not notice before it connects again."""
    ready(server, place, name)
    passfile = place / "pgpass"
    theirs, before = passfile.read_text(), verifier(server)
    passfile.unlink()
    with psycopg.connect(conninfo_of(place), password=theirs.strip().rsplit(":", 1)[1]):
        refused = set_up(server, place, name, "--no-drill")
    assert refused.returncode == 1 and "would lock out the daemon at 127.0.0.1" in refused.stderr, refused.stdout + refused.stderr
    assert verifier(server) == before and not passfile.exists()


def test_a_passfile_that_libpq_passes_over_is_put_right_though_the_daemon_runs(server, place, name):
    """The password in it is the right one: nobody needs another."""
    ready(server, place, name)
    passfile, before = place / "pgpass", verifier(server)
    text = passfile.read_text()
    passfile.chmod(0o644)
    with psycopg.connect(conninfo_of(place), password=text.strip().rsplit(":", 1)[1]):
        planned = set_up(server, place, name, "--no-drill", "--dry-run")
        assert planned.returncode == 0 and "1 change required" in planned.stdout, planned.stdout + planned.stderr
        assert passfile.stat().st_mode & 0o777 == 0o644
        assert does(ready(server, place, name)) == [f"give {passfile} to the daemon alone"]
    assert passfile.stat().st_mode & 0o777 == 0o600 and passfile.read_text() == text and verifier(server) == before
    assert not does(ready(server, place, name))


def test_a_passfile_for_a_host_of_another_name_is_put_right(server, place, name):
    """Its line is for the host of the connection string, not for that of setup."""
    ready(server, place, name)
    passfile, before = place / "pgpass", verifier(server)
    passfile.write_text(passfile.read_text().replace("127.0.0.1", "localhost"))
    write_conninfo(place, conninfo_of(place).replace("host=127.0.0.1", "host=localhost"))
    assert not does(ready(server, place, name))
    passfile.chmod(0o644)
    with psycopg.connect(conninfo_of(place), password=passfile.read_text().strip().rsplit(":", 1)[1]):
        assert does(ready(server, place, name)) == [f"give {passfile} to the daemon alone"]
    assert verifier(server) == before and "host=localhost" in conninfo_of(place)


def test_a_link_stays_one(server, place, name):
    """Where the files are kept elsewhere, as below version control."""
    ready(server, place, name)
    kept = place / "kept"
    kept.mkdir()
    for file in "mobeyed.yaml", "pgpass":
        shutil.move(place / file, kept / file)
        (place / file).symlink_to(kept / file)
    first = (kept / "mobeyed.yaml").read_text()
    (kept / "pgpass").chmod(0o644)
    done = set_up(server, place, name, "--instance", "soest-1", "--no-drill")
    assert done.returncode == 0, done.stderr
    assert all((place / file).is_symlink() for file in ("mobeyed.yaml", "pgpass"))
    assert (kept / "pgpass").stat().st_mode & 0o777 == 0o600
    assert 'instance: "soest-1"' in (kept / "mobeyed.yaml").read_text()
    assert (kept / "mobeyed.yaml.before-setup").read_text() == first


def test_a_passfile_of_root_is_given_to_the_daemon(ready_machine):
    machine = ready_machine
    machine.must("chown", "root:root", "/etc/mobeyed/pgpass")
    done = does(machine.must("mobeyectl", "setup", "--yes", "--no-drill"))
    assert "give /etc/mobeyed/pgpass to the daemon alone" in done and not any("password" in one for one in done), done
    assert machine.must("stat", "-c", "%a %U", "/etc/mobeyed/pgpass") == "600 mobeyed\n"


@pytest.mark.parametrize("option, told", [
    ("sslrootcert=ca.crt", "sslrootcert=ca.crt is relative (expected an absolute path)"),
    ("passfile=pgpass", "passfile=pgpass is relative (expected an absolute path)"),
    ("sslrootcert=/root/ca.crt", "the unit hides sslrootcert=/root/ca.crt from the daemon (expected a file outside of /home, /root, /tmp and /var/tmp)"),
])
def test_a_file_that_the_unit_does_not_have_is_refused(ready_machine, option, told):
    """setup sees it, and the service would not."""
    machine = ready_machine
    machine.must("bash", "-c", "cp /etc/mobeyed/pgpass /root/pgpass; touch /root/ca.crt")
    conninfo = f"host=127.0.0.1 port=5432 dbname=mobeye user=mobeye_ingest passfile=/etc/mobeyed/pgpass {option}"
    before = (machine.etc / "mobeyed.yaml").read_text()
    refused = machine.run("bash", "-c", f"cd /root && mobeyectl setup --yes --no-drill --replace --conninfo '{conninfo}'")
    assert refused.returncode == 1 and told in refused.stdout, refused.stdout
    assert (machine.etc / "mobeyed.yaml").read_text() == before
    assert does(machine.must("mobeyectl", "setup", "--yes", "--no-drill")) == []


def test_a_file_that_an_edited_unit_has_is_not_refused(ready_machine):
    """Nor is a key that is in no file."""
    machine = ready_machine
    conninfo = conninfo_of(machine.etc)
    (machine.home / "ProtectHome").write_text("read-only\n")
    try:
        for option in "sslrootcert=/root/ca.crt", "sslkey=pkcs11:object=key":
            done = machine.run("mobeyectl", "setup", "--dry-run", "--conninfo", f"{conninfo} sslmode=disable {option}")
            assert done.returncode == 0, done.stdout
    finally:
        (machine.home / "ProtectHome").unlink()


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_directory_that_is_closed_to_the_daemon_is_named(ready_machine, dry):
    """The password is right and the daemon is connected with it: neither to be replaced nor to be stopped."""
    machine = ready_machine
    before = machine.sql("select rolpassword from pg_authid where rolname = 'mobeye_ingest'")
    machine.must("chgrp", "root", "/etc/mobeyed")
    refused = machine.run("mobeyectl", "setup", "--yes", "--no-drill", *dry)
    assert refused.returncode == 1 and not does(refused.stdout), refused.stdout
    assert "the user mobeyed cannot open /etc/mobeyed/pgpass: Permission denied (mobeyectl doctor shows what is blocked" in refused.stdout
    assert machine.sql("select rolpassword from pg_authid where rolname = 'mobeye_ingest'") == before


def test_a_credential_is_not_missed_while_the_unit_is_stopped(ready_machine):
    """Only the unit has it, while it runs: setup starts it, and gives nobody another password."""
    machine = ready_machine
    before = machine.sql("select rolpassword from pg_authid where rolname = 'mobeye_ingest'")
    machine.must("sed", "-i", "s|passfile=[^ \"]*|passfile=/run/credentials/mobeyed.service/pgpass|", "/etc/mobeyed/mobeyed.yaml")
    text = (machine.etc / "mobeyed.yaml").read_text()
    machine.must("mv", "/etc/mobeyed/pgpass", machine.home / "pgpass.credential")
    machine.must("systemctl", "stop")
    done = machine.must("mobeyectl", "setup", "--yes", "--no-drill")
    assert "the password of the daemon is a credential of its unit, which does not run: not checked" in done, done
    assert does(done) == ["systemctl restart mobeyed.service"] and (machine.etc / "mobeyed.yaml").read_text() == text
    assert machine.sql("select rolpassword from pg_authid where rolname = 'mobeye_ingest'") == before


def test_a_credential_is_checked_once_the_unit_runs(ready_machine):
    machine = ready_machine
    machine.must("sed", "-i", "s|passfile=[^ \"]*|passfile=/run/credentials/mobeyed.service/pgpass|", "/etc/mobeyed/mobeyed.yaml")
    machine.must("mv", "/etc/mobeyed/pgpass", machine.home / "pgpass.credential")
    machine.must("systemctl", "stop")
    machine.sql("alter role mobeye_ingest password 'another'")
    refused = machine.run("mobeyectl", "setup", "--yes", "--no-drill")
    assert refused.returncode == 1 and "the daemon cannot connect: " in refused.stdout, refused.stdout
    assert does(refused.stdout) == ["systemctl restart mobeyed.service"]


def test_a_credential_that_a_running_unit_lacks_is_refused(ready_machine):
    """A daemon that is connected is not reloaded with a connection string that does not work."""
    machine = ready_machine
    file = machine.etc / "mobeyed.yaml"
    credential = re.sub("passfile=[^ \"]*", "passfile=/run/credentials/mobeyed.service/pgpass", conninfo_of(machine.etc))
    before = file.read_text()
    for stop in "true", "systemctl stop":
        refused = machine.run("bash", "-c", f"{stop}; mobeyectl setup --yes --no-drill --replace --conninfo '{credential}'")
        assert refused.returncode == 1 and "cannot connect with --conninfo" in refused.stdout, refused.stdout
        assert not does(refused.stdout) and file.read_text() == before
    machine.must("systemctl", "start")
    file.write_text(before.replace(conninfo_of(machine.etc), credential))
    refused = machine.run("mobeyectl", "setup", "--yes", "--no-drill")
    assert refused.returncode == 1 and "is left unchanged" in refused.stdout and "reload" not in refused.stdout, refused.stdout


def test_a_dry_run_says_what_a_run_would_need(server, place, name):
    ready(server, place, name)
    write_conninfo(place, conninfo_of(place) + " application_name=hand")
    (place / "pgpass").unlink()
    planned = set_up(server, place, name, "--no-drill", "--dry-run")
    assert planned.returncode == 0 and "requires --replace" not in planned.stdout, planned.stdout
    assert "1 change required" in planned.stdout
    assert len(does(ready(server, place, name))) == 1


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize("lines, change, undo, told", [
    ("host all harness 127.0.0.1/32 scram-sha-256\n", "", "", "no pg_hba.conf entry"),
    (None, "alter role mobeye_ingest nologin", "alter role mobeye_ingest login", "is not permitted to log in"),
])
def test_a_login_that_the_server_bars_gets_no_password(server, place, name, lines, change, undo, told, dry):
    """Nor does a dry run call it one that can connect."""
    ready(server, place, name)
    before = verifier(server)
    with letting_in(server, lambda debians: lines or debians), \
            psycopg.connect(server.conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute(change)
        try:
            refused = set_up(server, place, name, "--no-drill", *dry)
        finally:
            connection.execute(undo)
    assert refused.returncode == 1 and told in refused.stderr and not does(refused.stdout), refused.stdout + refused.stderr
    assert "can connect with" not in refused.stdout and verifier(server) == before


def test_a_dry_run_takes_the_passfile_of_a_database_that_is_gone(server, place, name):
    ready(server, place, name)
    with psycopg.connect(server.conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")
    planned = set_up(server, place, name, "--no-drill", "--dry-run")
    assert planned.returncode == 0 and "can connect with the password in" in planned.stdout, planned.stdout + planned.stderr


def environment_of(machine, unit, *variables):
    (machine.home / f"{unit}.environment").write_text(f"OTHER=1 {' '.join(variables)}\n")


@pytest.fixture
def named(ready_machine):
    """The connection string does not say where the server and the password are."""
    machine = ready_machine
    machine.must("cp", "-a", "/etc/mobeyed/pgpass", "/var/lib/mobeyed/credential")
    machine.must("bash", "-c", "sed 's| passfile=/etc/mobeyed/pgpass||; s|host=127.0.0.1 ||' /etc/mobeyed/mobeyed.yaml"
                 " > /etc/mobeyed/named && chmod --reference=/etc/mobeyed/mobeyed.yaml /etc/mobeyed/named"
                 " && chown --reference=/etc/mobeyed/mobeyed.yaml /etc/mobeyed/named")
    yield machine
    for file in machine.home.glob("*.environment"):
        file.unlink()


VARIABLES = "PGHOST=127.0.0.1", "PGPASSFILE=/var/lib/mobeyed/credential"


def test_the_variables_that_the_unit_sets_are_the_daemons(named):
    named.must("mv", "/etc/mobeyed/named", "/etc/mobeyed/mobeyed.yaml")
    named.must("rm", "/etc/mobeyed/pgpass")
    environment_of(named, "mobeyed.service", *VARIABLES)
    named.must("systemctl", "restart")
    assert "the daemon can connect to the database" in named.must("mobeyectl", "setup", "--yes")
    named.must("mobeyectl", "doctor")


def test_an_instance_has_the_variables_of_its_own_unit(named):
    named.must("mv", "/etc/mobeyed/named", "/etc/mobeyed/north.yaml")
    environment_of(named, "mobeyed@north.service", *VARIABLES)
    assert "PROBLEM  database" not in named.run("mobeyectl", "doctor", "-c", "/etc/mobeyed/north.yaml").stdout
    assert "PROBLEM  database" not in named.must("mobeyectl", "doctor")
    environment_of(named, "mobeyed@north.service")
    environment_of(named, "mobeyed.service", *VARIABLES)
    assert "PROBLEM  database" in named.run("mobeyectl", "doctor", "-c", "/etc/mobeyed/north.yaml").stdout


def test_the_daemons_user_has_its_own_variables(named):
    doctor = "mobeyectl", "doctor", "-c", "/etc/mobeyed/named"
    assert "PROBLEM  database" not in named.run("env", *VARIABLES, *doctor, user="mobeyed").stdout
    assert "PROBLEM  database" in named.run(*doctor, user="mobeyed").stdout


@pytest.mark.parametrize("written, password", [
    (r"we\:ird\\pw", r"we:ird\pw"),
    ("abc:def", "abc"),
    (r"plain\pw", "plainpw"),
    ("carriage\r", "carriage"),
    (r"with space's $1 \u00fc", "with space's $1 u00fc"),
])
def test_a_password_in_the_passfile_is_the_one_that_libpq_reads(server, place, name, written, password):
    ready(server, place, name)
    passfile = place / "pgpass"
    passfile.write_text(passfile.read_text().rsplit(":", 1)[0] + f":{written}\n", newline="")
    assert does(ready(server, place, name)) == [f"set the password of mobeye_ingest to the one in {passfile}"]
    with psycopg.connect(conninfo_of(place).replace(f" passfile={passfile}", ""), password=password):
        pass
    assert does(ready(server, place, name)) == []


def test_a_passfile_that_is_no_file_is_refused(server, place, name):
    """A FIFO would have setup wait for its writer."""
    ready(server, place, name)
    (place / "pgpass").unlink()
    os.mkfifo(place / "pgpass", 0o600)
    refused = set_up(server, place, name, "--no-drill")
    assert refused.returncode == 1 and "is not a regular file" in refused.stderr, refused.stdout + refused.stderr


def test_a_linked_directory_is_named_as_the_administrator_does(server, place, name):
    """Moved elsewhere after the first setup, and linked: what setup wrote is still setup's."""
    etc, moved = place / "etc", place / "srv"
    etc.mkdir(mode=0o755)
    ready(server, etc, name)
    etc.rename(moved)
    etc.symlink_to(moved)
    (moved / "pgpass").unlink()
    assert does(ready(server, etc, name)) == [f"set the password of mobeye_ingest and write it to {moved}/pgpass"]
    assert f"passfile={etc}/pgpass" in conninfo_of(etc)


def test_keys_of_root_are_given_to_who_reads_them(ready_machine):
    """As keygen leaves them: before the daemon is told to use them."""
    machine = ready_machine
    machine.must("mobeyectl", "keygen", "/etc/mobeyed/server.key")
    machine.must("chown", "root:root", "/etc/mobeyed/server.key")
    done = does(machine.must("mobeyectl", "setup", "--yes", "--curve"))
    assert "give /etc/mobeyed/server.key to the daemon alone" in done, done
    assert machine.must("stat", "-c", "%a %U", "/etc/mobeyed/server.key") == "600 mobeyed\n"


def test_a_link_does_not_hide_that_the_unit_hides_a_file(ready_machine):
    machine = ready_machine
    machine.must("bash", "-c", "touch /root/ca.crt; mkdir -p /etc/ssl/mob; ln -sf /root/ca.crt /etc/ssl/mob/h.pem")
    refused = machine.run("mobeyectl", "setup", "--yes", "--no-drill", "--replace", "--conninfo",
                          f"{conninfo_of(machine.etc)} sslrootcert=/etc/ssl/mob/h.pem")
    assert refused.returncode == 1 and "the unit hides sslrootcert=/etc/ssl/mob/h.pem from the daemon" in refused.stdout, refused.stdout


@pytest.mark.parametrize("key, targets", [("server_key", ["shadow", "roots.key", "absent"]), ("clients", ["clients", "absent"])])
def test_root_gives_nothing_away_by_a_link_of_the_daemons_user(ready_machine, key, targets):
    """The file names it below the directory of that user."""
    machine = ready_machine
    machine.must("mobeyectl", "setup", "--yes", "--no-drill", "--curve", "--replace")
    machine.must("bash", "-c", "rm -f /etc/roots.key; mobeyectl keygen /etc/roots.key; echo 'clients: []' > /etc/clients; chmod 600 /etc/clients")
    machine.must("sed", "-i", f"s|^  {key}: .*|  {key}: /var/lib/mobeyed/{key}|", "/etc/mobeyed/mobeyed.yaml")
    listed = "stat", "-c", "%a %U:%G %s", "/etc/shadow", "/etc/roots.key", "/etc/clients"
    before = machine.must(*listed)
    for target in targets:
        machine.must("ln", "-sfn", f"/etc/{target}", f"/var/lib/mobeyed/{key}", user="mobeyed")
        for dry in [], ["--dry-run"]:
            refused = machine.run("mobeyectl", "setup", "--yes", "--no-drill", "--curve", *dry)
            assert refused.returncode == 1 and f"/var/lib/mobeyed/{key} is not only root's to change" in refused.stdout, refused.stdout
            assert machine.must(*listed) == before and machine.run("ls", "/etc/absent").returncode != 0
            assert not does(refused.stdout)


def test_only_a_key_is_given_to_the_daemon(ready_machine):
    machine = ready_machine
    machine.must("bash", "-c", "echo 'not a key' > /etc/mobeyed/server.key && chmod 600 /etc/mobeyed/server.key")
    refused = machine.run("mobeyectl", "setup", "--yes", "--no-drill", "--curve")
    assert refused.returncode == 1 and "/etc/mobeyed/server.key: does not contain a key" in refused.stdout, refused.stdout
    assert machine.must("stat", "-c", "%U", "/etc/mobeyed/server.key") == "root\n"
