"""mobeye.journal_rewind."""

import select

import psycopg

from support import PATIENCE_S, SchemaTest

JOURNAL = "00000000-0000-0000-0000-00000000000a"


class Rewind(SchemaTest):
    def setUp(self):
        super().setUp()
        self.conn = self.connect("mobeye_ingest")
        self.superuser.execute("truncate mobeye.journal_position")
        self.conn.execute(
            "insert into mobeye.journal_position (journal, instance, position, checksum) values (%s, 'a', 100, -7)",
            [JOURNAL],
        )

    def position(self):
        return self.superuser.execute("select position, checksum from mobeye.journal_position").fetchall()

    def rewind(self, position, journal=JOURNAL):
        return self.value(self.conn, "select mobeye.journal_rewind(%s, %s, 42)", journal, position)

    def test_sets_the_position_back_and_tells_the_daemon(self):
        daemon = self.connect("mobeye_ingest")
        daemon.execute("listen mobeye_journal")
        self.assertEqual(self.rewind(10), 100)
        self.assertEqual(self.position(), [(10, 42)])
        notify = self.next_notify(daemon)
        self.assertEqual((notify.relname, notify.extra), (b"mobeye_journal", JOURNAL.encode()))

    def test_is_not_storing(self):
        stored_at = "select updated_at from mobeye.journal_position"
        before = self.value(self.superuser, stored_at)
        self.rewind(10)
        self.assertEqual(self.value(self.superuser, stored_at), before)  # from then on what was stored is verified again

    def next_notify(self, conn):
        while (notify := conn.pgconn.notifies()) is None:
            self.assertTrue(select.select([conn], [], [], PATIENCE_S)[0], "no NOTIFY came")
            conn.pgconn.consume_input()
        return notify

    def test_to_where_it_stands_changes_nothing(self):
        self.assertEqual(self.rewind(100), 100)
        self.assertEqual(self.position(), [(100, -7)])

    def test_to_the_beginning(self):
        self.rewind(0)
        self.assertEqual(self.position(), [(0, 42)])

    def test_forward_below_zero_or_nowhere_is_refused_and_changes_nothing(self):
        for position in (101, -1, None):
            with self.assertRaises(psycopg.errors.InvalidParameterValue) as caught:
                self.rewind(position)
            self.assertTrue(caught.exception.diag.message_hint)
        self.assertEqual(self.position(), [(100, -7)])

    def test_an_unknown_journal_is_refused_by_name_with_a_hint(self):
        stranger = "00000000-0000-0000-0000-00000000000b"
        with self.assertRaises(psycopg.errors.NoDataFound) as caught:
            self.rewind(1, stranger)
        self.assertIn(stranger, caught.exception.diag.message_primary)
        self.assertIn("mobeye.journal_position", caught.exception.diag.message_hint)
