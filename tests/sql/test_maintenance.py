"""What a daemon does in each cycle of maintenance: silence, overdue and unattended incidents."""

from concurrent.futures import ThreadPoolExecutor

from support import PATIENCE_S, SchemaTest, insert_alert, insert_incident

JOURNAL = "00000000-0000-0000-0000-000000000001"


class MaintenanceTest(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute(
            "truncate mobeye.device, mobeye.device_status, mobeye.incident, mobeye.daemon, mobeye.endpoint_status,"
            " mobeye.change, mobeye.incident_history, mobeye.mute cascade"
        )
        self.ingest = self.connect("mobeye_ingest")

    def device(self, name, heartbeat="1 hour", grace="0", registered="2 days", placed="1 day", state="placed"):
        self.superuser.execute(
            "insert into mobeye.device (device_id, heartbeat, grace, registered_at, state)"
            " values (%s, %s::interval, %s::interval, now() - %s::interval, 'placed')",
            [name, heartbeat, grace, registered],
        )
        self.superuser.execute(
            "insert into mobeye.placement (device_id, during, geom)"
            " values (%s, tstzrange(now() - %s::interval, null), st_setsrid(st_point(5.4, 52.1), 4326))",
            [name, placed],
        )
        self.superuser.execute("update mobeye.device set state = %s where device_id = %s", [state, name])

    def heard(self, name, ago, endpoint="portal"):
        self.superuser.execute(
            "insert into mobeye.device_status as s (device_id, registered, first_received_at, last_received_at,"
            " last_occurred_at, endpoint, source, kind)"
            " values (%s, true, now() - %s::interval, now() - %s::interval, now(), %s, 's', 'keepalive')"
            " on conflict (device_id) do update set last_received_at = excluded.last_received_at",
            [name, ago, ago, endpoint],
        )

    def report(self, accepting="10 days", applied="0", journal=JOURNAL, endpoints=(), instance="one"):
        """endpoints: (name, expect_every or None, how long ago it was heard or None)."""
        self.ingest.execute(
            "select mobeye.report_daemon(%s, %s, now() - %s::interval, now() - %s::interval, %s, %s::interval[],"
            " (select coalesce(array_agg(now() - a::interval order by i), '{}')"
            "    from unnest(%s::text[]) with ordinality as h (a, i)), interval '0')",
            [
                journal,
                instance,
                accepting,
                applied,
                [e[0] for e in endpoints],
                [e[1] for e in endpoints],
                [e[2] for e in endpoints],
            ],
        )

    def silent(self):
        return sorted(row[0] for row in self.ingest.execute("select * from mobeye.watch_devices()"))

    def open_incidents(self):
        return self.superuser.execute(
            "select category, kind, device_id, status from mobeye.incident where status <> 'closed' order by incident_id"
        ).fetchall()

    def outcomes(self):
        return self.superuser.execute(
            "select device_id, outcome from mobeye.incident where status = 'closed' order by incident_id"
        ).fetchall()


class Devices(MaintenanceTest):
    def test_one_that_was_never_heard_has_no_time_at_which_it_was(self):
        self.device("never")
        self.report()
        self.assertEqual(self.silent(), ["never"])
        self.assertEqual(
            self.superuser.execute(
                "select last_received_at, silent_since is not null from patrol.devices where device_id = 'never'"
            ).fetchall(),
            [(None, True)],
        )

    def test_one_that_is_past_heartbeat_and_grace_is_silent_once(self):
        self.device("past", grace="10 minutes")
        self.heard("past", "71 minutes")
        self.device("within", grace="10 minutes")
        self.heard("within", "69 minutes")
        self.report()
        self.assertEqual(self.silent(), ["past"])
        self.assertEqual(self.silent(), [])
        self.assertEqual(self.open_incidents(), [("service", "comms", "past", "new")])

    def test_registration_and_placement_count_as_signs_of_life(self):
        self.device("new", registered="59 minutes")
        self.device("moved", placed="59 minutes")
        self.device("neither")
        self.report()
        self.assertEqual(self.silent(), ["neither"])

    def test_a_silence_stays_at_the_home_where_it_began(self):
        self.device("moved")
        self.report()
        self.assertEqual(self.silent(), ["moved"])
        self.superuser.execute("select mobeye.device_place('moved', 5.3, 52.2, now() - interval '59 minutes')")
        self.assertEqual(self.silent(), [])
        self.assertEqual(self.outcomes(), [("moved", "restored")])
        self.superuser.execute("update mobeye.device set heartbeat = '50 minutes'")
        self.assertEqual(self.silent(), ["moved"])
        self.assertEqual(self.superuser.execute(
            "select round(st_x(geom)::numeric, 1)::text from mobeye.incident where status <> 'closed'").fetchall(), [("5.3",)])

    def test_a_silence_is_as_secret_as_the_home(self):
        self.device("secret")
        self.superuser.execute("insert into mobeye.team (team, name) values ('noord', 'Noord')")
        self.superuser.execute("update mobeye.placement set secret = true, team = 'noord' where device_id = 'secret'")
        self.report()
        self.assertEqual(self.silent(), ["secret"])
        self.assertEqual(self.superuser.execute(
            "select i.secret, i.secret_team, i.cell is not null and i.cell = p.cell, i.placement_id = p.placement_id"
            " from mobeye.incident i join mobeye.placement p on p.device_id = i.device_id").fetchall(), [(True, "noord", True, True)])

    def test_only_a_placed_device_with_a_heartbeat_is_missed(self):
        self.device("unsupervised")
        self.superuser.execute("update mobeye.device set heartbeat = null where device_id = 'unsupervised'")
        self.device("retrieved")
        self.superuser.execute(
            "update mobeye.placement set during = tstzrange(lower(during), now() - interval '1 minute')"
            " where device_id = 'retrieved'"
        )
        self.report()
        self.assertEqual(self.silent(), [])

    def test_it_is_judged_only_up_to_where_every_living_daemon_has_stored(self):
        self.device("a")
        self.heard("a", "2 hours")
        self.report()
        self.report(applied="90 minutes", journal="00000000-0000-0000-0000-000000000002")
        self.assertEqual(self.silent(), [])
        self.superuser.execute("update mobeye.daemon set alive_at = now() - interval '25 hours' where applied_until < now() - interval '1 hour'")
        self.assertEqual(self.silent(), ["a"])

    def test_not_within_an_interval_after_a_time_in_which_nothing_was_taken(self):
        self.device("a")
        self.heard("a", "2 hours")
        self.report()
        self.superuser.execute("update mobeye.daemon set alive_at = now() - interval '50 minutes'")
        self.report(accepting="40 minutes")
        self.assertEqual(self.silent(), [])

    def test_a_restart_of_a_moment_is_no_such_time(self):
        self.device("a")
        self.heard("a", "2 hours")
        self.report()
        self.superuser.execute("update mobeye.daemon set alive_at = now() - interval '44 minutes'")
        self.report(accepting="40 minutes")
        self.assertEqual(self.silent(), ["a"])

    def test_what_was_stored_and_never_noted_is_a_sign_of_life(self):
        self.superuser.execute("select mobeye.premake_partitions()")
        for name in ("crashed", "unnoted", "silent"):
            self.device(name)
        self.heard("crashed", "2 hours")
        self.heard("silent", "2 hours")
        at = self.value(self.superuser, "select now() - interval '30 minutes'")
        for name in ("crashed", "unnoted"):
            insert_alert(self.superuser, "motion", at, event_id=name, device_id=name, received_at=at)
        self.report()
        self.assertEqual(self.silent(), ["silent"])
        self.superuser.execute("delete from mobeye.alert")
        self.assertEqual(self.silent(), [])

    def test_one_that_is_heard_at_this_moment_is_not_silent(self):
        self.device("a")
        self.heard("a", "2 hours")
        self.report()
        writer = self.connect()
        writer.execute("begin")
        writer.execute("update mobeye.device_status set last_received_at = now() where device_id = 'a'")
        with ThreadPoolExecutor(1) as pool:
            judged = pool.submit(self.silent)
            self.waits(self.ingest)
            writer.execute("commit")
            self.assertEqual(judged.result(PATIENCE_S), [])
        self.assertEqual(self.open_incidents(), [])

    def test_silent_devices_are_locked_in_the_order_of_their_names_as_reports_lock_them(self):
        for name in "b", "a":  # the order in which the table has them
            self.device(name)
            self.heard(name, "3 hours")
        self.report()
        writer = self.connect()
        writer.execute("begin")
        writer.execute("select from mobeye.device_status where device_id = 'a' for update")
        with ThreadPoolExecutor(1) as pool:
            judged = pool.submit(self.silent)
            self.waits(self.ingest)
            free = "select from mobeye.device_status where device_id = 'b' for update nowait"
            self.assertEqual(writer.execute(free).rowcount, 1)
            writer.execute("commit")
            self.assertEqual(judged.result(PATIENCE_S), ["a", "b"])

    def test_a_silence_ends_as_restored_where_the_device_is_no_longer_placed(self):
        self.device("a")
        self.report()
        self.silent()
        self.superuser.execute("update mobeye.placement set during = tstzrange(lower(during), now())")
        self.assertEqual(self.silent(), [])
        self.assertEqual(self.outcomes(), [("a", "restored")])


class Endpoints(MaintenanceTest):
    def watch(self):
        return self.value(self.ingest, "select mobeye.watch_endpoints()")

    def aged(self, interval):
        self.superuser.execute("update mobeye.endpoint_status set since = now() - %s::interval", [interval])

    def test_one_that_hears_nothing_is_silent_once_and_back_with_the_next_message(self):
        self.report(endpoints=[("portal", "26 hours", "27 hours"), ("cameras", None, None)])
        self.aged("30 hours")
        self.assertEqual(self.watch(), 1)
        self.assertEqual(self.watch(), 0)
        self.assertEqual(self.open_incidents(), [("service", "comms", None, "new")])
        self.report(endpoints=[("portal", "26 hours", "0"), ("cameras", None, None)])
        self.assertEqual(self.watch(), 0)
        self.assertEqual(self.outcomes(), [(None, "restored")])

    def test_one_that_is_removed_while_it_is_silent_is_no_longer_silent(self):
        self.report(endpoints=[("portal", "26 hours", "27 hours"), ("cameras", None, None)])
        self.aged("30 hours")
        self.assertEqual(self.watch(), 1)
        self.report(endpoints=[("cameras", None, None)])
        self.assertEqual(self.watch(), 0)
        self.assertEqual(self.outcomes(), [(None, "restored")])
        self.report(endpoints=[("cameras", None, None)])
        self.assertEqual(self.superuser.execute("select endpoint from mobeye.endpoint_status").fetchall(), [("cameras",)])

    def test_one_whose_daemon_has_another_name_now_is_no_longer_silent(self):
        self.report(endpoints=[("portal", "26 hours", "27 hours")])
        self.aged("30 hours")
        self.assertEqual(self.watch(), 1)
        self.report(endpoints=[("portal", "26 hours", "0")], instance="uno")
        self.assertEqual(self.watch(), 0)
        self.assertEqual(self.outcomes(), [(None, "restored")])
        self.report(endpoints=[("portal", "26 hours", "0")], instance="uno")
        self.assertEqual(self.superuser.execute("select instance from mobeye.endpoint_status").fetchall(), [("uno",)])

    def test_where_another_daemon_hears_on_the_endpoint_devices_stay_silent(self):
        self.device("a")
        self.heard("a", "30 hours")
        self.report(endpoints=[("portal", "26 hours", "27 hours")])
        self.report(endpoints=[("portal", "26 hours", "1 hour")], instance="two", journal="00000000-0000-0000-0000-000000000002")
        self.assertEqual(self.silent(), ["a"])
        self.aged("30 hours")
        self.assertEqual(self.watch(), 1)
        self.assertEqual(self.outcomes(), [])
        self.superuser.execute("update mobeye.endpoint_status set last_received_at = now() - interval '27 hours' where instance = 'two'")
        self.assertEqual(self.watch(), 1)
        self.assertEqual(self.outcomes(), [("a", "merged")])

    def test_heard_within_its_time_it_is_not(self):
        self.report(endpoints=[("portal", "26 hours", "25 hours")])
        self.aged("30 hours")
        self.assertEqual(self.watch(), 0)

    def test_its_incident_stands_for_those_of_its_devices(self):
        for name in ("a", "b"):
            self.device(name)
            self.heard(name, "30 hours")
        self.device("elsewhere")
        self.heard("elsewhere", "30 hours", endpoint="other")
        self.report(endpoints=[("portal", "26 hours", "1 hour"), ("other", None, None)])
        self.assertEqual(self.silent(), ["a", "b", "elsewhere"])
        self.superuser.execute("update mobeye.endpoint_status set last_received_at = now() - interval '27 hours'")
        self.aged("30 hours")
        self.assertEqual(self.watch(), 1)
        self.assertEqual(self.outcomes(), [("a", "merged"), ("b", "merged")])
        self.assertEqual(
            [row[2] for row in self.open_incidents()], ["elsewhere", None]
        )
        # Nor does one that goes silent later get its own.
        self.device("c")
        self.heard("c", "30 hours")
        self.assertEqual(self.silent(), [])
        # Back: its devices are judged again from then on.
        self.report(endpoints=[("portal", "26 hours", "0"), ("other", None, None)])
        self.watch()
        self.assertEqual(self.silent(), [])
        self.superuser.execute("update mobeye.endpoint_status set back_at = now() - interval '61 minutes'")
        self.assertEqual(self.silent(), ["a", "b", "c"])


class Waiting(MaintenanceTest):
    def incident(self, **columns):
        return insert_incident(self.superuser, **columns)

    def ago(self, interval):
        return self.value(self.superuser, "select now() - %s::interval", interval)

    def test_overdue_is_what_nobody_acknowledged_in_time(self):
        late = self.incident(overdue="{15 minutes}", created_at=self.ago("16 minutes"))
        self.incident(overdue="{15 minutes}", created_at=self.ago("14 minutes"))
        self.incident(created_at=self.ago("1 day"))
        self.incident(overdue="{15 minutes}", created_at=self.ago("1 day"), status="acknowledged")
        self.assertEqual(self.value(self.ingest, "select mobeye.mark_overdue()"), 1)
        self.assertEqual(self.value(self.ingest, "select mobeye.mark_overdue()"), 0)
        self.assertEqual(
            self.superuser.execute("select incident_id, op from mobeye.change").fetchall(), [(late, "overdue")]
        )

    def test_what_is_muted_is_overdue_after_the_mute(self):
        late = self.incident(overdue="{15 minutes}", created_at=self.ago("16 minutes"), device_id="muted")
        self.superuser.execute("insert into mobeye.mute (device_id, placement_id, at, until, reason, muted_by) "
                               "values ('muted', null, now() - interval '1 hour', now() + interval '1 hour', 'test', 'me')")
        self.assertEqual(self.value(self.ingest, "select mobeye.mark_overdue()"), 0)
        self.superuser.execute("update mobeye.mute set until = now()")
        self.assertEqual(self.value(self.ingest, "select mobeye.mark_overdue()"), 1)
        self.assertEqual(self.value(self.superuser, "select incident_id from mobeye.change where op = 'overdue'"), late)

    def test_what_was_restored_under_a_mute_is_not_overdue_after_it(self):
        self.restored_under_a_mute(overdue="{15 minutes}")
        self.assertEqual(self.value(self.ingest, "select mobeye.mark_overdue()"), 0)
        self.assertEqual(self.superuser.execute("select from mobeye.change").fetchall(), [])

    def test_each_step_is_announced_once(self):
        late = self.incident(overdue="{5 minutes,15 minutes,30 minutes}", created_at=self.ago("6 minutes"))

        def marked(minutes):
            self.superuser.execute("update mobeye.incident set created_at = %s", [self.ago(f"{minutes} minutes")])
            n = self.value(self.ingest, "select mobeye.mark_overdue()")
            return (n, *self.superuser.execute("select overdue_step, overdue_since from mobeye.incident").fetchone())

        n, step, since = marked(6)
        self.assertEqual((n, step), (1, 1))
        self.assertEqual(marked(7), (0, 1, since))
        # A daemon that was away announces what it missed as one.
        self.assertEqual(marked(31), (1, 3, since))
        self.assertEqual(marked(1000), (0, 3, since))
        self.assertEqual(
            self.superuser.execute("select incident_id, op from mobeye.change order by entry").fetchall(), [(late, "overdue")] * 2
        )

    def test_the_queue_is_counted_by_priority(self):
        def state():
            rows = self.ingest.execute("select priority, incidents, overdue, waiting_since from mobeye.queue_state()").fetchall()
            return {row[0]: row[1:] for row in rows}

        self.assertEqual(state(), {})
        long_ago, lately = self.ago("1 hour"), self.ago("10 minutes")
        first = self.incident(priority=1, created_at=long_ago, overdue_since=lately)
        self.incident(priority=1, created_at=lately)
        self.incident(priority=3, created_at=long_ago, status="assigned", assigned_to="jan")
        self.incident(priority=4, category="service")
        self.incident(device_id="muted")
        self.superuser.execute("insert into mobeye.mute (device_id, placement_id, at, until, reason, muted_by) "
                               "values ('muted', null, now() - interval '1 hour', now() + interval '1 hour', 'test', 'me')")
        self.assertEqual(state(), {1: (2, 1, long_ago), 3: (1, 0, None)})
        self.assertEqual(self.value(self.superuser, "select count(*) from patrol.queue"), 3)
        # Reopened: it waits since then.
        self.superuser.execute("select patrol.close(%s, 'no_trace')", [first])
        self.superuser.execute("select patrol.reopen(%s, 'again')", [first])
        self.assertEqual(state()[1], (2, 0, lately))

    def test_one_that_somebody_works_on_at_this_moment_is_marked_later(self):
        held = self.incident(overdue="{15 minutes}", created_at=self.ago("16 minutes"))
        late = self.incident(overdue="{15 minutes}", created_at=self.ago("16 minutes"))
        person = self.connect()
        with person.transaction(force_rollback=True):
            person.execute("select from mobeye.incident where incident_id = %s for update", [held])
            self.ingest.execute("set lock_timeout = '10s'")
            self.assertEqual(self.value(self.ingest, "select mobeye.mark_overdue()"), 1)
        self.assertEqual(self.value(self.superuser, "select incident_id from mobeye.change"), late)

    def test_the_end_of_a_mute_is_told_of_what_is_still_open(self):
        device = self.incident(device_id="muted")
        area = self.incident(areas=["wijk:W1"])
        self.incident(device_id="muted", urgent=True)
        self.incident(device_id="other", areas=["wijk:W2"])
        for column, value, until in (
            ("device_id", "muted", "0"),
            ("area", "wijk:W1", "0"),
            ("area", "wijk:W2", "-1 hour"),
        ):
            self.superuser.execute(
                f"insert into mobeye.mute ({column}, at, until, reason, muted_by)"
                " values (%s, now() - interval '2 hours', now() - %s::interval, 'test', 'me')",
                [value, until],
            )
        self.assertEqual(self.value(self.ingest, "select mobeye.end_mutes()"), 2)
        self.assertEqual(self.value(self.ingest, "select mobeye.end_mutes()"), 0)
        self.assertEqual(
            self.superuser.execute("select incident_id, op from mobeye.change order by 1").fetchall(),
            [(device, "mute"), (area, "mute")],
        )

    def test_unattended_is_what_nobody_touched_for_seven_days(self):
        old = self.incident(last_received_at=self.ago("7 days 1 minute"))
        self.incident(last_received_at=self.ago("6 days 23 hours"))
        self.incident(last_received_at=self.ago("8 days"), status="acknowledged")
        self.incident(last_received_at=self.ago("8 days"), alert_count=0, kind="comms", category="service")
        self.assertEqual(self.value(self.ingest, "select mobeye.close_unattended()"), 1)
        self.assertEqual(
            self.superuser.execute(
                "select incident_id, outcome, closed_by_person from mobeye.incident where status = 'closed'"
            ).fetchall(),
            [(old, "unattended", False)],
        )

    def restored_under_a_mute(self, **columns):
        """Of a mute that a person has ended 8 days ago."""
        mute = ("insert into mobeye.mute (device_id, placement_id, at, until, ended_at, ended_by, reason, muted_by) values"
                " ('muted', null, now() - interval '10 days', now(), now() - interval '8 days', 'me', 'test', 'me')")
        self.superuser.execute(mute)
        restored = self.ago("9 days")
        return self.incident(**{"device_id": "muted", "created_at": restored, "first_received_at": restored, "last_received_at": restored, "restored_at": restored,
                                "restore_received_at": restored, "active": 0, **columns})

    def test_what_was_restored_under_a_mute_does_not_stay_open_out_of_sight(self):
        hidden = self.restored_under_a_mute()
        active = self.restored_under_a_mute(restored_at=None, active=1)
        taken = self.restored_under_a_mute(status="acknowledged")
        noted = self.restored_under_a_mute()
        self.superuser.execute("select patrol.note(%s, 'seen')", [noted])
        for number in (hidden, active, taken, noted):
            self.superuser.execute("select mobeye.add_history(%s, 'mute', 'unmuted')", [number])
        queued = "select array_agg(incident_id order by incident_id) from patrol.queue"
        self.assertEqual(self.value(self.superuser, queued), [active, taken, noted])
        # Whoever ended the mute touched none of them: what was in the queue for 7 days since is closed like any other.
        self.assertEqual(self.value(self.ingest, "select mobeye.close_unattended()"), 2)
        self.assertEqual(self.value(self.superuser, "select array_agg(incident_id order by incident_id) from mobeye.incident where outcome = 'unattended'"), [hidden, active])
        # What a person wants open again is in the queue, and stays there.
        self.superuser.execute("select patrol.reopen(%s, 'look again')", [hidden])
        self.assertEqual(self.value(self.ingest, "select mobeye.close_unattended()"), 0)
        self.assertEqual(self.value(self.superuser, queued), [hidden, taken, noted])


class Leader(MaintenanceTest):
    def led(self):
        return self.value(self.ingest, "select mobeye.is_led()")

    def test_a_pid_that_another_process_has_by_now_leads_no_more(self):
        """The row outlives the server, is replicated, and comes back with a backup."""
        self.addCleanup(self.superuser.execute, "update mobeye.leader set pid = null, backend_start = null, since = null")
        for process in ("backend_type = 'checkpointer'", f"pid = {self.superuser.info.backend_pid}"):
            with self.subTest(process):
                self.superuser.execute(
                    f"update mobeye.leader set pid = (select pid from pg_stat_activity where {process}),"
                    " backend_start = now() - interval '1 year'")
                self.assertTrue(self.value(self.ingest, "select mobeye.try_to_lead()"))

    def test_it_is_led_while_its_leader_took_over_worked_or_succeeded_within_5_minutes(self):
        self.superuser.execute("truncate mobeye.maintenance; update mobeye.leader set pid = null, backend_start = null, since = null")
        self.addCleanup(self.superuser.execute, "truncate mobeye.maintenance; update mobeye.leader set pid = null, backend_start = null, since = null")
        self.assertFalse(self.led())
        self.superuser.execute("update mobeye.leader set since = now() - interval '4 minutes'")
        self.assertTrue(self.led())
        self.superuser.execute("update mobeye.leader set since = now() - interval '6 minutes'")
        self.assertFalse(self.led())
        self.superuser.execute("insert into mobeye.maintenance (job, every, succeeded_at) values ('a', '20 s', now() - interval '4 minutes')")
        self.assertTrue(self.led())
        self.superuser.execute("update mobeye.maintenance set succeeded_at = now() - interval '6 minutes'")
        self.assertFalse(self.led())
        self.superuser.execute(
            "update mobeye.leader l set pid = a.pid, backend_start = a.backend_start from pg_stat_activity a where a.pid = %s",
            [self.ingest.info.backend_pid],
        )
        self.assertTrue(self.led())  # its session is the one that works at this moment
        self.assertFalse(self.value(self.connect("mobeye_ingest"), "select mobeye.is_led()"))  # it is idle
