"""mobeyectl setup: from nothing to a drill alert in the database, and nothing twice. PostgreSQL lets in whom Debian's
lets in: by the socket each under their own name, by TCP with a password."""
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import threading

import psycopg
import pytest
import zmq

from harness.cluster import Cluster
from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL, MOBEYED, ROOT, free_port
from harness.wait import wait_until


@pytest.fixture(scope="module")
def server():
    """A separate cluster: passwords of roles apply to all of it."""
    cluster = Cluster(migrated=False, MOBEYE_PG_AUTH="debian")
    yield cluster
    cluster.close()


@pytest.fixture
def place():
    """A directory that other users can look into, as /etc/mobeyed is one."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="setup."))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def name(server, request):
    """That of a database of the test's own."""
    name = re.sub(r"\W", "_", request.node.name)[:60]
    yield name
    with psycopg.connect(server.conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")


def set_up(server, place, name, *more, **how):
    return mobeyectl("setup", "--admin", server.conninfo, "--database", name, "--yes", "-c", place / "mobeyed.yaml", *more, **how)


def ready(server, place, name, *more):
    done = set_up(server, place, name, "--instance", "leusden-1", "--no-drill", *more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def does(output):
    return re.findall("^done: +(.*)", output, re.M)


def test_a_dry_run_changes_nothing(server, place, name):
    done = set_up(server, place, name, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "6 changes required; nothing was changed" in done.stdout, done.stdout
    assert not list(place.iterdir())
    with psycopg.connect(server.conninfo, dbname="postgres") as connection:
        assert not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()


def test_it_makes_all_and_then_nothing(server, place, name):
    assert len(does(ready(server, place, name))) == 5
    text = (place / "mobeyed.yaml").read_text()
    assert 'instance: "leusden-1"' in text and f"dbname={name} " in text and "# A label for this daemon" in text
    assert (place / "mobeyed.yaml").stat().st_mode & 0o777 == 0o640
    again = ready(server, place, name)
    assert not does(again) and again.count("unchanged:") == 5, again
    assert (place / "mobeyed.yaml").read_text() == text
    assert {file.name for file in place.iterdir()} == {"mobeyed.yaml", "pgpass"}


def test_people_see_the_time_of_the_configuration(server, place, name):
    assert any("time zone of the database to Europe/Amsterdam" in line for line in does(ready(server, place, name)))
    with psycopg.connect(server.conninfo, dbname=name) as connection:
        assert connection.execute("select to_char(timestamptz '2026-01-01 21:00Z', 'HH24:MI TZ')").fetchone() == ("22:00 CET",)
    file = place / "mobeyed.yaml"
    file.write_text(re.sub(r"^#? *timezone: .*$", "timezone: America/Curacao", file.read_text(), count=1, flags=re.M))
    assert does(ready(server, place, name)) == ["set the time zone of the database to America/Curacao, for all who connect from now on"]
    with psycopg.connect(server.conninfo, dbname=name) as connection:
        assert connection.execute("show timezone").fetchone() == ("America/Curacao",)
    assert does(ready(server, place, name)) == []


def test_peoples_logins_get_timeouts_once(server, place, name):
    ready(server, place, name)
    settings = ("select unnest(s.setconfig) from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase"
                " where s.setrole = 'limited'::regrole and d.datname = %s order by 1")
    with psycopg.connect(server.conninfo, dbname=name, autocommit=True) as connection:
        connection.execute("create role limited login in role mobeye_patrol; create role elsewhere login;"
                           "create role own login in role mobeye_auditor; alter role own set statement_timeout = '1h'")
        try:
            done = does(ready(server, place, name))
            assert len(done) == 1 and re.fullmatch("limit statements .* for limited", done[0]), done
            assert [row[0] for row in connection.execute(settings, [name])] == [
                "idle_in_transaction_session_timeout=5min", "statement_timeout=2min"]
            assert not does(ready(server, place, name))
        finally:
            connection.execute("drop role limited, elsewhere, own")


def test_the_files_of_the_package_are_filled_in(server, place, name):
    for file in "mobeyed.yaml", "clients.yaml":
        shutil.copy(ROOT / "config" / file, place)
    done = set_up(server, place, name, "--curve", "--no-drill")
    assert done.returncode == 0, done.stdout + done.stderr
    text = (place / "mobeyed.yaml").read_text()
    assert f"dbname={name} " in text and f'server_key: "{place}/server.key"' in text and "amersfoort-1" not in text
    assert "name: drill" in (place / "clients.yaml").read_text()
    assert {file.name for file in place.iterdir()} == {"mobeyed.yaml", "clients.yaml", "pgpass", "server.key", "drill.key"}


def test_a_file_that_was_changed_is_not_changed_silently(server, place, name):
    ready(server, place, name)
    file = place / "mobeyed.yaml"
    mine = file.read_text().replace("#batch_max: 20000", "batch_max: 400")
    file.write_text(mine)
    other = [server, place, name, "--instance", "soest-1", "--no-drill"]
    refused = set_up(*other)
    assert refused.returncode == 1 and "left unchanged" in refused.stderr
    assert file.read_text() == mine and 'instance: "soest-1"' in (place / "mobeyed.yaml.setup").read_text()
    for more, told in ((), True), (("--replace",), False):
        planned = set_up(*other, "--dry-run", *more)
        assert planned.returncode == 0 and ("(requires --replace)" in planned.stdout) == told, planned.stdout
    replaced = set_up(*other, "--replace")
    assert replaced.returncode == 0, replaced.stderr
    # What is not setup's own stays as it was.
    assert file.read_text() == mine.replace('"leusden-1"', '"soest-1"')
    assert (place / "mobeyed.yaml.before-setup").read_text() == mine
    assert not (place / "mobeyed.yaml.setup").exists()


def test_what_setup_wrote_itself_it_changes_and_keeps(server, place, name):
    """By then it holds a password's file or a conninfo of somebody's own, so it is kept."""
    ready(server, place, name)
    file = place / "mobeyed.yaml"
    first = file.read_text()
    secured = ready(server, place, name, "--curve")
    assert f"change {file}; the old file is {file}.before-setup" in secured
    assert (place / "mobeyed.yaml.before-setup").read_text() == first
    assert f'server_key: "{place}/server.key"' in file.read_text()
    done = set_up(server, place, name, "--instance", "soest-1", "--no-drill")
    assert done.returncode == 0, done.stderr
    assert 'instance: "soest-1"' in file.read_text() and f'server_key: "{place}/server.key"' in file.read_text()
    # A remark on the same line is somebody's own.
    file.write_text(file.read_text().replace('"soest-1"', '"soest-1" # ours'))
    refused = set_up(server, place, name, "--instance", "baarn-1", "--no-drill")
    assert refused.returncode == 1 and "left unchanged" in refused.stderr and "# ours" in file.read_text()


def write_conninfo(place, conninfo):
    file = place / "mobeyed.yaml"
    text, n = re.subn('conninfo: ".*"', f'conninfo: "{conninfo}"', file.read_text())
    assert n == 1
    file.write_text(text)
    return text


def test_a_connection_string_of_somebodys_own_is_left_alone(server, place, name):
    ready(server, place, name)
    file = place / "mobeyed.yaml"
    setups = re.search('conninfo: "(.*)"', file.read_text())[1]
    mine = write_conninfo(place, f"{setups} application_name=hand connect_timeout=5")
    # As the guide has a password changed: it works again with the new one.
    (place / "pgpass").unlink()
    assert does(ready(server, place, name)) == [f"set the password of mobeye_ingest and write it to {place}/pgpass"]
    assert file.read_text() == mine
    # One that does not work whatever the password is.
    mine = write_conninfo(place, f"{setups} application_name=hand".replace("127.0.0.1", "127.0.0.9"))
    assert "mobeyed.yaml (requires --replace)" in set_up(server, place, name, "--dry-run").stdout
    refused = set_up(server, place, name, "--no-drill")
    assert refused.returncode == 1 and "left unchanged" in refused.stderr, refused.stderr
    assert file.read_text() == mine
    # What setup itself may have written is changed.
    write_conninfo(place, setups.replace("127.0.0.1", "127.0.0.9"))
    assert f"change {file}; " in does(ready(server, place, name))[0]
    assert f'conninfo: "{setups}"' in file.read_text()


def test_a_file_that_was_changed_says_which_database_it_is(server, place, name):
    ready(server, place, name)
    done = mobeyectl("setup", "--admin", server.conninfo, "--yes", "-c", place / "mobeyed.yaml", "--no-drill")
    assert done.returncode == 0 and not does(done.stdout), done.stdout + done.stderr


def use_server(server, place):
    """The daemon's connection is by the socket of this server, which is not that of Debian's first cluster."""
    file = place / "mobeyed.yaml"
    port = psycopg.conninfo.conninfo_to_dict(server.conninfo)["port"]
    mine = f"host={server.data.parent} port={port}"
    file.write_text(file.read_text().replace("host=/run/postgresql", mine).replace(f"host=127.0.0.1 port={port}", mine))
    assert mine in file.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as the superuser postgres")
def test_the_superuser_is_that_of_the_server_of_the_daemon(server, place, name):
    """There may be another cluster at port 5432."""
    ready(server, place, name)
    use_server(server, place)
    done = mobeyectl("setup", "--dry-run", "-c", place / "mobeyed.yaml")
    assert done.returncode == 0 and f"unchanged:     the database {name} exists" in done.stdout, done.stdout + done.stderr
    # Also where the connection string is not that of the file.
    conninfo = f"host={server.data.parent} port={psycopg.conninfo.conninfo_to_dict(server.conninfo)['port']} dbname={name} user=mobeye_ingest"
    done = mobeyectl("setup", "--dry-run", "-c", place / "new.yaml", "--database", name, "--conninfo", conninfo)
    assert f"unchanged:     the database {name} exists" in done.stdout, done.stdout + done.stderr


def test_a_database_elsewhere_is_not_made_here(place):
    file = place / "mobeyed.yaml"
    file.write_text((ROOT / "config/mobeyed.yaml").read_text().replace("host=/run/postgresql", "host=192.0.2.1"))
    done = mobeyectl("setup", "--yes", "-c", file)
    assert done.returncode == 1 and "on another machine (expected --admin" in done.stderr


@pytest.mark.parametrize("conninfo, why", [("host={place}", "No such file or directory"),
                                           ("host=127.0.0.1 port={port} password=wrong", "password authentication failed")])
def test_a_conninfo_that_does_not_work_stops_it_in_the_words_of_libpq(server, place, request, conninfo, why):
    name = "a_conninfo_that_does_not_work"
    port = psycopg.conninfo.conninfo_to_dict(server.conninfo)["port"]
    conninfo = conninfo.format(place=place, port=port)
    done = set_up(server, place, name, "--conninfo", f"{conninfo} dbname={name} user=mobeye_ingest")
    assert done.returncode == 1 and "cannot connect with --conninfo" in done.stderr and why in done.stderr, done.stderr
    assert not (place / "mobeyed.yaml").exists()


def test_no_superuser_is_told(place):
    done = mobeyectl("setup", "--admin", f"host={place}", "--yes", "-c", place / "mobeyed.yaml")
    assert done.returncode == 1 and "cannot connect to PostgreSQL as a superuser" in done.stderr
    assert "No such file or directory" in done.stderr and "(correct --admin)" in done.stderr


@pytest.mark.parametrize("clusters, advice", [
    ([], "(install postgresql and postgresql-postgis, or give --admin)"),
    (["15 main 5432 online postgres /d /l", "16 new 5433 down postgres /d /l"],
     "PostgreSQL 16 is installed, but its cluster new is not running (systemctl start postgresql@16-new, or give --admin)"),
    (["15 main 5444 online postgres /d /l"], 'for another port than 5432 give --admin "host=/run/postgresql port=5444 '),
    (["15 main {port} online postgres /d /l", "16 new 5433 down postgres /d /l"], "PostgreSQL 15 runs on port {port} ("),
])
def test_a_server_that_is_stopped_is_not_taken_for_none(place, clusters, advice):
    """By what Debian's pg_lsclusters lists."""
    lists = place / "pg_lsclusters"
    port = str(free_port())
    lines = [f"echo '{one.format(port=port)}'" for one in clusters]
    lists.write_text("\n".join(["#!/bin/sh", '[ "$*" = -h ] || exit 1', *lines, ""]))
    lists.chmod(0o755)
    env = {**os.environ, "PATH": f"{place}:{os.environ['PATH']}", "PGPORT": port}
    done = mobeyectl("setup", "--dry-run", "-c", place / "mobeyed.yaml", env=env)
    assert done.returncode == 1 and "cannot connect to PostgreSQL as a superuser" in done.stderr
    assert advice.format(port=port) in done.stderr and "No such file or directory" in done.stderr, done.stderr


def test_the_password_is_in_no_output_and_no_log(server, place, name):
    output = ready(server, place, name)
    passfile = place / "pgpass"
    assert passfile.stat().st_mode & 0o777 == 0o600
    password = passfile.read_text().strip().rsplit(":", 1)[1]
    assert len(password) == 48 and password not in output
    assert password not in (place / "mobeyed.yaml").read_text()
    assert password not in (server.data.parent / "log").read_text()


def test_a_passfile_that_is_there_is_used(server, place, name):
    """Also where the configuration is gone, or the role has another password: the file has the word."""
    ready(server, place, name)
    passfile = (place / "pgpass").read_text()
    (place / "mobeyed.yaml").unlink()
    assert does(ready(server, place, name)) == [f"write {place}/mobeyed.yaml"]
    with psycopg.connect(server.conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute("alter role mobeye_ingest password 'another'")
    (again,) = does(ready(server, place, name))
    assert "to the one in" in again and (place / "pgpass").read_text() == passfile
    assert not does(ready(server, place, name))


def test_a_passfile_without_a_line_for_it_is_not_written_over(server, place, name):
    ready(server, place, name)
    (place / "pgpass").write_text("wrong\n")
    refused = set_up(server, place, name, "--no-drill")
    assert refused.returncode == 1 and "has no line that begins with 127.0.0.1:" in refused.stderr
    assert (place / "pgpass").read_text() == "wrong\n"


@contextlib.contextmanager
def letting_in(server, lines):
    """With another pg_hba.conf, in which harness gets in."""
    def load_time():
        with psycopg.connect(server.conninfo, dbname="postgres") as connection:
            return connection.execute("select pg_conf_load_time()").fetchone()

    def put(text):
        before = load_time()
        hba.write_text(text)
        server.reload()
        wait_until(lambda: load_time() > before, "pg_hba.conf is in force")

    hba = server.data / "pg_hba.conf"
    debians = hba.read_text()
    try:
        put(lines(debians))
        yield
    finally:
        put(debians)


def test_pg_hba_is_named_where_it_is_the_reason(server, place, name):
    with letting_in(server, lambda _: "host all harness 127.0.0.1/32 scram-sha-256\n"):
        done = set_up(server, place, name, "--no-drill")
        assert done.returncode == 1 and "no pg_hba.conf entry for host" in done.stderr, done.stderr
        assert f"host {name} mobeye_ingest 127.0.0.1/32 scram-sha-256" in done.stderr
    ready(server, place, name)


@contextlib.contextmanager
def elsewhere(server, password):
    """The daemon's role is connected from another address, through something in between."""
    port = int(psycopg.conninfo.conninfo_to_dict(server.conninfo)["port"])
    with socket.create_server(("127.0.0.1", 0)) as door:
        def carry(one, other):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)

        def stand_between():
            with door.accept()[0] as near, socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)) as far:
                back = threading.Thread(target=carry, args=(far, near))
                back.start()
                carry(near, far)
                back.join()

        between = threading.Thread(target=stand_between)
        between.start()
        with psycopg.connect(host="127.0.0.1", port=door.getsockname()[1], user="mobeye_ingest", password=password,
                             dbname="postgres"):
            yield
        between.join()


def test_a_password_that_others_use_stays_theirs(server, place, name):
    ready(server, place, name)
    passfile = place / "pgpass"
    theirs = passfile.read_text()
    passfile.unlink()
    with letting_in(server, lambda debians: debians + "host all mobeye_ingest 127.0.0.2/32 scram-sha-256\n"), \
            elsewhere(server, theirs.strip().rsplit(":", 1)[1]):
        refused = set_up(server, place, name, "--no-drill")
        assert refused.returncode == 1 and "would lock out the daemon at 127.0.0.2" in refused.stderr, refused.stderr
        assert not passfile.exists()
        # As it says.
        passfile.write_text(theirs)
        passfile.chmod(0o600)
        assert not does(ready(server, place, name))
    # Nobody else is there any longer.
    passfile.unlink()
    assert len(does(ready(server, place, name))) == 1 and passfile.read_text() != theirs


def use_free_ports(place):
    file = place / "mobeyed.yaml"
    file.write_text(file.read_text().replace(":5555", f":{free_port()}").replace(":9464", f":{free_port()}")
                    .replace("/var/lib/mobeyed/journal", str(place / "journal")))
    return re.search(r"tcp://127.0.0.1:\d+", file.read_text())[0]


@contextlib.contextmanager
def running(place):
    with subprocess.Popen([MOBEYED, "-c", place / "mobeyed.yaml"], stderr=subprocess.PIPE, text=True) as daemon:
        try:
            wait_until(lambda: "is ready" in daemon.stderr.readline(), "the daemon is ready")
            yield
        finally:
            daemon.terminate()


def test_a_drill_goes_through_to_the_database(server, place, name):
    ready(server, place, name)
    use_free_ports(place)
    away = set_up(server, place, name)
    assert away.returncode == 1 and "systemctl restart mobeyed" in away.stderr
    with running(place):
        done = set_up(server, place, name)
        assert done.returncode == 0, done.stderr
        assert "a drill alert" in done.stdout
    with psycopg.connect(server.conninfo, dbname=name) as connection:
        assert connection.execute("select drill, device_id from patrol.alerts").fetchall() == [(True, "drill")]


def test_questions_are_asked_on_a_terminal_alone(server, place, name):
    """Under script(1), which is one."""
    if not shutil.which("script"):
        pytest.skip("script(1) is not installed")

    def answer(*answers):
        command = shlex.join(map(str, [MOBEYECTL, "setup", "--admin", server.conninfo, "--no-drill", "-c", place / "mobeyed.yaml"]))
        return subprocess.run(["script", "-qec", command, "/dev/null"], input="".join(f"{a}\n" for a in answers), text=True,
                              capture_output=True, timeout=120)

    assert answer(name, "hoevelaken-2", "n").returncode != 0 and not list(place.iterdir())
    done = answer(name, "hoevelaken-2", "y")
    assert done.returncode == 0, done.stdout
    assert 'instance: "hoevelaken-2"' in (place / "mobeyed.yaml").read_text()
    # What the file says is not asked for again.
    again = answer("y")
    assert again.returncode == 0 and "Name of" not in again.stdout, again.stdout


@pytest.mark.parametrize("more, status", [([], 1), (["--dry-run"], 0)])
def test_nothing_is_done_unasked(server, place, name, more, status):
    """Without a terminal nobody can be asked."""
    done = mobeyectl("setup", "--admin", server.conninfo, "--database", name, "-c", place / "mobeyed.yaml", *more, input="")
    assert done.returncode == status and (status == 0 or "use --yes" in done.stderr), done.stdout + done.stderr
    assert not list(place.iterdir())
    with psycopg.connect(server.conninfo, dbname="postgres") as connection:
        assert not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()


def public_key(place, key="server.key"):
    return mobeyectl("keygen", "--public", place / key).stdout.strip()


def test_curve_is_set_up_and_the_drill_gets_in(server, place, name):
    """From nothing: keys, list and configuration; a daemon that runs with them lets the drill in, and nobody else."""
    output = ready(server, place, name, "--curve")
    for key in "server.key", "drill.key":
        assert (place / key).stat().st_mode & 0o777 == 0o600
        assert (place / key).read_text().strip() not in output
    assert re.findall("^public key: .*", output, re.M) == [f"public key:    the daemon's, for every sender: {public_key(place)}"]
    assert re.search("^left to do: +every sender of a tcp:// endpoint now needs that public key", output, re.M)
    assert "devices: [drill], sources: [/mobeyectl/setup]" in (place / "clients.yaml").read_text()
    assert f'server_key: "{place}/server.key"' in (place / "mobeyed.yaml").read_text()
    door = use_free_ports(place)
    with running(place):
        drilled = set_up(server, place, name, "--curve")
        assert drilled.returncode == 0, drilled.stderr
        (drill,) = does(drilled.stdout)
        assert "a drill alert" in drill
        assert public_key(place) in drilled.stdout and "left to do" not in drilled.stdout
        plain = mobeyectl("send", "--to", door, "--timeout", "1", "-", input='{"id": "x"}\n')
        assert plain.returncode == 1


def test_a_list_of_clients_is_left_to_its_owner(server, place, name):
    ready(server, place, name)
    clients = place / "clients.yaml"
    clients.write_text("# mine\nclients: []\n")
    options = [server, place, name, "--no-drill", "--curve"]
    refused = set_up(*options)
    assert refused.returncode == 1 and "clients.yaml is neither the sample nor what setup wrote, and is left unchanged" in refused.stderr
    assert clients.read_text() == "# mine\nclients: []\n"
    done = set_up(*options, "--replace")
    assert done.returncode == 0, done.stderr
    assert "# mine" in clients.read_text() and "name: drill" in clients.read_text()
    assert (place / "clients.yaml.before-setup").read_text() == "# mine\nclients: []\n"


def test_a_list_without_the_drill_is_left_to_its_owner_and_no_failure(server, place, name):
    """What to add is printed, and setup goes on without a drill, then and later, instead of waiting for one without end."""
    ready(server, place, name)
    clients = place / "clients.yaml"
    before = f'clients:\n  - {{name: gateway-7, key: "{zmq.curve_keypair()[0].decode()}", devices: [NL-*], sources: [/gw]}}\n'
    clients.write_text(before)
    secured = set_up(server, place, name, "--no-drill", "--curve", "--replace")
    assert secured.returncode == 0, secured.stderr
    assert clients.read_text() == before
    line = f'- {{name: drill, key: "{public_key(place, "drill.key")}", devices: [drill], sources: [/mobeyectl/setup]}}'
    left = f"left to do:    for drills, add to {clients}: {line}\n"
    assert left in secured.stdout
    use_free_ports(place)
    with running(place):
        done = set_up(server, place, name)
        assert done.returncode == 0, done.stderr
        assert "no drill alert" in done.stdout and left in done.stdout


def test_with_a_credential_there_is_no_drill_and_no_failure(server, place, name):
    ready(server, place, name, "--curve")
    use_free_ports(place)
    file = place / "mobeyed.yaml"
    with running(place):
        file.write_text(file.read_text().replace(f'server_key: "{place}/server.key"', "server_key: credential:server.key"))
        for more in [], ["--curve"]:
            done = set_up(server, place, name, *more)
            assert done.returncode == 0, done.stderr
            assert "no drill alert: the daemon's key is a credential" in done.stdout
