"""The databases of a run: each measurement has an empty one, copied from one that has the schema, devices and areas."""
import os
import pathlib
import subprocess

import mix

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("MOBEYE_BUILD", ROOT / "build"))
TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
# What tests/with-postgres migrated; nothing is ever stored in it.
TEMPLATE = "mobeye"


def conninfo(database, user="mobeye_ingest"):
    """The daemon's login by default."""
    return f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} dbname={database} user={user}"


def psql(database, *commands, script=None):
    arguments = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", conninfo(database, "postgres")]
    for command in commands:
        arguments += ["-c", command]
    if script:
        arguments += ["-f", str(script)]
    environment = {**os.environ, "PGOPTIONS": "-c client_min_messages=warning"}
    return subprocess.run(arguments, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout.strip()


def import_areas(database, directory, country):
    for layer, file in mix.write_areas(directory, country).items():
        mobeyectl("areas", "import", "--db", conninfo(database, "postgres"), "--layer", layer, file)


def import_devices(database, directory, count):
    """Existing ones are left unchanged."""
    mix.write_devices(directory / "devices.csv", count)
    mobeyectl("devices", "import", "--db", conninfo(database, "postgres"), directory / "devices.csv")


# Alarms at places all over the region of mix.py; no alert of the benchmark has their keys.
OPEN_INCIDENTS = """
insert into mobeye.incident (incident_id, incident_key, category, priority, kind, device_id, gap, created_at, first_seen, last_seen,
    last_received_at, alert_count, active, geom, extent, accuracy_m, location_source, areas, status, accepting)
select nextval('mobeye.incident_id'), gen_random_uuid(), 'alarm', 1 + n % 4, 'motion', 'NL-0307-' || lpad((n % 20000)::text, 5, '0'),
       '4.5 hours', now() - n % 1000 * interval '1 minute', now() - n % 1000 * interval '1 minute', now(), now(), 3, 1,
       st_setsrid(st_makepoint(lon, lat), 4326), box(point(lon, lat), point(lon, lat)), 12, 'message', array['wijk:WK000001'], 'new', true
  from (select n, 4.4 + 2.0 * (n * 7919 % 100003) / 100003, 51.4 + 1.5 * (n * 31337 % 100003) / 100003
          from generate_series(1, {count}::bigint) as n) as p (n, lon, lat);
"""


def open_incidents(database, count):
    psql(database, OPEN_INCIDENTS.format(count=count), "vacuum analyze mobeye.incident")


def mobeyectl(*arguments):
    done = subprocess.run([BUILD / "mobeyectl", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"bench: mobeyectl {' '.join(map(str, arguments[:2]))} failed:\n{done.stdout[-1000:]}")


def create(name, template=TEMPLATE):
    """An empty database, and a server with no earlier writes outstanding."""
    drop(name)
    psql("postgres", f"create database {name} template {template}", "checkpoint")
    return name


def drop(name):
    psql("postgres", f"drop database if exists {name} with (force)")


def server(action):
    """start, stop or restart."""
    subprocess.run([os.environ["MOBEYE_PG_CTL"], action], check=True)


def _stat(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None


def process_cpu_s(pid):
    """0: it has ended."""
    fields = _stat(pid)
    return sum(map(int, fields[11:13])) / TICKS_A_SECOND if fields else 0


def server_processes():
    """The postmaster, then the others."""
    postmaster = int(pathlib.Path(os.environ["MOBEYE_PG_DATA"], "postmaster.pid").read_text().split("\n", 1)[0])
    return [postmaster, *map(int, pathlib.Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split())]


def server_cpu_s():
    """CPU time of the whole server: of ended sessions, and of live processes."""
    postmaster, *others = server_processes()
    return sum(map(int, _stat(postmaster)[11:15])) / TICKS_A_SECOND + sum(map(process_cpu_s, others))


def pss_mib(pid):
    """Its memory; what it shares with other processes is divided among them. 0: it has ended."""
    try:
        rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(rollup.split("\nPss:")[1].split()[0]) / 1024


def server_mib():
    return sum(map(pss_mib, server_processes()))
