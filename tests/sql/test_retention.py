"""How long things are kept: erasure by class, legal holds, figures."""

import psycopg

from retention_case import KEEP, RetentionTest
from support import conninfo, insert_alert

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
        self.assertEqual(self.due(), [("alerts", "camera", 2), ("incidents", "incident", 1)])
        self.assertEqual(self.apply(), 3)
        self.assertEqual(self.apply(), 0)

    def test_an_open_incident_stays_and_so_does_one_that_went_on(self):
        still = self.incident(status="acknowledged", closed_at=None, outcome=None)
        late = self.incident(last_seen=self.ago("10 days"))
        self.incident()
        self.apply()
        self.assertEqual(self.incidents(), [still, late])

    def test_history_and_threads_go_with_their_incident(self):
        gone = self.incident()
        self.superuser.execute(
            f"insert into mobeye.incident_history (incident_id, actor, action) values ({gone}, 'a', 'note')"
        )
        self.superuser.execute(
            "insert into mobeye.incident_condition (condition, incident_id, active, device_id)"
            f" values (gen_random_uuid(), {gone}, true, 'd')"
        )
        self.apply()
        for table in ("incident_history", "incident_condition"):
            self.assertEqual(self.value(self.superuser, f"select count(*) from mobeye.{table}"), 0)

    def test_alerts_that_outlive_their_incident_stay_with_those_who_saw_it(self):
        self.superuser.execute("insert into mobeye.team (team) values ('noord'), ('zuid') on conflict do nothing")
        of_team = self.incident("40 days", team="zuid")
        of_areas = self.incident("40 days")
        for event, incident, columns in (("its team's", of_team, {}), ("its place's", of_team, {"team": "noord"}), ("its areas'", of_areas, {})):
            self.alert("motion", "40 days", event, incident_id=incident, **columns)
        self.superuser.execute("update mobeye.incident set last_seen = first_seen + interval '1 minute', first_seen = first_seen - interval '1 minute'")
        self.apply("'28 days', '365 days', '90 days', '30 days'")
        self.assertEqual(self.incidents(), [])
        self.assertEqual(self.superuser.execute("select event_id, incident_id, team, areas from mobeye.alert order by 1").fetchall(), [
            ("its areas'", None, None, ["hotspot:H1", "wijk:WK030710"]), ("its place's", None, "noord", None), ("its team's", None, "zuid", None)])

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
        self.identity("426 days")
        self.identity("428 days")
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


    def place(self, device, since, until, **columns):
        row = {"device_id": device, "address": "Kerkstraat 1", "secret": False, **columns}
        names = ", ".join(row)
        return self.value(
            self.superuser,
            f"insert into mobeye.placement ({names}, geom, during) values ({', '.join(['%s'] * len(row))},"
            " st_setsrid(st_point(5.4, 52.1), 4326), tstzrange(now() - %s::interval, now() - %s::interval))"
            " returning placement_id", *row.values(), since, until)

    def test_mutes_go_when_incidents_do_unless_theirs_is_held(self):
        held = self.incident()
        self.superuser.execute("select mobeye.hold(%s, true, 'OM')", [held])
        for reason, ended, incident in (("kept", "1824 days", None), ("gone", "1826 days", None), ("held", "1826 days", held)):
            self.superuser.execute(
                "insert into mobeye.mute (device_id, at, until, reason, muted_by, incident_id)"
                " values ('d', now() - interval '2000 days', now() - %s::interval, %s, 'jan', %s)", [ended, reason, incident])
        self.assertEqual(self.overdue(), [("mutes", 1)])
        self.apply()
        self.assertEqual(self.superuser.execute("select reason from mobeye.mute order by 1").fetchall(), [("held",), ("kept",)])

    def test_placements_go_when_nothing_names_them(self):
        self.superuser.execute("insert into mobeye.device (device_id) values ('d')")
        self.place("d", "3000 days", "1826 days")
        named = self.place("d", "1826 days", "1825 days 1 hour")
        kept = self.place("d", "1825 days 1 hour", "1824 days")
        open_one = self.incident(placement_id=named, status="new", closed_at=None, outcome=None)
        left = "select array_agg(placement_id order by 1) from mobeye.placement"
        self.apply()
        self.assertEqual(self.value(self.superuser, left), [named, kept])
        self.superuser.execute("select mobeye.erase_incidents(array[%s::bigint])", [open_one])
        self.apply()
        self.assertEqual(self.value(self.superuser, left), [kept])

    def test_last_fixes_go_with_the_class_that_goes_first(self):
        for device, taken in (("kept", "27 days"), ("gone", "29 days")):
            self.superuser.execute(
                "insert into mobeye.device_status (device_id, registered, first_received_at, last_received_at,"
                " last_occurred_at, endpoint, source, kind, fix, fix_at)"
                " values (%s, false, now(), now(), now(), 'e', 's', 'k', st_setsrid(st_point(5, 52), 4326), now() - %s::interval)",
                [device, taken])
        self.apply()
        self.assertEqual(
            self.superuser.execute("select device_id, fix is null from mobeye.device_status order by 1").fetchall(),
            [("gone", True), ("kept", False)])
        # Daemons hear of it.
        self.assertEqual(
            self.superuser.execute("select device_id from mobeye.registry_log where forget is not null").fetchall(), [("gone",)])

    def test_a_partition_that_is_read_is_dropped_later_and_holds_up_nothing_else(self):
        self.alert("camera", "30 days", "read")
        self.alert("battery", "130 days", "gone")
        self.incident()
        reader = self.connect()
        with reader.transaction(force_rollback=True):
            reader.execute("select from mobeye.alert_camera")
            done = [(what, n) for what, _, _, n, error in self.apply_jobs() if not error]
        self.assertEqual(done, [("alerts", 1), ("incidents", 1)])
        self.assertEqual(self.events(), ["read"])
        self.assertEqual(self.apply(), 1)
        self.assertEqual(self.events(), [])


class Bounds(RetentionTest):
    """What a partition holds is read from its bounds, whatever it and everything else is called."""

    def bounds(self, alert_class):
        return [(name, lower.isoformat()[:10], upper.isoformat()[:10]) for name, lower, upper in self.superuser.execute(
            "select partition::text, lower_end at time zone 'UTC', upper_end at time zone 'UTC'"
            " from mobeye.partitions_of(%s) order by lower_end", [alert_class])]

    def test_as_postgresql_knows_them_in_any_time_zone_and_style_of_dates(self):
        made = "select mobeye.make_partitions(%s, '2036-01-31 12:00+00', '2036-02-01 12:00+00')"
        for alert_class in ("camera", "alarm"):
            self.superuser.execute(made, [alert_class])
        for session in ("", "-c timezone=Pacific/Auckland -c datestyle=German", "-c timezone=America/New_York -c datestyle=SQL,MDY"):
            self.superuser = self.connect(options=session)
            self.assertEqual(
                [row for row in self.bounds("camera") if row[1] > "2036"],
                [("mobeye.alert_camera_20360131", "2036-01-31", "2036-02-01"),
                 ("mobeye.alert_camera_20360201", "2036-02-01", "2036-02-02")])
            self.assertEqual(
                [row for row in self.bounds("alarm") if row[1] > "2036"],
                [("mobeye.alert_alarm_203601", "2036-01-01", "2036-02-01"),
                 ("mobeye.alert_alarm_203602", "2036-02-01", "2036-03-01")])

    def test_a_partition_of_any_name_goes_by_its_time(self):
        self.alert("camera", "30 days", "gone")
        (name, *_), = [row for row in self.superuser.execute("select tableoid::regclass::text from mobeye.alert")]
        self.superuser.execute(f"alter table {name} rename to backup_of_99999999")
        self.apply()
        self.assertEqual(self.events(), [])
        self.assertIsNone(self.value(self.superuser, "select to_regclass('mobeye.backup_of_99999999')"))

    def test_other_tables_bounds_are_never_read(self):
        """With statistics of the catalogs the planner begins where it likes."""
        self.superuser.execute(
            "create table if not exists odd (k text) partition by range (k);"
            "create table if not exists odd_99999999 partition of odd for values from ('never') to ('x2026-99-99');"
            "create table if not exists listed (k int) partition by list (k);"
            "create table if not exists listed_rest partition of listed default;"
            "analyze")
        self.alert("camera", "30 days", "gone")
        for off in ("", "enable_nestloop enable_indexscan enable_bitmapscan", "enable_hashjoin enable_mergejoin", "enable_seqscan"):
            self.ingest = self.connect("mobeye_ingest", options=" ".join(f"-c {method}=off" for method in off.split()))
            self.apply()
        self.assertEqual(self.events(), [])


class Overdue(RetentionTest):
    def test_a_camera_day_goes_when_its_start_is_so_old(self):
        start = self.value(self.superuser, "select date_trunc('day', now() at time zone 'UTC')")
        for event, days, hours in (("young", 27, 0), ("evening", 28, 23), ("morning", 28, 0)):
            at = self.value(self.superuser, "select (%s - make_interval(days => %s, hours => -%s)) at time zone 'UTC'", start, days, hours)
            self.superuser.execute("select mobeye.make_partitions('camera', %s, %s + interval '1 minute')", [at, at])
            insert_alert(self.superuser, "camera", at, event_id=event)
        self.apply()
        self.assertEqual(self.events(), ["young"])

    def test_no_alert_of_the_others_waits_for_the_end_of_its_month(self):
        for kind, keep in (("motion", 365), ("battery", 90)):
            self.alert(kind, f"{keep} days -1 hours", f"{kind} kept")
            self.alert(kind, f"{keep} days 1 hour", f"{kind} gone")
        self.apply()
        self.assertEqual(self.events(), ["battery kept", "motion kept"])

    def test_what_was_erased_is_not_made_again_for_nothing(self):
        keep = "'3 days', '40 days', '5 days', '1825 days'"
        self.superuser.execute("select mobeye.premake_partitions('3 days', '40 days', '5 days')")
        partitions = "select array_agg(inhrelid::regclass::text order by 1) from pg_inherits where inhparent in"\
                     " ('mobeye.alert_camera'::regclass, 'mobeye.alert_alarm'::regclass, 'mobeye.alert_service'::regclass)"
        self.apply(keep)
        before = self.value(self.superuser, partitions)
        self.superuser.execute("select mobeye.premake_partitions('3 days', '40 days', '5 days')")
        self.assertEqual(self.value(self.superuser, partitions), before)
        self.assertFalse(self.superuser.execute(
            "select from mobeye.partitions_of('camera') where lower_end <= now() - interval '3 days'").fetchall())
        insert_alert(self.superuser, "camera", self.ago("1 day"))

    def test_what_should_have_gone_a_day_ago_is_overdue(self):
        self.alert("camera", "30 days", "a", stored_at=self.ago("30 days"))
        self.alert("motion", "366 days 1 hour", "b", stored_at=self.ago("366 days"))
        self.alert("battery", "90 days 23 hours", "c", stored_at=self.ago("90 days"))
        self.alert("battery", "95 days", "stored a moment ago, and late")
        self.incident(ended="1826 days 1 hour")
        self.superuser.execute(
            "insert into mobeye.quarantine (quarantined_at, reason, record) values (now() - interval '30 days', '', '')")
        self.identity("430 days")
        self.assertEqual(self.overdue(), [("alarm", 1), ("camera", 1), ("identities", 1), ("incident", 1), ("quarantine", 1)])
        self.apply()
        self.assertEqual(self.overdue(), [])

    def test_what_is_held_or_kept_is_not_overdue(self):
        held = self.incident()
        self.alert("camera", "30 days", "held", incident_id=held, stored_at=self.ago("30 days"))
        self.superuser.execute("select mobeye.hold(%s, true, 'OM')", [held])
        self.alert("motion", "364 days", "kept", stored_at=self.ago("364 days"))
        self.assertEqual(self.overdue(), [])

    def test_one_partition_that_cannot_go_stops_no_other_and_says_why(self):
        for ago in ("31 days", "30 days"):
            self.alert("camera", ago, ago)
        self.alert("battery", "130 days")
        older = self.value(self.superuser, "select tableoid::regclass::text from mobeye.alert where event_id = '31 days'")
        self.superuser.execute(f"create view public.hangs_on_it as select * from {older}")
        self.addCleanup(self.superuser.execute, "drop view if exists public.hangs_on_it")
        failed = [(partition, n, error) for _, _, partition, n, error in self.apply_jobs() if error]
        self.assertEqual([(older, 0)], [row[:2] for row in failed])
        self.assertIn("depend", failed[0][2])
        self.assertEqual(self.events(), ["31 days"])
        self.superuser.execute("drop view public.hangs_on_it")
        self.apply()
        self.assertEqual(self.events(), [])

    def test_an_unknown_job_is_refused(self):
        with self.assertRaises(psycopg.errors.InvalidParameterValue):
            self.ingest.execute(f"select mobeye.apply_retention('cameras', {KEEP})")


class Maintenance(RetentionTest):
    """What the jobs of the daemon did last."""

    def setUp(self):
        super().setUp()
        self.superuser.execute("truncate mobeye.maintenance")

    def report(self, **errors):
        self.ingest.execute(
            "select mobeye.report_maintenance(%s, array_fill(interval '1 hour', array[%s]), %s)",
            [list(errors), len(errors), list(errors.values())])

    def age(self, interval):
        self.superuser.execute(
            "update mobeye.maintenance set first_at = first_at - %s::interval, succeeded_at = succeeded_at - %s::interval",
            [interval, interval])

    def state(self):
        return self.ingest.execute(
            "select job, succeeded_at is not null, error, late, day_late from mobeye.maintenance_state order by job").fetchall()

    def test_the_last_success_stays_and_so_does_the_reason_until_it_succeeds(self):
        self.report(a="", b="no", c=None)
        self.assertEqual(self.state(), [("a", True, None, False, False), ("b", False, "no", False, False)])
        self.report(a="why", b=None, c=None)
        self.assertEqual(self.state(), [("a", True, "why", False, False), ("b", False, "no", False, False)])
        self.report(a="", b="", c="")
        self.assertEqual(self.state(), [(job, True, None, False, False) for job in "abc"])

    def test_late_is_counted_from_the_last_success_else_from_the_first_attempt(self):
        self.report(a="", b="no")
        for age, late, day_late in (("179 minutes", False, False), ("2 minutes", True, False), ("22 hours", True, True)):
            self.age(age)
            self.assertEqual(self.state(), [("a", True, None, late, day_late), ("b", False, "no", late, day_late)])

    def test_a_job_that_is_no_more_is_forgotten(self):
        self.report(a="", b="no")
        self.report(a="")
        self.assertEqual(self.state(), [("a", True, None, False, False)])


class Floor(RetentionTest):
    def test_the_daemons_login_erases_nothing_younger_than_a_day(self):
        self.alert("camera", "23 hours", "young")
        self.incident(ended="3 hours")
        for place in range(4):
            for short in ("'0'", "'47 hours'" if place == 0 else "'23 hours'", "'-1 day'", "null"):
                keep = ", ".join(f"{short if n == place else repr('2 days')}::interval" for n in range(4))
                for job in self.value(self.ingest, "select mobeye.retention_jobs()"):
                    with self.assertRaises(psycopg.errors.InvalidParameterValue):
                        self.ingest.execute(f"select mobeye.apply_retention('{job}', {keep})")
        for short in ("0", "23 hours", None):
            with self.assertRaises(psycopg.errors.InvalidParameterValue):
                self.ingest.execute("select mobeye.purge(%s::interval)", [short])
        self.apply("'2 days', '1 day', '1 day', '1 day'")
        self.assertEqual((self.events(), len(self.incidents())), (["young"], 1))


class Clocks(RetentionTest):
    def test_nothing_is_erased_by_a_clock_that_is_not_the_programs(self):
        self.alert("camera", "60 days", "old")
        for ahead in ("61 minutes", "-61 minutes", "40 days"):
            for job in self.value(self.ingest, "select mobeye.retention_jobs()"):
                with self.assertRaises(psycopg.Error) as refused:
                    self.ingest.execute(f"select mobeye.apply_retention('{job}', {KEEP}, wall => now() - %s::interval)", [ahead])
                self.assertEqual(refused.exception.sqlstate, "MB002")
            with self.assertRaisesRegex(psycopg.Error, "the clocks of the database and of this machine are .* apart: nothing is erased"):
                self.ingest.execute("select mobeye.purge('365 days', now() - %s::interval)", [ahead])
        self.assertEqual(self.events(), ["old"])
        for ahead in ("59 minutes", "-59 minutes"):
            self.ingest.execute(f"select mobeye.apply_retention('camera', {KEEP}, wall => now() - %s::interval)", [ahead])
            self.ingest.execute("select mobeye.purge('365 days', now() - %s::interval)", [ahead])
        self.assertEqual(self.events(), [])


class Readers(RetentionTest):
    def reader(self, role):
        """A session, idle in a transaction that has read alerts."""
        self.superuser.execute(f"create role sitting login in role {role}")
        self.addCleanup(self.superuser.execute, "drop role sitting")
        conn = psycopg.connect(conninfo(self.database), user="sitting")
        self.addCleanup(conn.close)
        conn.execute("select count(*) from patrol.alerts")
        return conn

    def test_a_reader_of_over_a_minute_is_ended_so_that_a_partition_can_be_dropped(self):
        self.alert("camera", "30 days")
        reader = self.reader("mobeye_patrol")
        self.assertEqual([bool(error) for *_, error in self.apply_jobs()], [True])  # it has just begun
        self.assertEqual(reader.execute("select 1").fetchone(), (1,))
        self.shorten_the_minute()
        self.superuser.execute("select pg_sleep_until(xact_start + interval '1.1 seconds') from pg_stat_activity"
                               " where pid = %s", [reader.info.backend_pid])
        self.assertEqual(self.apply(), 1)
        with self.assertRaises(psycopg.OperationalError):
            reader.execute("select 1")

    def shorten_the_minute(self):
        """The same text of the caller with a second for the minute: five planner passes would wait a minute each."""
        oid, text = self.superuser.execute("select oid, pg_get_functiondef(oid) from pg_proc"
                                           " where prosrc like '%end_readers(partition, interval ''1 minute'')%'").fetchone()
        self.superuser.execute(text.replace("interval '1 minute'", "interval '1 second'"))
        self.addCleanup(self.superuser.execute, text)

    def test_only_people_who_hold_the_partition_are_ended(self):
        self.alert("camera", "30 days")
        partition = self.value(self.superuser, "select tableoid::regclass::text from mobeye.alert")
        owner = self.reader("mobeye_owner, mobeye_patrol")
        end = "select mobeye.end_readers(%s::regclass, '0')"
        self.assertEqual(self.value(self.superuser, end, partition), 0)
        owner.rollback()
        self.superuser.execute("revoke mobeye_owner from sitting")
        self.assertEqual(self.value(self.superuser, end, partition), 0)  # it holds nothing
        owner.execute("select count(*) from patrol.alerts")
        self.assertEqual(self.value(self.superuser, end, partition), 1)


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
        for _ in range(5):
            self.incident()
            self.incident(outcome="unattended")
            self.incident(outcome="unattended", areas=[])
            self.incident(outcome="drill")  # found out when it was closed
            self.incident(outcome="merged")
        self.incident(drill=True)
        before = self.figures()
        self.assertEqual(
            before,
            [
                ("WK030710", "motion", "confirmed", 5, 10),
                ("WK030710", "motion", "unattended", 5, 10),
                (None, "motion", "unattended", 5, 10),
            ],
        )
        self.apply()
        self.assertEqual(self.incidents(), [])
        self.assertEqual(self.figures(), before)

    def test_cells_under_five_are_merged(self):
        for n, row in ((4, {}), (1, {"areas": ["wijk:WK2"]}), (3, {"kind": "panic"}), (2, {"kind": "fire", "outcome": "no_trace"}),
                       (4, {"category": "service", "kind": "battery"})):
            for _ in range(n):
                self.incident(**row)
        self.assertEqual(self.figures(), [(None, "motion", "confirmed", 5, 10), (None, "other", None, 5, 10)])

    def test_the_month_that_is_not_over_is_not_there(self):
        for days in (0, 40):
            for _ in range(5):
                self.incident(ended=f"{days} days")
        self.assertEqual(sum(row[3] for row in self.figures()), 5)

    def test_they_are_for_whom_they_are_granted(self):
        for _ in range(5):
            self.incident()
        for role, rows in (("mobeye_patrol", 1), ("mobeye_auditor", 1)):
            with self.superuser.transaction(force_rollback=True):
                self.superuser.execute(f"set local session authorization {role}")
                self.assertEqual(len(self.figures()), rows)


class Locks(RetentionTest):
    def test_no_login_holds_up_the_making_and_dropping_of_partitions_or_areas(self):
        """By what any login can do: every advisory lock that the schema ever took."""
        self.superuser.execute("drop role if exists somebody; create role somebody login")
        self.addCleanup(self.superuser.execute, "drop role if exists somebody")
        self.alert("camera", "30 days", "gone")
        somebody = self.connect("somebody")
        for number in (2, 3):
            somebody.execute("select pg_advisory_lock(1297039941, %s)", [number])
        with self.assertRaises(psycopg.errors.InsufficientPrivilege):
            somebody.execute("select from mobeye.mutex for update")
        for conn in (self.ingest, self.superuser):
            conn.execute("set statement_timeout = '20s'")
        self.ingest.execute("select mobeye.premake_partitions()")
        self.assertEqual(self.apply(), 1)
        self.superuser.execute("insert into mobeye.area (layer, code, name, vintage, geom) values ('wijk', 'X', 'X', 2020,"
                               " st_multi(st_makeenvelope(5, 52, 6, 53, 4326)))")
        self.superuser.execute("delete from mobeye.area where code = 'X'")
        somebody.close()
