"""How long things are kept: erasure by class, legal holds, figures, a person's request."""

import json

import psycopg

from support import SchemaTest, insert_alert

KEEP = "'28 days', '365 days', '90 days', '1825 days'"


class RetentionTest(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute(
            "truncate mobeye.incident, mobeye.incident_history, mobeye.change, mobeye.erasure, mobeye.figure,"
            " mobeye.quarantine, mobeye.alert_identity, mobeye.alert, mobeye.device, mobeye.device_status cascade"
        )
        self.ingest = self.connect("mobeye_ingest")

    def ago(self, interval):
        return self.value(self.superuser, "select now() - %s::interval", interval)

    def alert(self, kind, ago, event="e", **columns):
        at = self.ago(ago)
        alert_class = {"camera": "camera", "battery": "service"}.get(kind, "alarm")
        self.superuser.execute("select mobeye.make_partitions(%s, %s, %s + interval '1 minute')", [alert_class, at, at])
        insert_alert(self.superuser, kind, at, event_id=event, **columns)

    def incident(self, ended="2000 days", **columns):
        row = {
            "incident_key": "00000000-0000-0000-0000-000000000000",
            "accepting": False,
            "category": "alarm",
            "priority": 2,
            "kind": "motion",
            "first_seen": self.ago(ended),
            "last_seen": self.ago(ended),
            "last_received_at": self.ago(ended),
            "alert_count": 2,
            "status": "closed",
            "closed_at": self.ago(ended),
            "outcome": "confirmed",
            "areas": ["hotspot:H1", "wijk:WK030710"],
            **columns,
        }
        names, marks = ", ".join(row), ", ".join(["%s"] * len(row))
        return self.value(
            self.superuser,
            f"insert into mobeye.incident ({names}) values ({marks}) returning incident_id",
            *row.values(),
        )

    def apply(self):
        return self.value(self.ingest, f"select mobeye.apply_retention({KEEP})")

    def events(self):
        return sorted(row[0] for row in self.superuser.execute("select event_id from mobeye.alert"))

    def incidents(self):
        return [row[0] for row in self.superuser.execute("select incident_id from mobeye.incident order by 1")]


class Classes(RetentionTest):
    def test_each_class_goes_when_its_time_is_over(self):
        for kind, kept, gone in (("camera", "27 days", "30 days"), ("motion", "364 days", "400 days"),
                                 ("battery", "89 days", "130 days")):
            self.alert(kind, kept, f"{kind} kept")
            self.alert(kind, gone, f"{kind} gone")
        self.apply()
        self.assertEqual(self.events(), ["battery kept", "camera kept", "motion kept"])

    def test_what_is_due_is_what_then_goes(self):
        self.alert("camera", "30 days", "a")
        self.alert("camera", "30 days", "b")
        self.incident()
        due = self.ingest.execute(
            f"select what, class, n from mobeye.retention_due({KEEP}) where n > 0 order by 1"
        ).fetchall()
        self.assertEqual(due, [("alerts", "camera", 2), ("incidents", "incident", 1)])
        self.assertEqual(self.apply(), 3)
        self.assertEqual(self.apply(), 0)

    def test_an_open_incident_stays_and_so_does_one_that_went_on(self):
        still = self.incident(status="acknowledged", closed_at=None, outcome=None)
        late = self.incident(last_seen=self.ago("10 days"))
        self.incident()
        self.apply()
        self.assertEqual(self.incidents(), [still, late])

    def test_history_changes_and_threads_go_with_their_incident(self):
        gone = self.incident()
        for table, columns, values in (
            ("incident_history", "actor, action", "'a', 'note'"),
            ("change", "op, status, priority, category", "'new', 'new', 2, 'alarm'"),
        ):
            self.superuser.execute(f"insert into mobeye.{table} (incident_id, {columns}) values ({gone}, {values})")
        self.superuser.execute(
            "insert into mobeye.incident_thread (thread, incident_id, active, device_id)"
            " values (gen_random_uuid(), %s, true, 'd')",
            [gone],
        )
        self.apply()
        for table in ("incident_history", "change", "incident_thread"):
            self.assertEqual(self.value(self.superuser, f"select count(*) from mobeye.{table}"), 0)

    def test_the_log_of_erasures_says_what_kind_and_how_many(self):
        self.alert("camera", "30 days")
        self.incident()
        self.apply()
        self.assertEqual(
            self.superuser.execute("select actor, what, class, n from mobeye.erasure order by 2").fetchall(),
            [("mobeyed", "alerts", "camera", 1), ("mobeyed", "incidents", "incident", 1)],
        )

    def test_quarantine_unknown_devices_and_identities(self):
        self.superuser.execute(
            "insert into mobeye.quarantine (quarantined_at, reason, record) values"
            " (now() - interval '27 days', 'kept', ''), (now() - interval '29 days', 'gone', '')"
        )
        self.superuser.execute(
            "insert into mobeye.alert_identity values (gen_random_uuid(), current_date - 426),"
            " (gen_random_uuid(), current_date - 428)"
        )
        self.superuser.execute("insert into mobeye.device (device_id) values ('known')")
        for name, days in (("known", 91), ("stranger kept", 89), ("stranger gone", 91)):
            self.superuser.execute(
                "insert into mobeye.device_status (device_id, registered, first_received_at, last_received_at,"
                " last_occurred_at, endpoint, source, kind)"
                " values (%s, false, now(), now() - make_interval(days => %s), now(), 'e', 's', 'k')",
                [name, days],
            )
        self.apply()
        self.assertEqual(self.value(self.superuser, "select reason from mobeye.quarantine"), "kept")
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.alert_identity"), 1)
        self.assertEqual(
            self.superuser.execute("select device_id from mobeye.device_status order by 1").fetchall(),
            [("known",), ("stranger kept",)],
        )


class Holds(RetentionTest):
    def test_what_is_held_and_its_alerts_stay_until_the_hold_ends(self):
        held, other = self.incident(), self.incident()
        self.alert("camera", "30 days", "held", incident_id=held)
        self.alert("camera", "30 days", "other", incident_id=other)
        self.superuser.execute("select mobeye.hold(%s, true, 'OM 2026-12')", [held])
        self.apply()
        self.assertEqual((self.incidents(), self.events()), ([held], ["held"]))
        self.superuser.execute("select mobeye.hold(%s, false, 'OM 2026-12')", [held])
        self.apply()
        self.assertEqual((self.incidents(), self.events()), ([], []))

    def test_a_hold_needs_a_reason_and_an_incident(self):
        held = self.incident()
        with self.assertRaises(psycopg.errors.InvalidParameterValue):
            self.superuser.execute("select mobeye.hold(%s, true, ' ')", [held])
        with self.assertRaises(psycopg.errors.NoDataFound):
            self.superuser.execute("select mobeye.hold(%s, true, 'why')", [held + 1])

    def test_only_the_owner_holds_and_erases(self):
        for call in ("mobeye.hold(1, true, 'x')", "mobeye.subject_erase('a', null, null, null)",
                     "mobeye.subject_export('a', null, null, null)", "mobeye.erase_incidents('{1}')"):
            with self.assertRaises(psycopg.errors.InsufficientPrivilege):
                self.ingest.execute(f"select {call}")


class Figures(RetentionTest):
    def figures(self):
        return self.superuser.execute(
            "select wijk_code, kind, outcome, incidents, alerts from patrol.figures order by 1, 2, 3"
        ).fetchall()

    def test_they_are_the_same_after_the_erasure(self):
        self.incident()
        self.incident(outcome="unattended")
        self.incident(outcome="unattended", areas=[])
        self.incident(drill=True)
        before = self.figures()
        self.assertEqual(
            before,
            [
                ("WK030710", "motion", "confirmed", 1, 2),
                ("WK030710", "motion", "unattended", 1, 2),
                (None, "motion", "unattended", 1, 2),
            ],
        )
        self.apply()
        self.assertEqual(self.incidents(), [])
        self.assertEqual(self.figures(), before)


class Subject(RetentionTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute("insert into mobeye.device (device_id) values ('d')")
        for address, since, until in (("Kerkstraat 1", 60, 40), ("Dorpsweg 2", 40, 20)):
            self.superuser.execute(
                "insert into mobeye.placement (device_id, during, geom, address) values ('d',"
                " tstzrange(now() - make_interval(days => %s), now() - make_interval(days => %s)),"
                " st_setsrid(st_point(5.4, 52.1), 4326), %s)",
                [since, until, address],
            )
        for event, days in (("first home", 50), ("second home", 30)):
            at = f"{days} days"
            incident = self.incident(ended=at, device_id="d")
            self.alert("motion", at, event, device_id="d", incident_id=incident)

    def test_the_export_is_about_one_home_alone(self):
        found = self.value(self.superuser, "select mobeye.subject_export(' kerkstraat 1', null, null, null)")
        self.assertEqual(len(found), 1)
        self.assertEqual([a["event_id"] for a in found[0]["alerts"]], ["first home"])
        self.assertEqual(len(found[0]["incidents"]), 1)
        self.assertEqual(found[0]["placement"]["address"], "Kerkstraat 1")
        self.assertNotIn("Dorpsweg", json.dumps(found))

    def test_the_erasure_takes_one_home_and_its_log_does_not_name_it(self):
        n = self.value(self.superuser, "select mobeye.subject_erase('Kerkstraat 1', null, null, null)")
        self.assertEqual(n, 3)
        self.assertEqual(self.events(), ["second home"])
        self.assertEqual(self.value(self.superuser, "select address from mobeye.placement"), "Dorpsweg 2")
        log = self.value(self.superuser, "select jsonb_agg(e) from mobeye.erasure e")
        self.assertEqual([(e["what"], e["device_id"]) for e in log], [("subject", "d")])
        self.assertNotIn("Kerkstraat", json.dumps(log))

    def test_after_a_restore_the_log_erases_it_again(self):
        self.superuser.execute("select mobeye.subject_erase('Kerkstraat 1', null, null, null)")
        log = self.value(self.superuser, "select jsonb_agg(e) from mobeye.erasure e")
        self.alert("motion", "50 days", "from the backup", device_id="d")
        self.assertEqual(self.value(self.superuser, "select mobeye.erase_again(%s)", json.dumps(log)), 1)
        self.assertEqual(self.events(), ["second home"])

    def test_by_device_and_time(self):
        n = self.value(
            self.superuser,
            "select mobeye.subject_erase(null, 'd', now() - interval '35 days', now() - interval '25 days')",
        )
        self.assertEqual(n, 2)  # the alert and its incident; the placement goes on beyond that time
        self.assertEqual(self.events(), ["first home"])

    def test_nothing_of_what_is_under_a_hold(self):
        held = self.value(self.superuser, "select min(incident_id) from mobeye.incident")
        self.superuser.execute("select mobeye.hold(%s, true, 'OM')", [held])
        with self.assertRaises(psycopg.errors.ObjectInUse):
            self.superuser.execute("select mobeye.subject_erase('Kerkstraat 1', null, null, null)")
        self.assertEqual(len(self.events()), 2)
