"""What mobeye.purge() removes besides alerts and incidents: what nothing refers to any more."""
from concurrent.futures import ThreadPoolExecutor

from retention_case import RetentionTest
from support import PATIENCE_S


class Purge(RetentionTest):
    def purge(self):
        return self.value(self.ingest, "select mobeye.purge('365 days')")

    def thread(self, incident, active):
        return self.value(
            self.superuser,
            "insert into mobeye.incident_condition (condition, incident_id, active, device_id)"
            " values (gen_random_uuid(), %s, %s, 'd') returning incident_id",
            incident,
            active,
        )

    def test_threads_go_when_nothing_can_follow_them(self):
        still_open = {"status": "new", "closed_at": None, "outcome": None}
        cases = (
            ("gone", True, {"ended": "25 hours"}),
            ("kept", True, {"ended": "23 hours"}),
            ("kept", False, {"ended": "25 hours", "gap": "2 hours"}),
            ("kept", False, {"ended": "25 hours", **still_open}),  # who joined it is still asked
            ("kept", True, {"ended": "25 hours", **still_open}),  # still to be restored
            ("kept", False, {"ended": "25 hours", "accepting": True, **still_open}),
        )
        fates = {self.thread(self.incident(**row), active): fate for fate, active, row in cases}
        self.assertEqual(self.purge(), 1)
        left = {row[0] for row in self.superuser.execute("select incident_id from mobeye.incident_condition")}
        self.assertEqual(left, {incident for incident, fate in fates.items() if fate == "kept"})

    def test_no_thread_leads_to_an_incident_that_was_erased_while_alerts_joined_it(self):
        incident = self.incident(ended="2000 days")
        daemon = self.connect()
        daemon.execute("begin")
        daemon.execute("select from mobeye.incident for update")
        with ThreadPoolExecutor(1) as pool:
            erased = pool.submit(self.superuser.execute, "select mobeye.erase_incidents(array[%s::bigint])", [incident])
            self.waits(self.superuser)
            daemon.execute(
                "insert into mobeye.incident_condition (condition, incident_id, active, device_id)"
                " values (gen_random_uuid(), %s, true, 'd')", [incident])
            daemon.execute("commit")
            erased.result(PATIENCE_S)
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.incident_condition"), 0)

    def test_an_incident_that_somebody_works_on_is_passed_over(self):
        incident = self.incident(ended="2 days")
        self.thread(incident, False)
        person = self.connect()
        with person.transaction(force_rollback=True):
            person.execute("select from mobeye.incident for update")
            self.assertEqual(self.purge(), 0)
        self.assertEqual(self.purge(), 1)

    def test_old_versions_of_the_registry_go_and_daemons_that_are_behind_read_all(self):
        self.superuser.execute("truncate mobeye.registry_log")
        for name in ("a", "b", "c"):
            self.superuser.execute("insert into mobeye.device (device_id) values (%s)", [name])
        first, second, third = (row[0] for row in self.superuser.execute("select version from mobeye.registry_log order by 1"))
        self.superuser.execute("update mobeye.registry_log set at = now() - interval '91 days' where version <= %s", [second])

        def kind(known):
            return self.ingest.execute("select name from mobeye.registry_since(%s)", [known]).fetchone()[0]

        self.assertEqual(self.purge(), 2)
        self.assertEqual([kind(known) for known in (first, second, third)], ["everything", "changes", "changes"])
        self.superuser.execute("update mobeye.registry_log set at = now() - interval '91 days'")
        self.assertEqual(self.purge(), 1)
        self.assertEqual([kind(known) for known in (second, third)], ["everything", "changes"])

    def test_changes_go_with_the_alarms(self):
        for days in (364, 366):
            self.superuser.execute(
                "insert into mobeye.change (incident_id, op, status, priority, category, at)"
                " values (1, 'new', 'new', 2, 'alarm', now() - make_interval(days => %s))", [days])
        self.assertEqual(self.purge(), 1)
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.change"), 1)
