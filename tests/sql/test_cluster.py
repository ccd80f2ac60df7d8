"""tests/with-postgres itself: the environment of COMMAND, and that nothing is left behind."""

import os
import signal
import subprocess
import unittest

from support import PATIENCE_S

WITH_POSTGRES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "with-postgres")


class Cluster(unittest.TestCase):
    def start(self, script):
        """The running script, and the directory of its cluster, which it prints first."""
        process = subprocess.Popen(
            [WITH_POSTGRES, "bash", "-c", 'echo "$MOBEYE_PG_DATA"; ' + script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return process, os.path.dirname(process.stdout.readline().strip())

    def finish(self, process, directory, status, stdin=None):
        out, _ = process.communicate(stdin, timeout=PATIENCE_S)
        self.assertEqual(process.returncode, status)
        self.assertFalse(os.path.exists(directory))
        return out

    def test_command_has_its_stdin_and_gives_its_status(self):
        out = self.finish(*self.start("cat; exit 7"), 7, "hello")
        self.assertEqual(out, "hello")

    def test_the_database_is_empty_and_found_by_psql_alone(self):
        tables = (
            "psql -Atc \"select current_database(), current_user, count(*) from pg_tables where schemaname = 'public'\""
        )
        self.assertEqual(self.finish(*self.start(tables), 0), "mobeye|postgres|0\n")

    def test_signals_reach_command_and_the_cluster_goes(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process, directory = self.start("tail -f /dev/null & trap 'kill $!; exit 5' INT TERM; echo up; wait")
            self.assertEqual(process.stdout.readline(), "up\n")
            process.send_signal(number)
            self.finish(process, directory, 5)

    def test_a_killed_cluster_starts_again_with_what_was_committed(self):
        out = self.finish(
            *self.start(
                'psql -qc "create table a as select 42 as b"; psql -qc checkpoint; $MOBEYE_PG_CTL kill;'
                ' psql -c "select" 2> /dev/null || echo down; $MOBEYE_PG_CTL start; psql -Atc "select b from a"'
            ),
            0,
        )
        self.assertEqual(out, "down\n42\n")

    def test_a_hung_server_is_cleared_away_too(self):
        self.finish(*self.start('kill -STOP "$(head -n 1 "$MOBEYE_PG_DATA/postmaster.pid")"'), 0)


if __name__ == "__main__":
    unittest.main()
