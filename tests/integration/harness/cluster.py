"""A private PostgreSQL cluster (tests/with-postgres) and the databases in it."""
import contextlib
import os
import pathlib
import signal
import subprocess
import uuid

import psycopg
from psycopg.conninfo import make_conninfo

from .figures import note_figures
from .paths import MOBEYECTL, WITH_POSTGRES
from .wait import wait_until

TEMPLATE = "mobeye"


def migrate(conninfo):
    """mobeyectl migrate, as a finished process."""
    return subprocess.run([MOBEYECTL, "migrate", "--db", conninfo], capture_output=True, text=True, timeout=120)


class Cluster:
    """Lives as long as the stdin of tests/with-postgres is open, so that it is gone even when this process is killed.
    The database `mobeye` is migrated, nobody writes to it, and each test copies it. environment: of tests/with-postgres."""

    def __init__(self, migrated=True, **environment):
        told = ["MOBEYE_TEST_CONNINFO", "MOBEYE_PG_CTL", "MOBEYE_PG_DATA"]
        script = "printenv " + " ".join(told) + "; read -r _ || true"
        options = ["--migrate"] if migrated else []
        self.process = subprocess.Popen([WITH_POSTGRES, *options, "bash", "-c", script], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
        self.conninfo, self.ctl, data = (self.process.stdout.readline().rstrip("\n") for _ in told)
        assert data, "PostgreSQL did not start"
        self.data = pathlib.Path(data)

    def close(self):
        self.process.stdin.close()
        self.process.wait(120)

    def database(self, template=TEMPLATE):
        """A separate database: by default with the schema; with template None an empty one."""
        name = "t_" + uuid.uuid4().hex[:12]
        with psycopg.connect(self.conninfo, dbname="postgres", autocommit=True) as connection:
            # Without fsync a copy of the files takes half the processor time of one through the WAL.
            connection.execute(f"create database {name} template {template or 'template0'} strategy file_copy")
        return Database(self, name)

    def _run(self, verb):
        subprocess.run([self.ctl, verb], check=True, timeout=120, stdin=subprocess.DEVNULL)

    def start(self):
        self._run("start")

    def stop(self):
        self._run("stop")

    def restart(self):
        self._run("restart")

    def kill(self):
        """As in a crash."""
        self._run("kill")

    def running(self):
        return (self.data / "postmaster.pid").exists()

    def processes(self):
        """The pids of the postmaster and of all its children."""
        postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
        children = pathlib.Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]

    def _signal(self, number):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def freeze(self):
        """The server hangs: connections stay open but nothing responds."""
        self._signal(signal.SIGSTOP)

    def thaw(self):
        self._signal(signal.SIGCONT)

    def recover(self):
        """Makes it run, whatever a test did to it."""
        if self.running():
            self.thaw()
        else:
            self.start()

    def reload(self):
        os.kill(self.processes()[0], signal.SIGHUP)


class Database:
    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.conninfo = make_conninfo(cluster.conninfo, dbname=name)
        # What the daemon connects as: the role that holds nothing but what it needs.
        self.ingest = make_conninfo(self.conninfo, user="mobeye_ingest")

    def execute(self, sql, *args):
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            return connection.execute(sql, args or None)

    def alter(self, setting):
        """alter database ... SETTING, for future connections."""
        with psycopg.connect(self.cluster.conninfo, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"alter database {self.name} {setting}")

    def rows(self, sql, *args):
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            return connection.execute(sql, args or None).fetchall()

    def value(self, sql, *args):
        return self.rows(sql, *args)[0][0]

    def alert(self, event_id):
        """The one row of patrol.alerts with this id, as a dict."""
        with psycopg.connect(self.conninfo, row_factory=psycopg.rows.dict_row) as connection:
            rows = connection.execute("select * from patrol.alerts where event_id = %s", [event_id]).fetchall()
        assert len(rows) == 1, f"{event_id}: {len(rows)} rows"
        return rows[0]

    def stored(self):
        return self.value("select count(*) from patrol.alerts")

    def wait_stored(self, count):
        wait_until(lambda: self.stored() >= count, f"{count} alerts in the database")
        assert self.stored() == count

    def identities(self):
        return self.rows("select source, event_id from patrol.alerts")

    def check(self, *ledgers, elsewhere=(), rows=None):
        """The oracle: what was accepted is there, once, and nothing else. `elsewhere`: identities in quarantine;
        `rows`: what is there, where it is not all or not known by (source, id)."""
        rows = self.identities() if rows is None else rows
        accepted = set().union(*(ledger.accepted for ledger in ledgers))
        sent = set().union(*(ledger.sent for ledger in ledgers))
        lost = accepted - set(rows) - set(elsewhere)
        note_figures(accepted=len(accepted), lost=len(lost), doubled=len(rows) - len(set(rows)))
        assert len(rows) == len(set(rows)), "an alert is there more than once"
        assert not lost, f"{len(lost)} of {len(accepted)} accepted alerts are lost: {sorted(lost)[:5]}"
        strange = set(rows) - sent
        assert not strange, f"{len(strange)} stored alerts were never sent: {sorted(strange)[:5]}"

    def check_images(self, image_of):
        """Every stored alert has the image that image_of(source, event_id) says, byte for byte, or none; no image is
        without its alert. Returns how many images there are."""
        rows = self.rows("select a.source, a.event_id, s.image from mobeye.alert a"
                         " left join mobeye.snapshot s using (image_id, occurred_at)")
        for source, event_id, image in rows:
            assert image_of(source, event_id) == (image and bytes(image)), f"the image of {event_id}"
        found = sum(image is not None for *_, image in rows)
        assert found == self.value("select count(*) from mobeye.snapshot"), "each image belongs to one alert"
        return found

    def copy(self):
        """A copy of the present state; nobody else may be connected to this one meanwhile."""
        self.disconnect_all()
        return self.cluster.database(self.name)

    def disconnect_all(self):
        """Ends the connections of everybody else, and returns how many there were."""
        return self.value("select count(pg_terminate_backend(pid)) from pg_stat_activity "
                          "where datname = %s and pid <> pg_backend_pid()", self.name)

    def drop(self):
        with psycopg.connect(self.cluster.conninfo, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"drop database if exists {self.name} with (force)")
