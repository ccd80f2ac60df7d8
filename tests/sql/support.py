"""What the tests of the schema share: their own databases, and mobeyectl."""

import os
import subprocess
import time
import unittest

import psycopg

CONNINFO = os.environ["MOBEYE_TEST_CONNINFO"]
MOBEYECTL = os.path.join(os.environ["MOBEYE_BUILD"], "mobeyectl")
PATIENCE_S = 120

# What the daemon writes of an alert, and its codes for words.
ALERT_COLUMNS = (
    "class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, clock_skew, flags, input, "
    "accuracy_m, drill, secret, placement_id, team, geom, wijk_code, buurt_code, device_id, source, event_id, payload, "
    "incident_id, areas, image_id"
)
CODES = {
    "class": ["alarm", "camera", "service"],
    "kind": "unknown intrusion motion panic holdup tamper fire heat cold water camera power battery comms keepalive arm bypass"
            .split(),
    "phase": ["raise", "restore", "update"],
    "location_source": ["none", "message", "placement", "last_known"],
}


def conninfo(database):
    return f"{CONNINFO} dbname={database}"


def connect(database, user="postgres", **options):
    return psycopg.connect(conninfo(database), user=user, autocommit=True, **options)


def create_database(name, postgis=False, options=""):
    drop_database(name)
    with connect("postgres") as conn:
        conn.execute(f"create database {name} {options}")
    if postgis:
        with connect(name) as conn:
            conn.execute("create extension postgis")


def drop_database(name):
    with connect("postgres") as conn:
        conn.execute(f"drop database if exists {name} with (force)")


def mobeyectl(*arguments, database=None, user="postgres", **options):
    command = [MOBEYECTL, *arguments]
    if database:
        command += ["--db", f"{conninfo(database)} user={user}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options)


def insert_alert(conn, kind="motion", occurred_at="2026-11-23 21:04:11+00", **columns):
    """A row as the daemon writes it, in words."""
    row = {
        "class": {"camera": "camera", "battery": "service"}.get(kind, "alarm"),
        "kind": kind,
        "phase": "raise",
        "location_source": "none",
        "occurred_at": occurred_at,
        "received_at": occurred_at,
        "source": "/mobeye/gateway-1",
        "event_id": "7f1c-000123",
        "journal_seq": 1,
        "origin": conn.info.backend_pid,  # its own: transactions that are open together must not wait for each other
        "device_id": "NL-0307-00042",
        "drill": False,
        "flags": 0,
        "payload": "{}",
        **columns,
    }
    conn.execute(
        "insert into mobeye.alert_origin (origin, instance, endpoint, rule) values (%s, 'amersfoort-1', 'cameras', %s)"
        " on conflict do nothing",
        [conn.info.backend_pid, row.pop("rule", None)],
    )
    values = [CODES[name].index(value) if name in CODES else value for name, value in row.items()]
    conn.execute(f"insert into mobeye.alert ({', '.join(row)}) values ({', '.join(['%s'] * len(row))})", values)


def insert_incident(conn, seen_at="now", **columns):
    """A new incident of one alert; gives its number."""
    row = {
        "incident_key": "00000000-0000-0000-0000-000000000000",
        "accepting": False,
        "category": "alarm",
        "priority": 2,
        "kind": "motion",
        "first_seen": seen_at,
        "last_seen": seen_at,
        "last_received_at": seen_at,
        "alert_count": 1,
        **columns,
    }
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    sql = f"insert into mobeye.incident ({names}) values ({marks}) returning incident_id"
    return conn.execute(sql, list(row.values())).fetchone()[0]


def migrated():
    """A migrated database to copy; under `run --planner` with statistics of every table, catalogs included. Its own
    template is what tests/with-postgres created."""
    name = "template_of_the_tests"
    with connect("postgres") as conn:
        if conn.execute("select from pg_database where datname = %s", [name]).fetchone() is not None:
            return name  # a test of the migrations drops it, with the roles
    create_database(name, options="template mobeye strategy file_copy")
    done = mobeyectl("migrate", database=name)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    if "MOBEYE_SQL_PLANNER" in os.environ:
        with connect(name) as conn:
            conn.execute("vacuum analyze")
    return name


class SchemaTest(unittest.TestCase):
    """One migrated database for the tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.database = cls.__name__.lower()
        cls.addClassCleanup(drop_database, cls.database)
        create_database(cls.database, options=f"template {migrated()} strategy file_copy")

    def setUp(self):
        self.superuser = self.connect()

    def connect(self, user="postgres", **options):
        conn = connect(self.database, user, **options)
        self.addCleanup(conn.close)
        return conn

    def value(self, conn, sql, *parameters):
        return conn.execute(sql, parameters).fetchone()[0]

    def waits(self, conn, other=None):
        """Until another connection, or this other one, holds what this one wants."""
        end = time.monotonic() + PATIENCE_S
        with connect(self.database) as watcher:
            while not self.value(watcher, "select coalesce(%s::integer = any (p), cardinality(p) > 0) from pg_blocking_pids(%s) as p",
                                 other and other.info.backend_pid, conn.info.backend_pid):
                self.assertLess(time.monotonic(), end)
