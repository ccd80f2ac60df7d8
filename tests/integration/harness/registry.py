"""mobeyectl areas, devices, device, people and teams on a database, and files of areas."""
import json
import subprocess

from .paths import MOBEYECTL


class Registry:
    def __init__(self, database, directory):
        self.database, self.directory = database, directory

    def run(self, *arguments, stdin=None, role=None):
        db = self.database.conninfo + (f" options='-c role={role}'" if role else "")
        return subprocess.run([MOBEYECTL, *map(str, arguments), "--db", db], input=stdin, capture_output=True, text=True,
                              timeout=120)

    def done(self, *arguments, stdin=None):
        """Its --json output, and its diagnostics."""
        ran = self.run(*arguments, "--json", stdin=stdin)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout), ran.stderr

    def refused(self, *arguments, stdin=None, status=1):
        """Its diagnostics, by line."""
        before = self.state()
        ran = self.run(*arguments, stdin=stdin)
        assert ran.returncode == status, (ran.stdout, ran.stderr)
        assert ran.stdout == ""
        assert self.state() == before
        return ran.stderr.splitlines()

    def query(self, sql):
        return self.database.rows(sql)

    def add_team(self, team):
        self.done("teams", "import", "-", stdin=f"team,layer,code\n{team},,\n")

    def state(self):
        return self.query("select name, value from mobeye.counter order by 1")

    def file(self, text, name="file.csv"):
        path = self.directory / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


def collection(*features):
    return json.dumps({"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        for properties, ring in features]}, indent=1)


def square(x=5.0, y=52.0):
    return [[x, y], [x + 0.1, y], [x + 0.1, y + 0.1], [x, y + 0.1], [x, y]]
