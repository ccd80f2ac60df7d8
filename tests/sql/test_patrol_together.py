"""People who work at the same time, each on a separate connection."""

import concurrent.futures
import contextlib
import threading
import time

import psycopg

from support import PATIENCE_S, SchemaTest, connect

OFFICERS = 6
INCIDENTS = 30


class Together(SchemaTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with connect(cls.database) as conn:
            conn.execute("insert into mobeye.team values ('noord', 'Noord')")

    def setUp(self):
        super().setUp()
        self.superuser.execute("delete from mobeye.incident")

    def make(self, count=1, **columns):
        row = {"category": "alarm", "priority": 2, "kind": "motion", "team": "noord", **columns}
        names = ", ".join(row)
        return [
            number
            for (number,) in self.superuser.execute(
                f"insert into mobeye.incident (incident_key, first_seen, last_seen, last_received_at, {names})"
                f" select gen_random_uuid(), now(), now(), now(), {', '.join(['%s'] * len(row))}"
                "   from generate_series(1, %s) returning incident_id",
                [*row.values(), count],
            ).fetchall()
        ]

    def side_by_side(self, count, work):
        """Runs work(conn, number) in threads; gives what each returned or raised."""
        results = [None] * count

        def run(number):
            with connect(self.database) as conn:
                try:
                    results[number] = work(conn, number)
                except psycopg.Error as error:
                    results[number] = error

        threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        return results

    def test_two_officers_never_get_the_same_incident(self):
        made = self.make(INCIDENTS)

        def claim_all(conn, number):
            taken = []
            while (incident := self.value(conn, "select patrol.claim_next('noord', %s)", f"wagen {number}")) is not None:
                taken.append(incident)
            return taken

        taken = self.side_by_side(OFFICERS, claim_all)
        self.assertEqual(sorted(number for some in taken for number in some), sorted(made))
        wrong = self.value(
            self.superuser,
            "select count(*) from mobeye.incident i join mobeye.incident_history h using (incident_id)"
            " where i.incident_id = any(%s) and (i.assigned_to <> h.assigned_to or i.status <> 'assigned')",
            made,
        )
        self.assertEqual(wrong, 0)

    def test_one_that_somebody_holds_is_passed_over(self):
        held, free = self.make(priority=1)[0], self.make(priority=5)[0]
        officer, other = self.connect(), self.connect()
        with officer.transaction():
            self.assertEqual(self.value(officer, "select patrol.claim_next('noord', 'a')"), held)
            self.assertEqual(self.value(other, "select patrol.claim_next('noord', 'b')"), free)

    def test_one_that_alerts_join_at_this_moment_is_waited_for_where_nothing_else_is_left(self):
        (only,) = self.make()
        daemon, officer = self.connect(), self.connect()
        claimed = []
        with daemon.transaction():
            daemon.execute("select from mobeye.incident where incident_id = %s for update", [only])
            thread = threading.Thread(
                target=lambda: claimed.append(self.value(officer, "select patrol.claim_next('noord', 'a')"))
            )
            thread.start()
            self.waits(officer)
        thread.join(PATIENCE_S)
        self.assertEqual(claimed, [only])

    def test_of_two_who_expect_the_same_status_one_is_told(self):
        (incident,) = self.make()
        results = self.side_by_side(
            2,
            lambda conn, number: self.value(
                conn, "select patrol.assign(%s, %s, expected_status => 'new')", incident, f"wagen {number}"
            ),
        )
        told = [result for result in results if isinstance(result, psycopg.Error)]
        self.assertEqual([result for result in results if result not in told], ["assigned"])
        self.assertEqual([error.sqlstate for error in told], ["MB001"])

    def test_a_page_that_is_read_twice_at_once_is_one_look(self):
        (incident,) = self.make()
        self.superuser.execute("insert into mobeye.person (login, name, team) values (current_user, 'P', 'noord') on conflict do nothing")
        first, second = self.connect(), self.connect()
        read = "select patrol.board_incident(%s)"
        with first.transaction():
            first.execute(read, [incident])
            waiting = threading.Thread(target=second.execute, args=[read, [incident]])
            waiting.start()
            self.waits(second)
        waiting.join(PATIENCE_S)
        looks = "select count(*) from mobeye.incident_history where incident_id = %s and action = 'look'"
        self.assertEqual(self.value(self.superuser, looks, incident), 1)

    def test_two_who_number_at_once_give_each_change_one_number(self):
        incident = self.make(1)[0]
        self.superuser.execute("select mobeye.number_changes()")
        self.superuser.execute("select patrol.note(%s, 'x')", [incident])
        first, second = self.connect(), self.connect()
        with first.transaction():
            self.assertEqual(self.value(first, "select mobeye.number_changes()"), 1)
            waiting = threading.Thread(target=second.execute, args=["select mobeye.number_changes()"])
            waiting.start()
            self.waits(second)
            given = self.value(first, "select max(change_id) from mobeye.change")
        waiting.join(PATIENCE_S)
        self.assertEqual(self.value(self.superuser, "select max(change_id) from mobeye.change"), given)
        self.assertEqual(self.value(self.superuser, "select value from mobeye.counter where name = 'changes'"), given)

    def test_changes_come_in_the_order_of_commits_and_none_is_missed(self):
        """A reader who goes on from the last number it saw sees every change once, in whatever order sessions commit."""
        incidents = self.make(OFFICERS)
        start = self.value(self.superuser, "select coalesce(max(change_id), 0) from patrol.changes")
        done = threading.Event()
        seen = []

        def follow():
            with connect(self.database) as conn:
                after = start
                while True:
                    ended = done.is_set()
                    conn.execute("select patrol.number_changes()")
                    rows = conn.execute(
                        "select change_id, incident_id from patrol.changes where change_id > %s order by change_id", [after]
                    ).fetchall()
                    seen.extend(rows)
                    after = rows[-1][0] if rows else after
                    if ended and not rows:
                        return

        def work(conn, number):
            for turn in range(20):
                with conn.transaction():
                    for _ in range(1 + (number + turn) % 3):
                        conn.execute("select patrol.note(%s, 'x')", [incidents[number]])

        reader = threading.Thread(target=follow)
        reader.start()
        self.assertEqual(self.side_by_side(OFFICERS, work), [None] * OFFICERS)
        done.set()
        reader.join(PATIENCE_S)
        numbers = [change for change, _ in seen]
        self.assertEqual(numbers, list(range(start + 1, start + 1 + len(numbers))))
        wanted = sum(1 + (number + turn) % 3 for number in range(OFFICERS) for turn in range(20))
        self.assertEqual(len(numbers), wanted)

    def test_a_transaction_that_is_left_open_holds_up_no_number(self):
        one, other = self.make(2)
        slow, quick = self.connect(), self.connect()
        with slow.transaction():
            slow.execute("select patrol.note(%s, 'slow')", [one])
            quick.execute("select patrol.note(%s, 'quick')", [other])
            quick.execute("select patrol.number_changes()")
            last = self.value(quick, "select max(change_id) from patrol.changes")
        self.superuser.execute("select patrol.number_changes()")
        rows = self.superuser.execute(
            "select change_id - %s, incident_id from patrol.changes where change_id >= %s order by 1", [last, last]
        ).fetchall()
        self.assertEqual(rows, [(0, other), (1, one)])

    def test_the_most_urgent_is_taken_though_its_own_alerts_lock_it_for_a_moment(self):
        (urgent,) = self.make(priority=1)
        self.make(priority=3)
        batch = self.connect()
        batch.execute("set statement_timeout = '60s'")
        batch.execute("begin")
        batch.execute("select from mobeye.incident where incident_id = %s for update", [urgent])
        officer = self.connect()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            claim = pool.submit(self.value, officer, "select patrol.claim_next('noord', 'wagen 1')")
            # In one message, so that the lock goes as soon as the officer waits for it.
            batch.execute(
                f"do $$ begin while cardinality(pg_blocking_pids({officer.info.backend_pid})) = 0 loop end loop; end $$; commit"
            )
            self.assertEqual(claim.result(PATIENCE_S), urgent)
        self.assertEqual(self.value(officer, "show lock_timeout"), "0", "the session's own is back")

    def test_one_that_stays_locked_does_not_keep_others_from_being_taken(self):
        (urgent,) = self.make(priority=1)
        (other,) = self.make(priority=3)
        batch = self.connect()
        with batch.transaction():
            batch.execute("select from mobeye.incident where incident_id = %s for update", [urgent])
            self.assertEqual(self.value(self.connect(), "select patrol.claim_next('noord', 'wagen 1')"), other)

    def test_nothing_that_a_person_leaves_open_holds_up_storing(self):
        """The daemon numbers its changes while a person's transaction has written some and goes on."""
        one, other = self.make(2)
        slow, daemon = self.connect(), self.connect()
        daemon.execute("set lock_timeout = '1s'")
        with slow.transaction():
            slow.execute("select patrol.note(%s, 'slow'), patrol.acknowledge(%s)", [one, one])
            slow.execute("set constraints all immediate")
            daemon.execute("select mobeye.add_changes(array[%s]::bigint[], '{alert}', '{f}')", [other])
            self.assertEqual(self.value(daemon, "select mobeye.number_changes()"), 0)
        self.assertEqual(self.value(daemon, "select mobeye.number_changes()"), 2)

    def outsider(self):
        """An officer with a login."""
        self.superuser.execute("create role outsider login in role mobeye_patrol")
        self.addCleanup(self.superuser.execute, "drop role outsider")
        self.superuser.execute("insert into mobeye.person values ('outsider', 'Jan', 'noord', false) on conflict do nothing")
        return self.connect("outsider")

    def ended(self, daemon):
        """Whom it ends, as soon as it ends somebody."""
        end = time.monotonic() + PATIENCE_S
        while not (ended := daemon.execute("select mobeye.end_blockers()").fetchall()):
            self.assertLess(time.monotonic(), end)
        return ended

    def test_a_session_of_a_person_that_storing_waits_for_is_ended(self):
        (incident,) = self.make()
        person, daemon, other = self.outsider(), self.connect("mobeye_ingest"), self.connect("mobeye_ingest")
        person.execute("begin")
        person.execute("select patrol.note(%s, 'slow')", [incident])
        person.execute("select patrol.number_changes()")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            stored = pool.submit(self.value, daemon, "select mobeye.add_changes(array[%s]::bigint[], '{alert}', '{f}')", incident)
            self.waits(daemon)
            ended = self.ended(other)
            stored.result(PATIENCE_S)
        self.assertRegex(ended[0][0], r"the session of outsider \(pid [0-9]+\)")
        with self.assertRaises(psycopg.OperationalError):
            person.execute("select 1")

    def test_the_one_at_the_end_of_a_queue_is_ended(self):
        """The daemon waits for a session that waits itself."""
        (incident,) = self.make()
        person, before, daemon, other = self.outsider(), self.connect(), self.connect("mobeye_ingest"), self.connect("mobeye_ingest")
        person.execute("begin")
        person.execute("select patrol.note(%s, 'slow')", [incident])
        person.execute("select patrol.number_changes()")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            queued = pool.submit(before.execute, "update mobeye.counter set value = value where name = 'changes'")
            self.waits(before)
            stored = pool.submit(daemon.execute, "select mobeye.add_changes(array[%s]::bigint[], '{alert}', '{f}')", [incident])
            self.waits(daemon)
            ended = self.ended(other)
            queued.result(PATIENCE_S)
            stored.result(PATIENCE_S)
        self.assertRegex(ended[0][0], r"the session of outsider")
        self.assertEqual(len(ended), 1)

    def test_a_daemon_that_hangs_while_it_sends_a_batch_is_ended(self):
        """Not at once: it may be about to go on. Those that wait give up and try again. A minute is a second here."""
        (incident,) = self.make()
        hanging, daemon, other = (self.connect("mobeye_ingest") for _ in range(3))
        add = "select mobeye.add_changes(array[%s]::bigint[], '{alert}', '{f}')"
        daemon.execute("set lock_timeout = '600ms'")

        def store():
            while True:
                with contextlib.suppress(psycopg.errors.LockNotAvailable):
                    return self.value(daemon, add, incident)

        hanging.execute("begin")
        self.value(hanging, add, incident)
        hanging_pid = hanging.info.backend_pid
        as_it_is = self.value(self.superuser, "select pg_get_functiondef('mobeye.end_blockers()'::regprocedure)")
        self.assertIn("'60 seconds'", as_it_is)
        self.addCleanup(self.superuser.execute, as_it_is)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with self.assertRaises(psycopg.OperationalError), hanging.cursor().copy("copy mobeye.alert from stdin"):
                stored = pool.submit(store)
                self.waits(daemon)
                self.superuser.execute("select pg_sleep_until(state_change + interval '1.1 seconds') from pg_stat_activity where pid = %s",
                                       [hanging_pid])
                self.assertEqual(other.execute("select mobeye.end_blockers()").fetchall(), [])
                self.superuser.execute(as_it_is.replace("'60 seconds'", "'1 second'"))
                ended = self.ended(other)
                stored.result(PATIENCE_S)
        self.assertRegex(ended[0][0], r"the session of mobeye_ingest \(pid [0-9]+")
        self.assertEqual(len(ended), 1)

    def test_renaming_a_team_holds_no_incident_while_it_goes_through_the_alerts(self):
        """There are many of them, and storing would wait for the incidents."""
        (incident,) = self.make()
        holding, owner = self.connect(), self.connect()
        self.superuser.execute(
            "insert into mobeye.team values ('west'); select mobeye.premake_partitions();"
            "insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin, flags, drill,"
            " source, event_id, device_id, payload, team) values (0, 2, 0, 0, now(), now(), 2, 1, 0, false, '/x', 'w', 'w', '{}', 'west')"
        )
        self.superuser.execute("update mobeye.incident set team = 'west', secret_team = 'west'")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with holding.transaction():
                holding.execute("select from mobeye.alert where team = 'west' for update")
                renamed = pool.submit(owner.execute, "update mobeye.team set team = 'oost' where team = 'west'")
                self.waits(owner)
                self.superuser.execute("select from mobeye.incident where incident_id = %s for update nowait", [incident])
            renamed.result(PATIENCE_S)
        self.assertEqual(
            self.superuser.execute("select team, secret_team from mobeye.incident union all select team, null from mobeye.alert where device_id = 'w'"
                                   " order by 2").fetchall(), [("oost", "oost"), ("oost", None)])

    def test_those_of_superusers_are_not(self):
        (incident,) = self.make()
        holding, daemon, other = self.connect(), self.connect("mobeye_ingest"), self.connect("mobeye_ingest")
        holding.execute("begin; lock table mobeye.counter")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            stored = pool.submit(daemon.execute, "select mobeye.add_changes(array[%s]::bigint[], '{alert}', '{f}')", [incident])
            self.waits(daemon)
            self.superuser.execute("select pg_sleep_until(waitstart + interval '1.1 seconds') from pg_locks where pid = %s"
                                   " and not granted", [daemon.info.backend_pid])
            self.assertEqual(other.execute("select mobeye.end_blockers()").fetchall(), [])
            holding.execute("rollback")
            stored.result(PATIENCE_S)

    def test_a_hint_comes_after_the_commit_and_says_nothing_of_the_place(self):
        (incident,) = self.make()
        listener = self.connect()
        listener.execute("listen mobeye_incident")
        self.superuser.execute("select patrol.acknowledge(%s)", [incident])
        hint = next(listener.notifies())
        self.assertEqual(
            hint.payload.replace(" ", ""),
            f'{{"incident_id":{incident},"op":"status","priority":2,"category":"alarm"}}',
        )

    def test_reopened_while_another_of_its_key_is_being_made_it_does_not_accept(self):
        (incident,) = self.make()
        self.superuser.execute("select patrol.close(%s, 'no_trace')", [incident])
        daemon, officer = self.connect(), self.connect()
        with daemon.transaction():
            daemon.execute(
                "insert into mobeye.incident (incident_key, category, priority, kind, first_seen, last_seen, last_received_at)"
                " select incident_key, category, priority, kind, now(), now(), now() from mobeye.incident"
                "  where incident_id = %s",
                [incident],
            )
            thread = threading.Thread(target=officer.execute, args=("select patrol.reopen(%s, 'toch')", [incident]))
            thread.start()
            self.waits(officer)
        thread.join(PATIENCE_S)
        row = self.superuser.execute(
            "select status, accepting from mobeye.incident where incident_id = %s", [incident]
        ).fetchone()
        self.assertEqual(row, ("reopened", False))

    def test_a_front_end_that_hangs_with_an_incident_locked_loses_its_transaction(self):
        (incident,) = self.make()
        hanging = self.connect()
        hanging.execute("begin")
        hanging.execute("select patrol.acknowledge(%s)", [incident])
        self.assertEqual(self.value(hanging, "show idle_in_transaction_session_timeout"), "10s")
        with contextlib.suppress(psycopg.OperationalError):  # it may be gone before it has heard the answer
            hanging.execute("set idle_in_transaction_session_timeout = '1ms'")
        self.assertEqual(self.value(self.superuser, "select patrol.assign(%s, 'x', 'new')", incident), "assigned")

    def test_a_batch_that_was_on_its_way_when_a_placement_became_secret_is_hidden_by_the_next_cycle(self):
        conn = self.superuser
        conn.execute("insert into mobeye.device (device_id) values ('late-1')")
        conn.execute("select mobeye.device_place('late-1', 5, 52, now() - interval '1 hour', team => 'noord')")
        daemon = self.connect()
        with daemon.transaction():  # it has read the registry already
            daemon.execute(
                "insert into mobeye.alert (class, kind, phase, location_source, occurred_at, received_at, journal_seq, origin,"
                " flags, drill, source, event_id, device_id, payload)"
                " select 0, 15, 0, 0, now(), now(), 1, 1, 0, false, '/x', 'late', 'late-1', '{}' from mobeye.premake_partitions()"
            )
            with conn.transaction():
                conn.execute("update mobeye.placement set secret = true where device_id = 'late-1'")
                # As of a transaction that began an hour ago.
                conn.execute("update mobeye.registry_log set at = at - interval '1 hour' where device_id = 'late-1'")
        secret = "select secret from mobeye.alert where event_id = 'late'"
        self.assertFalse(self.value(conn, secret))
        self.assertEqual(self.value(self.connect("mobeye_ingest"), "select mobeye.hide_late()"), 1)
        self.assertTrue(self.value(conn, secret))
        self.assertEqual(self.value(conn, "select mobeye.hide_late()"), 0)
