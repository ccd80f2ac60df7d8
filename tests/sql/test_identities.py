"""The periods in which the identities of alerts are stored: when one ends, and what a closed one still takes."""

import psycopg

from support import SchemaTest


class Periods(SchemaTest):
    def setUp(self):
        super().setUp()
        self.ingest = self.connect("mobeye_ingest")
        # What other tests have stored is in a period before.
        self.turn()
        self.superuser.execute("truncate mobeye.alert_identity")
        self.filters()

    def store(self, n=1, conn=None):
        """In the current period."""
        (conn or self.superuser).execute(
            "insert into mobeye.alert_identity select gen_random_uuid(), 1, %s from generate_series(1, %s)", [self.current(), n])

    def current(self):
        return self.value(self.superuser, "select period from mobeye.identity_period where closed_at is null")

    def turn(self, minimum=0):
        return self.value(self.ingest, "select mobeye.turn_identity_period(%s)", minimum)

    def filters(self):
        return self.value(self.ingest, "select mobeye.make_identity_filters()")

    def test_a_period_ends_when_it_has_taken_enough(self):
        before = self.current()
        self.store(2000)
        self.assertIsNone(self.turn(4000))
        self.assertEqual(self.turn(1500), before + 1)
        self.assertEqual(self.current(), before + 1)

    def test_a_period_ends_after_a_month_unless_it_is_empty(self):
        self.superuser.execute("update mobeye.identity_period set began_at = now() - interval '32 days' where closed_at is null")
        self.assertIsNone(self.turn(2_000_000))
        before = self.current()
        self.store()
        self.assertEqual(self.turn(2_000_000), before + 1)
        self.store()
        self.assertIsNone(self.turn(2_000_000))

    def test_where_much_is_stored_periods_are_larger(self):
        self.store(3200)
        self.turn()
        self.filters()
        self.superuser.execute("update mobeye.identity_period set identities = case period when %s then 320000 else 0 end"
                               " where closed_at is not null", [self.current() - 1])
        self.store(5000)
        self.assertIsNone(self.turn(100))
        self.store(6000)
        self.assertIsNotNone(self.turn(100))

    def test_a_closed_period_takes_no_identity_from_anybody(self):
        closed = self.current()
        self.store()
        self.turn()
        for conn in (self.ingest, self.superuser):
            with self.assertRaises(psycopg.errors.CheckViolation):
                conn.execute("insert into mobeye.alert_identity values (gen_random_uuid(), 1, %s)", [closed])
        with self.assertRaises(psycopg.errors.CheckViolation):
            with self.ingest.cursor().copy("copy mobeye.alert_identity (id, device, period) from stdin") as copy:
                copy.write_row(("11111111-0000-0000-0000-000000000009", 1, closed))
        self.assertEqual(self.value(self.superuser, "select count(*) from mobeye.alert_identity"), 1)

    def test_a_transaction_that_stores_one_is_waited_for_only_briefly(self):
        before = self.current()
        self.store()
        other = self.connect("mobeye_ingest")
        with other.transaction():
            self.store(conn=other)
            with self.assertRaises(psycopg.errors.LockNotAvailable):
                self.turn()
            self.assertEqual(self.current(), before)
            self.store(conn=other)
        self.assertEqual(self.turn(), before + 1)

    def test_a_filter_is_made_once_and_of_closed_periods_only(self):
        self.store(100)
        self.assertEqual(self.filters(), 0)
        self.turn()
        self.assertEqual(self.filters(), 1)
        self.assertEqual(self.filters(), 0)
        made = self.superuser.execute("select identities, length(filter) from mobeye.identity_period where period = %s",
                                      [self.current() - 1]).fetchone()
        self.assertEqual(made, (100, 8 * (100 * 12 // 64)))

    def test_what_is_stored_before_is_found_in_its_period_alone(self):
        closed = self.current()
        self.superuser.execute("insert into mobeye.alert_identity values (md5('a')::uuid, 1, %s)", [closed])
        self.turn()
        found = self.ingest.execute(
            "select mobeye.stored_before(array[md5('b'), md5('a'), md5('a')]::uuid[], array[%s, %s, %s])",
            [closed, closed, closed + 1]).fetchall()
        self.assertEqual(found, [(2,)])

    def test_the_erasure_of_quarantine_stores_in_the_current_period(self):
        self.store()
        self.turn()
        quarantined = self.value(
            self.superuser, "insert into mobeye.quarantine (reason, record, identity) values ('r', '', md5('q')::uuid) returning id")
        self.superuser.execute("select mobeye.erase_quarantine(array[%s::bigint])", [quarantined])
        self.assertEqual(self.value(self.superuser, "select period from mobeye.alert_identity where id = md5('q')::uuid"), self.current())
