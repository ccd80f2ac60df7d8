"""What the tests of the schema share: databases of their own, and mobeyectl."""

import os
import subprocess
import time
import unittest

import psycopg

CONNINFO = os.environ["MOBEYE_TEST_CONNINFO"]
MOBEYECTL = os.path.join(os.environ["MOBEYE_BUILD"], "mobeyectl")
PATIENCE_S = 120

# What the daemon writes of an alert.
ALERT_COLUMNS = (
    "class, occurred_at, received_at, clock_skew, source, event_id, instance, journal_seq, endpoint, device_id, kind, "
    "phase, input, drill, flags, geom, accuracy_m, location_source, rule, incident_id, payload"
)


def conninfo(database):
    return f"{CONNINFO} dbname={database}"


def connect(database, user="postgres", **options):
    return psycopg.connect(conninfo(database), user=user, autocommit=True, **options)


def create_database(name, postgis=False, options=""):
    with connect("mobeye") as conn:
        conn.execute(f"drop database if exists {name} with (force)")
        conn.execute(f"create database {name} {options}")
    if postgis:
        with connect(name) as conn:
            conn.execute("create extension postgis")


def mobeyectl(*arguments, database=None, user="postgres", **options):
    command = [MOBEYECTL, *arguments]
    if database:
        command += ["--db", f"{conninfo(database)} user={user}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, **options)


def insert_alert(conn, kind="motion", occurred_at="2026-11-23 21:04:11+00", **columns):
    """A row as the daemon writes it; gives the partition that it is in."""
    alert_class = {"camera": "camera", "battery": "service"}.get(kind, "alarm")
    row = {
        "class": alert_class,
        "occurred_at": occurred_at,
        "received_at": occurred_at,
        "source": "/mobeye/gateway-1",
        "event_id": "7f1c-000123",
        "instance": "amersfoort-1",
        "journal_seq": 1,
        "endpoint": "cameras",
        "device_id": "NL-0307-00042",
        "kind": kind,
        "phase": "raise",
        "drill": False,
        "flags": [],
        "location_source": "none",
        "payload": "{}",
        **columns,
    }
    names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    conn.execute(f"insert into mobeye.alert ({names}) values ({marks})", list(row.values()))


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
    """A migrated database to copy; under `run --planner` with statistics of every table, catalogs included."""
    name = "template_of_the_tests"
    with connect("mobeye") as conn:
        if conn.execute("select from pg_database where datname = %s", [name]).fetchone():
            return name  # a test of the migrations drops it, with the roles
    create_database(name)
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
        create_database(cls.database, options=f"template {migrated()}")

    def setUp(self):
        self.superuser = self.connect()

    def connect(self, user="postgres", **options):
        conn = connect(self.database, user, **options)
        self.addCleanup(conn.close)
        return conn

    def value(self, conn, sql, *parameters):
        return conn.execute(sql, parameters).fetchone()[0]

    def waits(self, conn):
        """Until another connection holds what this one wants."""
        end = time.monotonic() + PATIENCE_S
        with connect(self.database) as watcher:
            while not self.value(watcher, "select cardinality(pg_blocking_pids(%s)) > 0", conn.info.backend_pid):
                self.assertLess(time.monotonic(), end)
