"""What the tests of retention share: alerts and incidents of any age, and the jobs that erase them."""
from support import SchemaTest, insert_alert, insert_incident

KEEP = "'28 days', '365 days', '90 days', '1825 days'"

# Of these tables and their partitions those that have rows; there are hundreds that have none.
EMPTY = """
do $$
declare
    used text;
begin
    select string_agg(t.relation::text, ', ') into used
      from unnest('{mobeye.incident, mobeye.incident_history, mobeye.change, mobeye.erasure, mobeye.incident_stats,
                    mobeye.incident_condition, mobeye.quarantine, mobeye.alert_identity, mobeye.alert, mobeye.device,
                    mobeye.device_status, mobeye.mute, mobeye.registry_log}'::regclass[]) root,
           lateral (select root union select relid from pg_partition_tree(root)) t(relation)
     where pg_relation_size(t.relation) > 0;
    if used is not null then
        execute 'truncate ' || used || ' cascade';
    end if;
end $$
"""


class RetentionTest(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute(EMPTY)
        self.ingest = self.connect("mobeye_ingest")

    def ago(self, interval):
        return self.value(self.superuser, "select now() - %s::interval", interval)

    def alert(self, kind, ago, event="e", **columns):
        at = self.ago(ago)
        alert_class = {"camera": "camera", "battery": "service"}.get(kind, "alarm")
        self.superuser.execute("select mobeye.make_partitions(%s, %s, %s + interval '1 minute')", [alert_class, at, at])
        insert_alert(self.superuser, kind, at, event_id=event, **columns)

    def identity(self, ago):
        """One that is stored alone in a period that was closed this long ago."""
        self.superuser.execute(
            "insert into mobeye.alert_identity select gen_random_uuid(), 1, p.period from mobeye.identity_period p where p.closed_at is null")
        self.superuser.execute("select mobeye.turn_identity_period(0)")
        self.superuser.execute("select mobeye.make_identity_filters()")
        self.superuser.execute(
            "update mobeye.identity_period set closed_at = now() - %s::interval where period = (select max(period) - 1"
            " from mobeye.identity_period)", [ago])

    def incident(self, ended="2000 days", **columns):
        row = {
            "alert_count": 2,
            "status": "closed",
            "closed_at": self.ago(ended),
            "outcome": "confirmed",
            "areas": ["hotspot:H1", "wijk:WK030710"],
            **columns,
        }
        return insert_incident(self.superuser, self.ago(ended), **row)

    def apply(self, keep=KEEP):
        """How many rows each job erased, one transaction a job, as the daemon does it; none may fail."""
        rows = self.apply_jobs(keep)
        self.assertEqual([error for *_, error in rows if error], [])
        return sum(n for *_, n, _ in rows)

    def apply_jobs(self, keep=KEEP):
        jobs = self.value(self.ingest, "select mobeye.retention_jobs()")
        return [row for job in jobs for row in self.ingest.execute(
            f"select what, class, partition, n, error from mobeye.apply_retention(%s, {keep})", [job])]

    def due(self, keep=KEEP):
        return self.ingest.execute(
            f"select d.what, d.class, d.n from unnest(mobeye.retention_jobs()) j, mobeye.retention_due(j, {keep}) d"
            " where d.n > 0 order by 1"
        ).fetchall()

    def overdue(self, keep=KEEP):
        return self.ingest.execute(f"select job, n from mobeye.retention_overdue({keep})").fetchall()

    def events(self):
        return sorted(row[0] for row in self.superuser.execute("select event_id from mobeye.alert"))

    def incidents(self):
        return [row[0] for row in self.superuser.execute("select incident_id from mobeye.incident order by 1")]
