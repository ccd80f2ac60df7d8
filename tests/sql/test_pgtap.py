"""The pgTAP files of this folder, each in a database of its own; a line that is not ok fails the test."""

import os
import pathlib
import subprocess

from support import PATIENCE_S, SchemaTest, conninfo

HERE = pathlib.Path(__file__).parent


class Pgtap(SchemaTest):
    def run_file(self, name):
        done = subprocess.run(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", conninfo(self.database), "-f", HERE / name],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        lines = done.stdout.splitlines()
        passed = [line for line in lines if line.startswith("ok ")]
        wrong = [line for line in lines if line.startswith(("not ok", "#"))]
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertTrue(passed)


def add(path):
    setattr(Pgtap, f"test_{path.stem}", lambda self: self.run_file(path.name))


for file in sorted(HERE.glob("*.sql")):
    # Which plan is taken is for the planner to say, with all its methods.
    if file.stem != "plans" or os.environ.get("MOBEYE_SQL_PLANNER", "all") == "all":
        add(file)
