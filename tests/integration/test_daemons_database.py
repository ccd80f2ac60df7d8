"""mobeyectl as root finds the database of the daemon, even if the connection string does not say where it is."""
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
    ("service=mobeye", "/etc/mobeyed/services", ["PGSERVICEFILE=/etc/mobeyed/services"]),
    (PASSFILE, "/etc/mobeyed/services", ["PGSERVICE=mobeye", "PGSERVICEFILE=/etc/mobeyed/services"]),
], ids=["name", "all", "file", "service"])
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


FILES = "/etc/default/mobeyed"


def reads(machine, text, file=FILES):
    """The unit has the file as its EnvironmentFile=."""
    machine.must("bash", "-c", f"cat > {file} <<< '{text}'")
    (machine.home / "EnvironmentFiles.environment").write_text(f"{file} (ignore_errors=yes)\n")


@pytest.mark.parametrize("stop", ["true", "systemctl stop"], ids=["running", "stopped"])
def test_a_file_of_the_unit_names_it(ready, stop):
    """What is in it overrides what is in the unit; the daemon need not run."""
    reads(ready, "PGDATABASE=mobeye\nPGHOST=127.0.0.1")
    connects_with(ready, f"user=mobeye_ingest {PASSFILE}", "PGDATABASE=other")
    ready.must(*stop.split())
    assert "drill" in ready.must("mobeyectl", "devices", "unknown")
    assert "up to date" in ready.must("mobeyectl", "migrate", "--check")
    assert "the database mobeye exists" in ready.must("mobeyectl", "setup", "--yes", "--no-drill")


@pytest.mark.parametrize("path, mode", [("/var/lib/mobeyed/variables", "644"), ("/etc/default/mobeyed", "664")])
def test_a_file_that_is_not_roots_alone_names_no_database(ready, path, mode):
    """The daemon's user could name another server there, for which root would take its own."""
    reads(ready, "PGHOST=127.0.0.1", path)
    ready.must("chmod", mode, path)
    connects_with(ready, f"dbname=other user=mobeye_ingest {PASSFILE}")
    for verb in "migrate", "devices unknown", "setup --yes --no-drill", "setup --dry-run":
        refused = ready.run("mobeyectl", *verb.split())
        assert refused.returncode == 1 and f"{path} is not only root's to change" in refused.stdout, refused.stdout
    assert ready.sql("select from pg_database where datname = 'other'", "postgres") == ""
    # libpq goes to an address beside the host that is named.
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "host=127.0.0.1 port=5432 dbname=other user=mobeye_ingest {PASSFILE}"|', "/etc/mobeyed/mobeyed.yaml")
    refused = ready.run("mobeyectl", "setup", "--yes", "--no-drill")
    assert refused.returncode == 1 and "or name host, hostaddr (may be '')" in refused.stdout, refused.stdout
    assert ready.sql("select from pg_database where datname = 'other'", "postgres") == ""
    # Where the connection string names it, nothing is missed.
    connects_with(ready, f"host=127.0.0.1 hostaddr='' port=5432 dbname=mobeye user=mobeye_ingest {PASSFILE}")
    assert "up to date" in ready.must("mobeyectl", "migrate", "--check")


def test_a_file_that_only_root_reads_is_not_guessed_by_others(ready):
    reads(ready, "PGHOST=127.0.0.1")
    ready.must("chmod", "600", FILES)
    connects_with(ready, f"dbname=mobeye user=mobeye_ingest {PASSFILE}")
    refused = ready.run("env", f"HOME={ready.home}", "mobeyectl", "devices", "unknown", user="mobeyed")  # for systemctl
    assert refused.returncode == 1 and f"{FILES}: Permission denied (run this as root, or " in refused.stdout, refused.stdout


def test_a_role_that_was_not_tried_was_not_refused(ready):
    reads(ready, "PGHOST=127.0.0.1")
    ready.must("chmod", "664", FILES)
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "dbname=mobeye user=mobeye_ingest sslkey=pkcs11:x {PASSFILE}"|', "/etc/mobeyed/mobeyed.yaml")
    told = ready.run("mobeyectl", "doctor")
    assert told.returncode == 1 and "refuses your own role" not in told.stdout, told.stdout
    assert f"PROBLEM  database     cannot connect: {FILES} is not only root's to change" in told.stdout, told.stdout
    ready.must("chmod", "600", FILES)
    ready.must("useradd", "-M", "-G", "mobeyed", "anna")
    ready.sql("create role anna login in role mobeye_owner")
    try:
        told = ready.run("env", f"HOME={ready.home}", "mobeyectl", "doctor", user="anna")  # for systemctl
        assert f"WARNING  database     not checked: only root can connect as the daemon, and your own role was not tried: {FILES}: Permission denied" in told.stdout
    finally:
        ready.sql("drop role anna")
        ready.must("userdel", "anna")


def test_of_several_files_that_which_is_refused_is_named(ready):
    """An absent one after it is none to complain about."""
    reads(ready, "PGHOST=127.0.0.1")
    ready.must("chmod", "664", FILES)
    (ready.home / "EnvironmentFiles.environment").write_text(f"{FILES} (ignore_errors=no)\n/etc/default/absent (ignore_errors=yes)\n")
    ready.must("sed", "-i", "s|host=127.0.0.1 ||", "/etc/mobeyed/mobeyed.yaml")
    refused = ready.run("mobeyectl", "devices", "unknown")
    assert refused.returncode == 1 and f"{FILES} is not only root's to change (correct that, or name host" in refused.stdout, refused.stdout


def test_a_file_that_versions_of_systemd_read_differently_names_no_database(ready):
    reads(ready, "# old \\\nPGHOST=127.0.0.1")
    ready.must("sed", "-i", "s|host=127.0.0.1 ||", "/etc/mobeyed/mobeyed.yaml")
    refused = ready.run("mobeyectl", "devices", "unknown")
    assert refused.returncode == 1 and f"{FILES}: a comment ends with \\, " in refused.stdout, refused.stdout


def test_a_file_that_others_can_remove_is_not_taken_for_an_empty_one(ready):
    reads(ready, "PGHOST=127.0.0.1", "/var/lib/mobeyed/variables")
    connects_with(ready, f"dbname=mobeye user=mobeye_ingest {PASSFILE}")
    ready.must("rm", "-f", "/var/lib/mobeyed/variables")
    for name in "variables", "*.env":
        (ready.home / "EnvironmentFiles.environment").write_text(f"/var/lib/mobeyed/{name} (ignore_errors=yes)\n")
        refused = ready.run("mobeyectl", "devices", "unknown")
        assert refused.returncode == 1 and "is not only root's to change" in refused.stdout, refused.stdout
    for name in "/etc/absent", "/etc/absent/variables", "/etc/default/absent*":
        (ready.home / "EnvironmentFiles.environment").write_text(f"{name} (ignore_errors=yes)\n")
        ready.must("mobeyectl", "devices", "unknown")


def test_without_the_tls_of_the_daemon_roots_login_goes_nowhere(ready):
    """What demands it may be in the file that is not read; the connection string says where, but not how."""
    ready.sql("drop role if exists dba; create role dba superuser login password 'secret'")
    reads(ready, "PGSSLMODE=verify-full\nPGSSLROOTCERT=/etc/ca.crt")
    ready.must("chmod", "664", FILES)
    conninfo = f"host=127.0.0.1,192.0.2.1 hostaddr='' port=5432 dbname=mobeye user=mobeye_ingest {PASSFILE}"
    for more, goes in ("", False), (" sslmode=verify-ca", False), (" sslmode=require", False), (" sslmode=prefer", True):
        ready.must("sed", "-i", f's|conninfo: .*|conninfo: "{conninfo}{more}"|', "/etc/mobeyed/mobeyed.yaml")
        done = ready.run("mobeyectl", "people", "list", env={"PGUSER": "dba", "PGPASSWORD": "secret"})
        assert (done.returncode == 0) == goes, done.stdout
        assert goes or "and for another machine sslmode and sslrootcert" in done.stdout, done.stdout


@pytest.fixture
def engine(ready):
    """A server with TLS, for which libpq loads the engine that the path of a key names; and the file that it then makes."""
    ready.must("bash", "-euc", r"""cd /var/lib/mobeyed
        echo '#include <fcntl.h>
              #include <unistd.h>
              __attribute__((constructor)) static void go(void) { seteuid(0); open("/etc/loaded", O_CREAT, 0600); }' > engine.c
        cc -w -shared -fPIC -o engine.so engine.c
        openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout x.key -out x.crt 2> /dev/null
        chown mobeyed: x.key x.crt engine.so
        install -o postgres -m 600 x.key x.crt /run/postgresql/data/""")
    ready.sql("alter system set ssl_cert_file = 'x.crt'")
    ready.sql("alter system set ssl_key_file = 'x.key'")
    ready.sql("alter system set ssl = on")
    ready.sql("select pg_reload_conf()")
    (ready.home / "etc/loaded").unlink(missing_ok=True)
    yield ready.home / "etc/loaded"
    ready.sql("alter system reset all")
    ready.sql("select pg_reload_conf()")


KEY = {"sslcert": "/var/lib/mobeyed/x.crt", "sslkey": "/var/lib/mobeyed/engine.so:x"}
VERBS = "doctor", "status", "queue", "devices unknown", "setup --dry-run", "setup --yes --no-drill"


def run_all(machine):
    return "".join(machine.run("mobeyectl", *verb.split()).stdout for verb in VERBS)


def test_variables_that_the_process_sets_lead_root_nowhere(ready, engine):
    (ready.home / "process.environment").write_text(" ".join(f"PG{name.upper()}={value}" for name, value in KEY.items()))
    connects_with(ready, f"host=127.0.0.1 dbname=mobeye user=mobeye_ingest {PASSFILE}")
    run_all(ready)
    assert not engine.exists()
    # Neither to another server.
    (ready.home / "process.environment").write_text("PGHOST=192.0.2.1 PGPORT=1 PGDATABASE=postgres PGSSLMODE=disable")
    assert "drill" in ready.must("mobeyectl", "devices", "unknown")
    ready.must("mobeyectl", "doctor")


@pytest.mark.parametrize("named", ["conninfo", "PGSERVICE", "PGSERVICEFILE"])
def test_a_service_file_of_the_daemons_user_leads_root_nowhere(ready, engine, named):
    """Of its home, or where it owns the directory: it could name another server, or an engine to load."""
    path = "/var/lib/mobeyed/.pg_service.conf"
    text = SERVICE + "".join(f"{name}={value}\n" for name, value in KEY.items())
    ready.must("bash", "-c", f"printf %s '{text}' > {path} && chown mobeyed: {path}")
    variables = {"conninfo": [], "PGSERVICE": ["PGSERVICE=mobeye"], "PGSERVICEFILE": [f"PGSERVICEFILE={path}"]}[named]
    conninfo = PASSFILE if named == "PGSERVICE" else "service=mobeye"
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "{conninfo}"|', "/etc/mobeyed/mobeyed.yaml")
    (ready.home / "mobeyed.service.environment").write_text(" ".join(variables) + "\n")
    told = run_all(ready)
    assert not engine.exists()
    assert told.count(f"{path} is not only root's to change") >= len(VERBS) - 1, told
    assert ready.sql("select count(*) from pg_database where datname = 'mobeye_ingest'", "postgres") == "0"


@pytest.mark.parametrize("variable, made, refused", [
    # The file is now root's, but not the link between.
    ("PGSERVICEFILE=/etc/linked", "ln -s /var/lib/mobeyed/services /etc/linked; ln -s /etc/mobeyed/services /var/lib/mobeyed/services", "/etc/linked"),
    # There is none now.
    ("PGSYSCONFDIR=/var/lib/mobeyed", "true", "/var/lib/mobeyed/pg_service.conf"),
    ("PGSERVICEFILE=services", "true", "services"),
], ids=["link", "absent", "relative"])
def test_a_service_file_that_can_be_replaced_at_once_leads_root_nowhere(ready, variable, made, refused):
    ready.must("bash", "-c", f"printf %s '{SERVICE}' > /etc/mobeyed/services; {made}; chown -h mobeyed: /var/lib/mobeyed/services || :")
    connects_with(ready, "service=mobeye", *([variable] if "CONFDIR" not in variable else [variable, "PGSERVICEFILE=/etc/mobeyed/services"]))
    told = ready.run("bash", "-c", "cd /etc/mobeyed && exec mobeyectl devices unknown")
    assert told.returncode == 1 and f"{refused} is not " in told.stdout, told.stdout


@pytest.mark.parametrize("how", ["conninfo", "unit", "service"])
def test_root_loads_no_engine(ready, engine, how):
    """Not even one that root names: it could read what the daemon's user writes, as that of PKCS#11 does."""
    key = " ".join(f"{name}={value}" for name, value in KEY.items())
    conninfo = f"host=127.0.0.1 dbname=mobeye user=mobeye_ingest {PASSFILE}"
    if how == "service":
        text = SERVICE + "".join(f"{name}={value}\n" for name, value in KEY.items())
        ready.must("bash", "-c", f"printf %s '{text}' > /etc/mobeyed/services")
        conninfo = "service=mobeye"
    unit = {"unit": [f"PG{name.upper()}={value}" for name, value in KEY.items()],
            "service": ["PGSERVICEFILE=/etc/mobeyed/services"], "conninfo": []}[how]
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "{conninfo + " " + key if how == "conninfo" else conninfo}"|', "/etc/mobeyed/mobeyed.yaml")
    (ready.home / "mobeyed.service.environment").write_text(" ".join(unit) + "\n")
    told = run_all(ready)
    assert not engine.exists()
    assert "the daemon's key is in an OpenSSL engine, which root does not load" in told, told
    # Root itself does not connect that way.
    assert "drill" in ready.must("mobeyectl", "devices", "unknown")


def test_a_login_by_an_engine_is_kept(ready, engine):
    """Whether it works only the daemon can tell."""
    conninfo = f"host=127.0.0.1 port=5432 dbname=mobeye user=mobeye_ingest sslcert={KEY['sslcert']} sslkey={KEY['sslkey']}"
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "{conninfo}"|', "/etc/mobeyed/mobeyed.yaml")
    done = ready.must("mobeyectl", "setup", "--yes", "--no-drill")
    assert "is in an OpenSSL engine, which only it loads: not checked" in done, done
    assert ready.run("ls", "/etc/mobeyed/mobeyed.yaml.setup").returncode != 0
    # And one that is given is taken.
    given = conninfo.replace("host=127.0.0.1", "host=localhost")
    done = ready.must("mobeyectl", "setup", "--yes", "--no-drill", "--replace", "--conninfo", given)
    assert "not checked" in done and given in ready.must("cat", "/etc/mobeyed/mobeyed.yaml"), done
    ready.must("sed", "-i", "s|host=localhost|host=127.0.0.1|", "/etc/mobeyed/mobeyed.yaml")
    # Nor does doctor tell what it has not tried.
    ready.must("sed", "-i", "s|host=127.0.0.1|host=127.0.0.1,192.0.2.1|", "/etc/mobeyed/mobeyed.yaml")
    told = ready.run("mobeyectl", "doctor").stdout
    assert "which root does not load, and your own role was not tried: the database is on another machine (PGUSER" in told, told


@pytest.mark.parametrize("how", ["conninfo", "service"])
def test_neither_does_an_administrator_who_is_not_root(ready, engine, how):
    """The daemon's user would become them."""
    given = "".join(f"{name}={value}\n" for name, value in KEY.items())
    ready.must("bash", "-c", f"""cd /var/lib/mobeyed && printf %s '{SERVICE}{given}' > services && chown mobeyed: services && chgrp mobeyed .
        chmod 750 . && chmod 644 services x.crt && chmod 755 engine.so && useradd -M -G mobeyed anna""")
    ready.must("bash", "-c", r"""cd /var/lib/mobeyed && sed -i 's|seteuid(0); open("/etc|open("/tmp|; s|0600|0666|' engine.c && cc -w -shared -fPIC -o engine.so engine.c
        rm -f /tmp/loaded""")
    conninfo = f"host=127.0.0.1 port=5432 dbname=mobeye user=mobeye_ingest {PASSFILE} " + given.replace("\n", " ")
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "{"service=mobeye" if how == "service" else conninfo}"|', "/etc/mobeyed/mobeyed.yaml")
    (ready.home / "mobeyed.service.environment").write_text("PGSERVICEFILE=/var/lib/mobeyed/services\n" if how == "service" else "\n")
    try:
        told = ready.run("env", f"HOME={ready.home}", "mobeyectl", "devices", "unknown", user="anna")  # for systemctl
        assert ready.run("test", "-e", "/tmp/loaded").returncode == 1
        refused = "services is not only root's or yours to change" if how == "service" else "OpenSSL engine, which only the program itself loads"
        assert told.returncode == 1 and refused in told.stdout, told.stdout
    finally:
        ready.must("bash", "-c", "userdel anna; rm -f /tmp/loaded")


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


def test_of_several_hosts_each_counts(ready):
    """The daemon may store on another machine, though the first host is this one."""
    connects_with(ready, f"host=/run/postgresql,127.0.0.1 dbname=mobeye user=mobeye_ingest {PASSFILE}")
    assert "drill" in ready.must("mobeyectl", "devices", "unknown")
    both = f"host=/run/postgresql,192.0.2.1 port=5432,5433 dbname=other user=mobeye_ingest connect_timeout=2 {PASSFILE}"
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "{both}"|', "/etc/mobeyed/mobeyed.yaml")
    refused = ready.run("mobeyectl", "setup", "--yes", "--no-drill")
    assert refused.returncode == 1 and "is on another machine" in refused.stdout, refused.stdout
    assert ready.sql("select count(*) from pg_database where datname = 'other'", "postgres") == "0"
    # Where all are here, root takes the one that the daemon takes.
    here = f"host=/run/postgresql,127.0.0.1 port=5432,5432 target_session_attrs=standby dbname=mobeye user=mobeye_ingest {PASSFILE}"
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "{here}"|', "/etc/mobeyed/mobeyed.yaml")
    refused = ready.run("mobeyectl", "devices", "unknown")
    assert refused.returncode == 1 and refused.stdout.count("server is not in hot standby mode") >= 2, refused.stdout


def test_root_is_told_whose_role_a_database_elsewhere_takes(ready):
    """Elsewhere by one of its hosts."""
    connects_with(ready, f"host=127.0.0.1,192.0.2.1 dbname=mobeye user=mobeye_ingest {PASSFILE}")
    refused = ready.run("mobeyectl", "people", "list")
    assert refused.returncode == 1 and "permission denied" in refused.stdout, refused.stdout
    untried = "your own role was not tried: the database is on another machine (PGUSER sets your role there)"
    assert "since your own was not tried: the database is on another machine (PGUSER sets your role there)" in refused.stdout
    # Also where the daemon's is refused.
    ready.must("sed", "-i", "s|/etc/mobeyed/pgpass|/nowhere|", "/etc/mobeyed/mobeyed.yaml")
    refused = ready.run("mobeyectl", "people", "list")
    assert refused.returncode == 1 and untried in refused.stdout, refused.stdout


def test_of_the_daemon_roots_own_login_elsewhere_takes_nothing(ready, engine):
    """Neither its key nor what it knows the server by, where others can change that."""
    ready.sql("drop role if exists dba; create role dba superuser login password 'secret'")
    conninfo = f"host=127.0.0.1,192.0.2.1 dbname=mobeye user=mobeye_ingest {PASSFILE}"
    key = " ".join(f"{name}={value}" for name, value in KEY.items())
    own = {"PGUSER": "dba", "PGPASSWORD": "secret"}
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "{conninfo} {key}"|', "/etc/mobeyed/mobeyed.yaml")
    ready.must("mobeyectl", "people", "list", env=own)
    assert not engine.exists()
    ready.must("sed", "-i", f's|conninfo: .*|conninfo: "{conninfo} sslrootcert=/var/lib/mobeyed/x.crt"|', "/etc/mobeyed/mobeyed.yaml")
    refused = ready.run("mobeyectl", "people", "list", env=own)
    assert refused.returncode == 1 and "/var/lib/mobeyed/x.crt is not only root's to change" in refused.stdout, refused.stdout


def made(machine):
    """The databases of the cluster that are not its own."""
    return machine.sql("select datname from pg_database where not datistemplate and datname not in ('postgres', 'migrated')", "postgres").split()


@pytest.mark.parametrize("scheme", ["postgresq://", " postgresql://", ""])
def test_a_connection_string_that_is_mistyped_is_no_name(machine, scheme):
    """Of a database to be made here, whose name holds the password."""
    conninfo = f"{scheme}mobeye_ingest:geheim@db.example.nl/mobeye"
    for verb in ("setup", "--yes", "--conninfo", conninfo), ("setup", "--yes", "--admin", conninfo), ("queue", "--db", conninfo):
        refused = machine.run("mobeyectl", *verb)
        assert refused.returncode == 1 and "not a conninfo (expected" in refused.stdout, refused.stdout
        assert "geheim" not in refused.stdout
    assert made(machine) == []


def test_a_database_that_an_invalid_file_names_is_not_made_here(machine):
    machine.must("bash", "-c", "echo 'nonsense: 1' >> /etc/mobeyed/mobeyed.yaml; sed -i 's|host=/run/postgresql|host=192.0.2.1|' /etc/mobeyed/mobeyed.yaml")
    for more in [], ["--database", "other"]:
        refused = machine.run("mobeyectl", "setup", "--yes", *more)
        assert refused.returncode == 1 and "nonsense" in refused.stdout and "done:" not in refused.stdout, refused.stdout
    assert made(machine) == []


@pytest.mark.parametrize("variable, value", [("PGHOSTADDR", "192.0.2.1"), ("PGSERVICE", "mine")])
def test_variables_of_the_shell_lead_the_first_setup_to_no_other_server(machine, variable, value):
    machine.must("rm", "/etc/mobeyed/mobeyed.yaml")
    done = machine.must("mobeyectl", "setup", "--dry-run", env={variable: value})
    assert "create the database mobeye," in done, done


def test_a_name_that_postgresql_cuts_off_is_refused(machine):
    refused = machine.run("mobeyectl", "setup", "--yes", "--database", "é" * 32)
    assert refused.returncode == 1 and "the name of the database has 64 bytes (expected at most 63)" in refused.stdout, refused.stdout
    assert made(machine) == []
