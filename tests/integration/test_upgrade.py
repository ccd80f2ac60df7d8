"""What an earlier version left behind (tests/fixtures) is taken over: its database by migrate, its journal
unchanged."""
import gzip
import json
import subprocess
import tarfile

import pytest

from harness.alerts import alerts
from harness.cluster import migrate
from harness.paths import MOBEYED, ROOT
from harness.peers import Dealer

FIXTURES = sorted(path.parent for path in ROOT.glob("tests/fixtures/*/accepted.json"))
# The fixtures grow old.
RULES = """
retention: {camera: 36500d, alarm: 36500d, service: 36500d, incident: 36500d}
rules:
  - name: all
    incident: {category: alarm, priority: 2, group_by: [device], gap: 4h30m}
"""
# What schema and rights consist of, but for partitions, whose names and numbers are those of the time.
SCHEMA = """
select 'table', c.oid::regclass::text, coalesce(c.relacl, acldefault('r', c.relowner))::text, c.relkind::text, coalesce(obj_description(c.oid), '')
  from pg_class c where c.relnamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace) and not c.relispartition
   and not exists (select from pg_index x join pg_class t on t.oid = x.indrelid where x.indexrelid = c.oid and t.relispartition)
union all
select 'column', a.attrelid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod) || a.attnotnull, coalesce(a.attacl::text, '')
  from pg_attribute a join pg_class c on c.oid = a.attrelid
 where c.relnamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace) and not c.relispartition and c.relkind in ('r', 'p', 'v')
   and a.attnum > 0 and not a.attisdropped
union all
select 'function', p.oid::regprocedure::text, coalesce(p.proacl, acldefault('f', p.proowner))::text, md5(p.prosrc), p.prosecdef::text || coalesce(p.proconfig::text, '')
  from pg_proc p where p.pronamespace in ('mobeye'::regnamespace, 'patrol'::regnamespace)
union all
select 'trigger', t.tgrelid::regclass::text, pg_get_triggerdef(t.oid), '', '' from pg_trigger t join pg_class c on c.oid = t.tgrelid
 where not t.tgisinternal and not c.relispartition and c.relnamespace = 'mobeye'::regnamespace
union all
select 'schema', nspname, nspacl::text, '', '' from pg_namespace where nspname in ('mobeye', 'patrol')
"""


class Fixture:
    def __init__(self, directory):
        self.directory = directory
        facts = json.loads((directory / "accepted.json").read_text())
        self.accepted = {tuple(identity) for identity in facts["accepted"]}
        self.dc09, self.stored = facts["dc09"], facts["stored"]
        self.total = len(self.accepted) + self.dc09

    def restore(self, cluster):
        made = cluster.database(template=None)
        sql = gzip.decompress((self.directory / "database.sql.gz").read_bytes())
        subprocess.run(["psql", "-qX", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", "-d", made.conninfo], input=sql, check=True)
        return made

    def journal(self, daemon):
        with tarfile.open(self.directory / "journal.tar.gz") as tar:
            tar.extractall(daemon.directory)
        return daemon

    def check(self, database):
        rows = database.identities()
        assert len(rows) == len(set(rows)) == self.total
        assert {row for row in rows if not row[0].startswith("dc09:")} == self.accepted


@pytest.fixture(params=FIXTURES, ids=[path.name for path in FIXTURES])
def fixture(request):
    return Fixture(request.param)


@pytest.fixture
def old(fixture, shared_cluster):
    """The database of that version, brought up to this one's."""
    made = fixture.restore(shared_cluster)
    before = made.value("select max(version) from mobeye.schema_version")
    # Whether or not its code is this version's, it is applied again.
    made.execute("update mobeye.schema_code set sha256 = 'another', program = '0.0.1'")
    done = migrate(made.conninfo)
    assert done.returncode == 0, done.stderr
    newest = max(int(path.name[:4]) for path in ROOT.glob("sql/migrations/*.sql"))
    assert before <= newest == made.value("select max(version) from mobeye.schema_version")
    yield made
    made.drop()


def test_a_database_and_a_journal_are_taken_over(fixture, old, daemons, context):
    kept = old.rows("select source, event_id, journal_seq, kind, phase, drill, flags, occurred_at, payload::text, "
                    "st_astext(geom) from patrol.alerts order by journal_seq")
    assert len(kept) == fixture.stored
    daemon = fixture.journal(daemons(old.ingest, more=RULES, keep="3650d")).start()
    daemon.wait_drained()
    fixture.check(old)
    assert daemon.metric("committed_total") == fixture.total - fixture.stored, "what was stored is not applied again"
    assert daemon.metric("duplicate_total") == daemon.metric("quarantined_total") == 0
    assert daemon.metric("journal_gaps_total") == 0
    assert old.rows("select source, event_id, journal_seq, kind, phase, drill, flags, occurred_at, payload::text, "
                    "st_astext(geom) from patrol.alerts order by journal_seq limit %s", fixture.stored) == kept
    waited = "journal_seq > %s and phase = 'raise'"
    assert old.value(f"select count(*) from patrol.alerts where incident_id is null and {waited}", fixture.stored) == 0
    dealer = Dealer(context, daemon.address())
    assert dealer.deliver(alerts(10, "new"))[0] == fixture.total + 1
    daemon.wait_drained()
    assert old.stored() == fixture.total + 10
    assert daemon.ctl("journal", "verify").returncode == 0


def test_a_journal_alone_fills_a_database(fixture, database, daemons):
    daemon = fixture.journal(daemons(database.ingest, more=RULES, keep="3650d")).start()
    daemon.wait_drained()
    fixture.check(database)


def test_a_database_that_was_upgraded_is_as_a_new_one(old, database):
    upgraded, new = set(old.rows(SCHEMA)), set(database.rows(SCHEMA))
    assert new - upgraded == set(), "what an upgraded one lacks"
    assert upgraded - new == set(), "what it has besides"


def test_its_configuration_is_read(fixture):
    done = subprocess.run([MOBEYED, "--check", "-c", fixture.directory / "mobeyed.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
