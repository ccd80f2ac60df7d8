"""Partitions of mobeye.alert: which exist, how they are created, and that nobody has to wait for it."""

import threading

import psycopg

from support import PATIENCE_S, SchemaTest, insert_alert

WHERE = "select tableoid::regclass::text from mobeye.alert where event_id = %s"


class Partitions(SchemaTest):
    def partitions(self, parent):
        rows = self.superuser.execute(
            "select inhrelid::regclass::text from pg_inherits where inhparent = %s::regclass order by 1", [parent]
        )
        return [name for (name,) in rows]

    def make(self, conn, alert_class, from_at, until_at):
        return self.value(conn, "select mobeye.make_partitions(%s, %s, %s)", alert_class, from_at, until_at)

    def test_bounds_are_read_however_strings_are_written(self):
        conn = self.connect("mobeye_ingest", options="-c standard_conforming_strings=off -c escape_string_warning=off")
        self.value(conn, "select mobeye.premake_partitions()")
        self.assertEqual(self.value(self.connect(options="-c standard_conforming_strings=off -c escape_string_warning=off"),
                                    "select count(*) from mobeye.partitions_of('camera') where lower_end is null"), 0)

    def test_premade_from_as_far_back_as_a_class_is_kept_at_most_31_days_to_a_week_ahead(self):
        conn = self.connect("mobeye_ingest")
        until = self.value(conn, "select mobeye.premake_partitions()")
        self.assertTrue(self.value(conn, "select %s >= now() + interval '7 days'", until))
        names = self.value(
            self.superuser,
            """with day as (select (now() + make_interval(days => days)) at time zone 'UTC' as at
                              from generate_series(-31, 7) as days)
               select array_agg(distinct name) from day, lateral (values
                      ('mobeye.alert_camera_' || to_char(greatest(at, now() at time zone 'UTC' - interval '27 days'), 'YYYYMMDD')),
                      ('mobeye.alert_alarm_' || to_char(at, 'YYYYMM')),
                      ('mobeye.alert_service_' || to_char(at, 'YYYYMM'))) as n(name)""",
        )
        self.assertLessEqual(
            set(names), {p for c in ("camera", "alarm", "service") for p in self.partitions(f"mobeye.alert_{c}")}
        )
        last = self.value(conn, "select %s - interval '1 microsecond'", until)
        for kind, days in (("camera", 27), ("motion", 31), ("battery", 31)):
            for at in (last, self.value(conn, "select now() - make_interval(days => %s)", days)):
                insert_alert(conn, kind, at)

    def test_premade_twice_is_premade_once(self):
        first = self.value(self.superuser, "select mobeye.premake_partitions()")
        before = self.partitions("mobeye.alert_camera")
        self.assertEqual(self.value(self.superuser, "select mobeye.premake_partitions()"), first)
        self.assertEqual(self.partitions("mobeye.alert_camera"), before)

    def test_one_that_was_detached_is_named_with_how_to_attach_it(self):
        self.superuser.execute("select mobeye.premake_partitions()")
        one = self.value(self.superuser, "select 'mobeye.alert_alarm_' || to_char(now() at time zone 'UTC', 'YYYYMM')")
        self.superuser.execute(f"alter table mobeye.alert_alarm detach partition {one}")
        with self.assertRaisesRegex(psycopg.errors.IntegrityConstraintViolation, f"^{one} is not attached: ") as refused:
            self.superuser.execute("select mobeye.premake_partitions()")
        self.superuser.execute(refused.exception.diag.message_primary.split(": ", 1)[1])
        self.superuser.execute("select mobeye.premake_partitions()")
        self.assertIn(one, self.partitions("mobeye.alert_alarm"))

    def test_bounds_are_utc_whatever_the_session_thinks(self):
        conn = self.connect("mobeye_ingest", options="-c timezone=Pacific/Auckland")
        self.make(conn, "camera", "2031-03-01 00:00+00", "2031-03-03 00:00+00")
        self.make(conn, "alarm", "2031-03-31 23:59+00", "2031-04-01 00:01+00")
        for event, kind, at in (
            ("a", "camera", "2031-03-01 00:00:00+00"),
            ("b", "camera", "2031-03-01 23:59:59.999999+00"),
            ("c", "camera", "2031-03-02 00:00:00+00"),
            ("d", "motion", "2031-03-31 23:59:59.999999+00"),
            ("e", "motion", "2031-04-01 00:00:00+00"),
        ):
            insert_alert(conn, kind, at, event_id=event)
        where = {event: self.value(self.superuser, WHERE, event) for event in "abcde"}
        self.assertEqual(
            where,
            {
                "a": "mobeye.alert_camera_20310301",
                "b": "mobeye.alert_camera_20310301",
                "c": "mobeye.alert_camera_20310302",
                "d": "mobeye.alert_alarm_203103",
                "e": "mobeye.alert_alarm_203104",
            },
        )

    def test_a_time_range_makes_just_what_it_touches_and_returns_its_end(self):
        self.make(self.superuser, "service", "2032-01-31 12:00+00", "2032-02-01 00:00+00")
        until = self.make(self.superuser, "service", "2032-12-31 23:00+00", "2033-01-01 00:00:00.000001+00")
        made = [name for name in self.partitions("mobeye.alert_service") if name >= "mobeye.alert_service_2032"]
        self.assertEqual(made, [f"mobeye.alert_service_{month}" for month in ("203201", "203212", "203301")])
        self.assertEqual(until, self.value(self.superuser, "select timestamptz '2033-02-01 00:00+00'"))

    def test_without_its_partition_an_alert_is_refused_by_23514_without_a_constraint(self):
        conn = self.connect("mobeye_ingest")
        with self.assertRaises(psycopg.errors.CheckViolation) as caught:
            insert_alert(conn, "camera", "2035-05-05 12:00+00")
        self.assertIsNone(caught.exception.diag.constraint_name)
        self.make(conn, "camera", "2035-05-05 12:00+00", "2035-05-05 12:00:00.000001+00")
        insert_alert(conn, "camera", "2035-05-05 12:00+00", event_id="late")
        self.assertEqual(self.value(self.superuser, WHERE, "late"), "mobeye.alert_camera_20350505")

    def test_partitions_have_the_indexes_and_defaults_of_their_table(self):
        self.make(self.superuser, "alarm", "2036-01-01 00:00+00", "2036-01-02 00:00+00")
        methods = self.superuser.execute(
            """select amname from pg_index join pg_class on oid = indexrelid join pg_am a on a.oid = relam
                where indrelid = 'mobeye.alert_alarm_203601'::regclass order by 1"""
        ).fetchall()
        self.assertEqual(methods, [("brin",), ("btree",), ("btree",)])
        insert_alert(self.superuser, "motion", "2036-01-01 00:00+00", event_id="stored_at")
        self.assertTrue(
            self.value(self.superuser, "select stored_at is not null from mobeye.alert where event_id = 'stored_at'")
        )

    def test_nonsense_is_refused_with_a_hint(self):
        for alert_class, from_at, until_at in (
            ("incident", "2031-01-01", "2031-01-02"),
            (None, "2031-01-01", "2031-01-02"),
            ("camera", "2031-01-02", "2031-01-02"),
            ("camera", "2031-01-01", "2033-01-01"),
            ("camera", "-infinity", "2031-01-01"),
            ("camera", "2031-01-01", "infinity"),
            ("camera", None, "2031-01-01"),
            ("camera'; drop table mobeye.alert; --", "2031-01-01", "2031-01-02"),
        ):
            with self.subTest(alert_class=alert_class, from_at=from_at, until_at=until_at):
                with self.assertRaises(psycopg.errors.InvalidParameterValue) as caught:
                    self.make(self.superuser, alert_class, from_at, until_at)
                self.assertTrue(caught.exception.diag.message_hint)

    def test_an_open_transaction_that_stores_holds_no_maker_up_and_the_other_way_round(self):
        storing = self.connect("mobeye_ingest", options="-c lock_timeout=60s")
        making = self.connect("mobeye_ingest", options="-c lock_timeout=60s")
        self.value(making, "select mobeye.premake_partitions()")
        now = self.value(storing, "select now()")
        with storing.transaction(), making.transaction():
            insert_alert(storing, "camera", now)
            self.make(making, "camera", "2037-01-01 00:00+00", "2037-01-02 00:00+00")
            insert_alert(storing, "camera", now)
            with self.connect("mobeye_ingest", options="-c lock_timeout=60s").transaction():
                insert_alert(self.connect("mobeye_ingest"), "camera", now)

    def test_several_makers_at_once_make_each_partition_once(self):
        failures = []

        def maker():
            try:
                self.make(self.connect("mobeye_ingest"), "camera", "2038-01-01 00:00+00", "2038-02-01 00:00+00")
            except psycopg.Error as error:
                failures.append(error)

        threads = [threading.Thread(target=maker) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        self.assertEqual(failures, [])
        made = [name for name in self.partitions("mobeye.alert_camera") if "_2038" in name]
        self.assertEqual(len(made), 31)
