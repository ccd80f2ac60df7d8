"""mobeyectl as root finds the database of the daemon, also where the connection string does not say where it is."""
import pytest

from harness.machine_fixtures import *  # noqa: F401,F403

SERVICE = "[mobeye]\nhost=127.0.0.1\nport=5432\ndbname=mobeye\nuser=mobeye_ingest\npassfile=/etc/mobeyed/pgpass\n"
PASSFILE = "passfile=/etc/mobeyed/pgpass"


def connects_with(machine, conninfo, *environment):
    """The daemon, which runs with the connection string and the environment of its unit."""
    machine.must("sed", "-i", f's|conninfo: .*|conninfo: "{conninfo}"|', "/etc/mobeyed/mobeyed.yaml")
    (machine.home / "mobeyed.service.environment").write_text(" ".join(environment) + "\n")
    machine.must("systemctl", "restart")


@pytest.mark.parametrize("conninfo, service, environment", [
    (f"host=127.0.0.1 user=mobeye_ingest {PASSFILE}", None, ["PGDATABASE=mobeye"]),
    (PASSFILE, None, ["PGHOST=127.0.0.1", "PGDATABASE=mobeye", "PGUSER=mobeye_ingest"]),
    ("service=mobeye", "/var/lib/mobeyed/.pg_service.conf", []),
    ("service=mobeye", "/etc/mobeyed/services", ["PGSERVICEFILE=/etc/mobeyed/services"]),
    (PASSFILE, "/etc/mobeyed/services", ["PGSERVICE=mobeye", "PGSERVICEFILE=/etc/mobeyed/services"]),
], ids=["name", "all", "home", "file", "service"])
def test_the_unit_or_a_service_may_name_it(ready, conninfo, service, environment):
    if service:
        ready.must("bash", "-c", f"printf %s '{SERVICE}' > {service} && chgrp mobeyed {service}")
    connects_with(ready, conninfo, *environment)
    # Not those of root, who may administer other servers.
    elsewhere = {"PGHOST": "192.0.2.1", "PGDATABASE": "postgres", "PGSERVICEFILE": "/nowhere"}
    assert "drill" in ready.must("mobeyectl", "devices", "unknown", env=elsewhere)
    assert "up to date" in ready.must("mobeyectl", "migrate", "--check", env=elsewhere)
    ready.must("mobeyectl", "doctor", env=elsewhere)
    assert "the database mobeye exists" in ready.must("mobeyectl", "setup", "--yes", env=elsewhere)


def test_the_environment_is_that_of_the_process(ready):
    """systemctl shows nothing of an EnvironmentFile=, nor what a change of the unit will be after a restart."""
    (ready.home / "EnvironmentFile.environment").write_text("PGDATABASE=mobeye PGHOST=127.0.0.1\n")
    connects_with(ready, f"user=mobeye_ingest {PASSFILE}")
    (ready.home / "mobeyed.service.environment").write_text("PGDATABASE=other\n")
    assert "drill" in ready.must("mobeyectl", "devices", "unknown")
    ready.must("mobeyectl", "doctor")


def test_what_only_the_process_knows_is_not_guessed_without_it(ready):
    """The database may be on another machine: none is made here."""
    (ready.home / "EnvironmentFile.environment").write_text("PGHOST=127.0.0.1\n")
    connects_with(ready, f"dbname=other user=mobeye_ingest {PASSFILE}")
    ready.must("systemctl", "stop")
    for verb in "migrate", "migrate --check", "setup --yes --no-drill", "setup --dry-run":
        refused = ready.run("mobeyectl", *verb.split())
        assert refused.returncode == 1 and "an EnvironmentFile= of the daemon's unit" in refused.stdout, refused.stdout
    assert ready.sql("select from pg_database where datname = 'other'", "postgres") == ""
    # Where the connection string names it, nothing is missed.
    connects_with(ready, f"host=127.0.0.1 dbname=mobeye user=mobeye_ingest {PASSFILE}")
    ready.must("systemctl", "stop")
    assert "up to date" in ready.must("mobeyectl", "migrate", "--check")


@pytest.mark.parametrize("variable, value", [("PGHOSTADDR", "192.0.2.1"), ("PGSERVICE", "mine"), ("PGPORT", "1")])
def test_variables_of_the_shell_lead_root_to_no_other_server(ready, variable, value):
    assert "up to date" in ready.must("mobeyectl", "migrate", "--check", env={variable: value})
    assert "the database mobeye exists" in ready.must("mobeyectl", "setup", "--yes", "--no-drill", env={variable: value})


def test_without_a_name_it_is_that_of_the_role(ready):
    """As to libpq; not that of root, who would find the database postgres."""
    connects_with(ready, f"host=127.0.0.1 user=mobeye_ingest {PASSFILE}")
    refused = ready.run("mobeyectl", "migrate")
    assert refused.returncode == 1 and 'database "mobeye_ingest" does not exist' in refused.stdout, refused.stdout
    assert "PROBLEM  database" in ready.run("mobeyectl", "doctor").stdout


def test_a_service_that_is_not_known_leads_nowhere(ready):
    connects_with(ready, "service=mobeye")
    for verb in "migrate", "devices unknown":
        refused = ready.run("mobeyectl", *verb.split())
        assert refused.returncode == 1 and 'definition of service "mobeye" not found' in refused.stdout, refused.stdout
    refused = ready.run("mobeyectl", "setup", "--yes", "--no-drill")
    assert refused.returncode == 1 and "the service that /etc/mobeyed/mobeyed.yaml names is not defined, or has no dbname" in refused.stdout, refused.stdout
    assert ready.sql("select to_regclass('mobeye.schema_version')", "postgres") == ""


def test_a_server_that_the_unit_names_is_not_taken_for_this_machine(ready):
    """setup creates nothing here, where the daemon does not connect to."""
    connects_with(ready, f"dbname=other user=mobeye_ingest {PASSFILE}", "PGHOST=192.0.2.1")
    refused = ready.run("mobeyectl", "setup", "--yes", "--no-drill")
    assert refused.returncode == 1 and "is on another machine" in refused.stdout, refused.stdout
    assert ready.sql("select count(*) from pg_database where datname = 'other'", "postgres") == "0"
