"""Images: how long they are kept, who looked, and that auditors say why."""

import psycopg

from support import SchemaTest, insert_incident

KEEP = "'28 days', '365 days', '90 days', '1825 days'"


class Images(SchemaTest):
    def setUp(self):
        super().setUp()
        self.superuser.execute("truncate mobeye.incident, mobeye.incident_history, mobeye.snapshot, mobeye.erasure cascade")
        self.ingest = self.connect("mobeye_ingest")

    def incident(self):
        return insert_incident(self.superuser, self.value(self.superuser, "select now() - interval '1 day'"))

    def image(self, ago, incident=None, score=None, pixels=b"pixels"):
        """The number of an image whose alert occurred so long ago."""
        at = self.value(self.superuser, "select now() - %s::interval", ago)
        self.superuser.execute("select mobeye.make_partitions('images', %s, %s + interval '1 minute')", [at, at])
        return self.value(
            self.superuser,
            "insert into mobeye.snapshot (image_id, occurred_at, device_id, incident_id, score, media_type, image)"
            " values (gen_random_uuid(), %s, 'CAM-1', %s, %s, 'image/jpeg', %s) returning image_id",
            at, incident, score, pixels)

    def left(self):
        return {row[0] for row in self.superuser.execute("select image_id from mobeye.snapshot")}

    def erase_due(self):
        rows = self.ingest.execute(
            f"select what, n, error from mobeye.apply_retention('images', {KEEP}) where n > 0 or error is not null").fetchall()
        self.assertEqual([error for *_, error in rows if error], [])
        return [(what, n) for what, n, _ in rows]

    def test_a_day_of_images_is_dropped_whatever_their_alerts(self):
        young = self.image("27 days")
        self.image("30 days")
        self.image("30 days")
        self.assertEqual(self.erase_due(), [("images", 2)])
        self.assertEqual(self.left(), {young})
        self.assertEqual(self.superuser.execute("select what, n from mobeye.erasure").fetchall(), [("images", 2)])

    def test_a_hold_keeps_the_images_of_its_incident(self):
        held = self.incident()
        kept = self.image("30 days", held)
        self.image("30 days", self.incident())
        self.superuser.execute("select mobeye.hold(%s, true, 'OM')", [held])
        self.assertEqual(self.erase_due(), [("images", 1)])
        self.assertEqual(self.left(), {kept})
        self.superuser.execute("select mobeye.hold(%s, false, 'OM')", [held])
        self.assertEqual(self.erase_due(), [("images", 1)])
        self.assertEqual(self.left(), set())

    def test_the_images_of_an_erased_incident_go_with_it(self):
        gone, other = self.incident(), self.incident()
        self.image("1 hour", gone)
        kept = self.image("1 hour", other)
        self.superuser.execute("select mobeye.erase_incidents(array[%s::bigint])", [gone])
        self.assertEqual(self.left(), {kept})

    def test_the_best_image_has_the_highest_score_then_it_is_the_latest(self):
        incident = self.incident()
        best = "select image_id from patrol.incidents where incident_id = %s"
        self.superuser.execute("update mobeye.incident set last_seen = now()")
        self.assertIsNone(self.value(self.superuser, best, incident))
        unscored = self.image("1 hour", incident)
        self.assertEqual(self.value(self.superuser, best, incident), unscored)
        self.image("50 minutes", incident, 0.5)
        good = self.image("40 minutes", incident, 0.9)
        self.assertEqual(self.value(self.superuser, best, incident), good)
        later = self.image("30 minutes", incident, 0.9)
        self.image("20 minutes", incident, 0.4)
        self.assertEqual(self.value(self.superuser, best, incident), later)

    def test_an_auditor_says_why_and_an_officer_need_not(self):
        incident = self.incident()
        image = self.image("1 hour", incident)
        self.superuser.execute("create role img_anna login in role mobeye_auditor; create role img_jan login in role mobeye_patrol;"
                               " insert into mobeye.person (login, name, all_teams) values ('img_jan', 'Jan', true)")
        self.addCleanup(self.superuser.execute, "delete from mobeye.person where login = 'img_jan'; drop role img_anna, img_jan")
        anna, jan = self.connect("img_anna"), self.connect("img_jan")
        for reason in (None, "", "  "):
            with self.assertRaises(psycopg.errors.InvalidParameterValue):
                anna.execute("select patrol.open_image(%s, %s)", [image, reason])
        self.assertEqual(self.value(anna, "select patrol.open_image(%s, 'klacht 12')", image), b"pixels")
        self.assertEqual(self.value(jan, "select patrol.open_image(%s, '')", image), b"pixels")
        with self.assertRaises(psycopg.errors.NoDataFound):
            jan.execute("select patrol.open_image(gen_random_uuid())")
        looks = self.superuser.execute("select actor, action, note, image_id from patrol.incident_history order by entry").fetchall()
        self.assertEqual(looks, [("img_anna", "look", "klacht 12", image), ("img_jan", "look", None, image)])
        anna.close(), jan.close()
