"""mobeyectl setup: from nothing to a drill alert in the database, and nothing twice."""
import os
import re
import shutil
import subprocess
import tempfile
import pathlib

import psycopg
import pytest

from harness.cluster import Cluster
from harness.daemon import mobeyectl
from harness.paths import MOBEYECTL, MOBEYED, free_port
from harness.wait import wait_until


@pytest.fixture(scope="module")
def server():
    """A cluster of its own: passwords of roles belong to all of it."""
    os.environ["MOBEYE_PG_TCP"] = "1"
    try:
        cluster = Cluster()
    finally:
        del os.environ["MOBEYE_PG_TCP"]
    yield cluster
    cluster.close()


@pytest.fixture
def place():
    """A directory that other users can look into, as /etc/mobeyed is one, and the name of a database of its own."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="setup."))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def name(server, request):
    name = re.sub(r"\W", "_", request.node.name)[:60]
    yield name
    with psycopg.connect(server.conninfo, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"drop database if exists {name} with (force)")


def set_up(server, place, name, *more, **how):
    return mobeyectl("setup", "--admin", server.conninfo, "--database", name, "--yes", "-c", place / "mobeyed.yaml", *more, **how)


def ingest(server, name):
    return re.sub(r"user=\S+", "user=mobeye_ingest", re.sub(r"dbname=\S+", f"dbname={name}", server.conninfo))


def ready(server, place, name):
    return set_up(server, place, name, "--conninfo", ingest(server, name), "--instance", "leusden-1", "--no-drill")


def test_a_dry_run_changes_nothing(server, place, name):
    done = set_up(server, place, name, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "5 changes would be made, and none was" in done.stdout, done.stdout
    assert not list(place.iterdir())
    with psycopg.connect(server.conninfo, dbname="postgres") as connection:
        assert not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone()


def test_it_makes_all_and_then_nothing(server, place, name):
    done = ready(server, place, name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done:") == 3
    text = (place / "mobeyed.yaml").read_text()
    assert 'instance: "leusden-1"' in text and f'dbname={name} ' in text and "# A label for this daemon" in text
    assert (place / "mobeyed.yaml").stat().st_mode & 0o777 == 0o640
    again = ready(server, place, name)
    assert again.returncode == 0 and "done:" not in again.stdout and again.stdout.count("is so:") == 4, again.stdout
    assert (place / "mobeyed.yaml").read_text() == text and len(list(place.iterdir())) == 1


def test_a_file_that_is_there_is_not_changed_silently(server, place, name):
    assert ready(server, place, name).returncode == 0
    file = place / "mobeyed.yaml"
    mine = file.read_text().replace("batch_max: 5000", "batch_max: 400").replace("#batch_max", "batch_max")
    file.write_text(mine)
    other = [server, place, name, "--conninfo", ingest(server, name), "--instance", "soest-1", "--no-drill"]
    refused = set_up(*other)
    assert refused.returncode == 1 and "stays as it is" in refused.stderr
    assert file.read_text() == mine and 'instance: "soest-1"' in (place / "mobeyed.yaml.setup").read_text()
    replaced = set_up(*other, "--replace")
    assert replaced.returncode == 0, replaced.stderr
    # What is not setup's own stays as it was.
    assert file.read_text() == mine.replace('"leusden-1"', '"soest-1"')
    assert (place / "mobeyed.yaml.before-setup").read_text() == mine


def test_a_conninfo_that_does_not_work_stops_it(server, place, name):
    done = set_up(server, place, name, "--conninfo", f"host={place} dbname={name} user=mobeye_ingest")
    assert done.returncode == 1 and "--conninfo" in done.stderr
    assert not (place / "mobeyed.yaml").exists()


def test_no_superuser_is_told(place):
    done = mobeyectl("setup", "--admin", f"host={place}", "--yes", "-c", place / "mobeyed.yaml")
    assert done.returncode == 1 and "no superuser of PostgreSQL answers" in done.stderr


def test_the_daemon_gets_a_password_where_it_does_not_get_in(server, place, name):
    hba = server.data / "pg_hba.conf"
    trusting = hba.read_text()
    hba.write_text("local all postgres trust\nhost all mobeye_ingest 127.0.0.1/32 scram-sha-256\n")
    server.reload()
    try:
        done = set_up(server, place, name, "--no-drill")
        assert done.returncode == 0, done.stderr
        passfile = place / "pgpass"
        assert passfile.stat().st_mode & 0o777 == 0o600
        password = passfile.read_text().strip().rsplit(":", 1)[1]
        assert len(password) == 48 and password not in done.stdout + done.stderr
        assert password not in (place / "mobeyed.yaml").read_text()
        assert password not in (server.data.parent / "log").read_text()
        again = set_up(server, place, name, "--no-drill")
        assert again.returncode == 0 and "done:" not in again.stdout, again.stdout + again.stderr
        # One that is there and no good is not written over.
        passfile.write_text("wrong\n")
        refused = set_up(server, place, name, "--no-drill")
        assert refused.returncode == 1 and "is there already" in refused.stderr and passfile.read_text() == "wrong\n"
    finally:
        hba.write_text(trusting)
        server.reload()


def test_a_drill_goes_through_to_the_database(database, daemons):
    daemon = daemons(database.ingest).start()
    command = ["setup", "--admin", database.conninfo, "--database", database.name, "--yes", "-c", daemon.file]
    done = mobeyectl(*command)
    assert done.returncode == 0, done.stderr
    assert "a drill alert" in done.stdout
    (row,) = database.rows("select drill, device_id from patrol.alerts")
    assert row == (True, "drill")
    daemon.stop()
    away = mobeyectl(*command)
    assert away.returncode == 1 and "systemctl restart mobeyed" in away.stderr
    assert database.value("select count(*) from patrol.alerts") == 1
    daemon.start()


def test_questions_are_asked_on_a_terminal_alone(server, place, name):
    """Under script(1), which is one."""
    if not shutil.which("script"):
        pytest.skip("there is no script(1)")

    command = (f"{MOBEYECTL} setup --admin '{server.conninfo}' --conninfo '{ingest(server, name)}' --no-drill "
               f"-c {place}/mobeyed.yaml")
    done = subprocess.run(["script", "-qec", command, "/dev/null"], input=f"{name}\nhoevelaken-2\n", text=True,
                          capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert 'instance: "hoevelaken-2"' in (place / "mobeyed.yaml").read_text()


def test_curve_is_set_up_and_the_drill_gets_in(server, place, name):
    """From nothing: keys, list and configuration; a daemon that runs with them lets the drill in, and nobody else."""
    options = [server, place, name, "--conninfo", ingest(server, name), "--instance", "soest-1", "--curve"]
    done = set_up(*options, "--no-drill")
    assert done.returncode == 0, done.stderr
    for key in "server.key", "drill.key":
        assert (place / key).stat().st_mode & 0o777 == 0o600
        assert (place / key).read_text().strip() not in done.stdout + done.stderr
    assert "devices: [drill]" in (place / "clients.yaml").read_text()
    file = place / "mobeyed.yaml"
    port, http = free_port(), free_port()
    file.write_text(file.read_text().replace(":5555", f":{port}").replace(":9464", f":{http}")
                    .replace("/var/lib/mobeyed/journal", str(place / "journal")))
    assert f'server_key: "{place}/server.key"' in file.read_text()
    with subprocess.Popen([MOBEYED, "-c", file], stderr=subprocess.PIPE, text=True) as daemon:
        try:
            wait_until(lambda: "is ready" in daemon.stderr.readline(), "the daemon is ready")
            drilled = set_up(*options)
            assert drilled.returncode == 0, drilled.stderr
            assert "a drill alert" in drilled.stdout and drilled.stdout.count("done:") == 1, drilled.stdout
            plain = mobeyectl("send", "--to", f"tcp://127.0.0.1:{port}", "--timeout", "1", "-", input='{"id": "x"}\n')
            assert plain.returncode == 1
        finally:
            daemon.terminate()


def test_a_list_of_clients_is_left_to_its_owner(server, place, name):
    assert ready(server, place, name).returncode == 0
    clients = place / "clients.yaml"
    clients.write_text("# mine\nclients: []\n")
    options = [server, place, name, "--conninfo", ingest(server, name), "--no-drill", "--curve"]
    refused = set_up(*options)
    assert refused.returncode == 1 and "clients.yaml is there, and stays as it is" in refused.stderr
    assert clients.read_text() == "# mine\nclients: []\n"
    done = set_up(*options, "--replace")
    assert done.returncode == 0, done.stderr
    assert "# mine" in clients.read_text() and "name: drill" in clients.read_text()
    assert (place / "clients.yaml.before-setup").read_text() == "# mine\nclients: []\n"
