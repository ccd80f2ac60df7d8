"""Two servers of one database: a primary, and a standby that follows it by streaming replication."""
import os
import pathlib
import shutil
import subprocess

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from .cluster import Cluster, Database
from .wait import wait_until

# For a standby that is not connected while a primary that was killed recovers.
WAL_KEPT = "256MB"
AS_SERVER = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def program(name):
    """Of the newest PostgreSQL that is installed, as in tests/with-postgres."""
    return max(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))


class Pair:
    """`primary` and `standby` change places with promote(). A standby follows from the moment of follow(). environment: of
    tests/with-postgres."""

    def __init__(self, **environment):
        self.primary, self.standby = Cluster(**environment), Cluster(migrated=False, **environment)

    def close(self):
        for cluster in self.primary, self.standby:
            cluster.close()

    def _query(self, cluster, *statements):
        with psycopg.connect(cluster.conninfo, dbname="postgres", autocommit=True) as connection:
            return [connection.execute(statement) for statement in statements][-1]

    def follow(self, synchronous=True):
        """Creates the standby from the present state of the primary, whatever it was before."""
        at = conninfo_to_dict(self.primary.conninfo)
        if self.standby.running():
            self.standby.stop()
        settings = (self.standby.data / "postgresql.auto.conf").read_text()
        settings = "".join(line for line in settings.splitlines(True) if not line.startswith(("primary", "synchronous", "wal_")))
        shutil.rmtree(self.standby.data)
        subprocess.run([*AS_SERVER, program("pg_basebackup"), "-D", self.standby.data, "-h", at["host"], "-p", at["port"],
                        "-U", "postgres", "-c", "fast", "--no-sync"], check=True, timeout=120, cwd="/",
                       stdin=subprocess.DEVNULL)
        source = make_conninfo(host=at["host"], port=at["port"], user="postgres", application_name="standby")
        (self.standby.data / "postgresql.auto.conf").write_text(f"{settings}primary_conninfo = '{source}'\n"
                                                                  "wal_retrieve_retry_interval = '100ms'\n")
        (self.standby.data / "standby.signal").touch()
        self.standby.start()
        self._query(self.primary, f"alter system set synchronous_standby_names = '{'standby' if synchronous else ''}'",
                    f"alter system set wal_keep_size = '{WAL_KEPT}'", "select pg_reload_conf()")
        state = "sync" if synchronous else "async"
        wait_until(lambda: self._query(self.primary, "select true from pg_stat_replication where state = 'streaming' "
                                       f"and sync_state = '{state}'").fetchone(), f"a standby that is {state}")

    def cut(self):
        """The standby gets nothing more."""
        self._query(self.standby, "alter system set primary_conninfo = ''", "select pg_reload_conf()")
        wait_until(lambda: not self._query(self.primary, "select from pg_stat_replication").fetchall(), "no standby")

    def wait_caught_up(self):
        """The standby has all that anybody has seen of the primary: also a commit whose waiting for the standby a killed server
        or backend cut short."""
        there = self._query(self.primary, "select pg_current_wal_lsn()").fetchone()[0]
        wait_until(lambda: self._query(self.primary, "select from pg_stat_replication where sync_state = 'sync'"
                                       f" and flush_lsn >= '{there}'").fetchone() is not None, "the standby caught up")

    def promote(self):
        """The standby becomes the primary; the old one is left unchanged."""
        self._query(self.standby, "alter system set synchronous_standby_names = ''", "select pg_promote(true, 60)")
        self.primary, self.standby = self.standby, self.primary

    def database(self, name):
        """What is now the primary's."""
        return Database(self.primary, name)

    def standby_of(self, database):
        return Database(self.standby, database.name)

    def conninfo(self, database, target_session_attrs="read-write", standby_first=False, user="mobeye_ingest"):
        """As configured for a program: both servers."""
        clusters = (self.standby, self.primary) if standby_first else (self.primary, self.standby)
        servers = [conninfo_to_dict(cluster.conninfo) for cluster in clusters]
        return make_conninfo(database.ingest, user=user, target_session_attrs=target_session_attrs,
                             **{key: ",".join(server[key] for server in servers) for key in ("host", "port")})
