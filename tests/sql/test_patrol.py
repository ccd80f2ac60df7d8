"""Schema patrol: its promised columns, and a comment on everything."""

from support import SchemaTest, insert_alert, insert_incident

PROMISED = {
    "alerts": "source event_id instance journal_seq device_id endpoint kind phase input drill occurred_at received_at "
    "clock_skew geom accuracy_m location_source flags wijk_code buurt_code rule incident_id payload",
    "incidents": "incident_id reference status category priority kind device_id address instructions geom rd_x rd_y "
    "location_source accuracy_m wijk_code wijk_name buurt_code team rule verified_by alert_count first_seen last_seen "
    "restored_at delayed drill muted_until overdue_since assigned_to acknowledged_at on_scene_at closed_at outcome "
    "previous_id external_ref",
    "changes": "change_id at incident_id op status priority category",
}
PROMISED["queue"] = PROMISED["incidents"]


class Patrol(SchemaTest):
    def test_views_have_the_promised_columns_in_order(self):
        for view, promised in PROMISED.items():
            columns = [c.name for c in self.superuser.execute(f"select * from patrol.{view} limit 0").description]
            self.assertEqual([name for name in columns if name in promised.split()], promised.split())

    def test_alerts_shows_what_is_stored(self):
        self.superuser.execute("select mobeye.premake_partitions()")
        now = self.value(self.superuser, "select now()")
        insert_alert(
            self.superuser,
            "camera",
            now,
            event_id="one",
            geom="SRID=4326;POINT(5.38421 52.19634)",
            flags=1,
            rule="r",
        )
        row = self.superuser.execute(
            "select event_id, kind, st_x(geom), st_y(geom), flags, wijk_code, buurt_code, rule, payload"
            "  from patrol.alerts"
        ).fetchall()
        self.assertEqual(row, [("one", "camera", 5.38421, 52.19634, ["clock"], None, None, "r", {})])

    def test_the_last_200_that_were_closed_are_shown_the_latest_first(self):
        """In the order of closing, not of creation: those created last were closed first."""
        oldest = insert_incident(self.superuser, device_id="NL-1")
        self.superuser.execute(
            "insert into mobeye.incident (incident_key, category, priority, kind, first_seen, last_seen, last_received_at)"
            " select gen_random_uuid(), 'alarm', 2, 'motion', now(), now(), now() from generate_series(1, 200)"
        )
        self.superuser.execute(
            "update mobeye.incident set status = 'closed', outcome = 'no_trace', accepting = false,"
            " closed_at = now() - (incident_id - %s) * interval '1 minute'", (oldest,)
        )
        shown = "select array_agg((i ->> 'incident_id')::bigint) from jsonb_array_elements(patrol.board_closed() -> 'incidents') i"
        self.assertEqual(self.value(self.superuser, shown), list(range(oldest, oldest + 200)))
        found = self.value(self.superuser, "select patrol.board_closed('nl-1') -> 'incidents'")
        self.assertEqual([incident["incident_id"] for incident in found], [oldest])
        self.superuser.execute("update mobeye.incident set closed_at = now() - interval '25 hours' where incident_id < %s", (oldest + 2,))
        self.assertEqual(self.value(self.superuser, shown), list(range(oldest + 2, oldest + 201)))

    def test_views_are_security_barriers(self):
        views = self.superuser.execute(
            """select relname, coalesce('security_barrier=true' = any(reloptions), false) from pg_class
                where relnamespace = 'patrol'::regnamespace and relkind = 'v'"""
        ).fetchall()
        self.assertTrue(views)
        self.assertEqual([name for name, barrier in views if not barrier], [])

    def test_every_place_has_a_type_that_maps_can_read(self):
        columns = self.superuser.execute("select f_table_name, type, srid from geometry_columns where f_table_schema = 'patrol'").fetchall()
        self.assertIn(("burglaries", "POINT", 4326), columns)
        self.assertEqual([c for c in columns if c[1] == "GEOMETRY" or c[2] != 4326], [])

    def test_everything_has_a_comment(self):
        bare = self.superuser.execute(
            """select c.oid::regclass::text from pg_class c
                where relnamespace = 'patrol'::regnamespace and obj_description(c.oid, 'pg_class') is null
               union all
               select attrelid::regclass || '.' || attname from pg_attribute join pg_class c on c.oid = attrelid
                where relnamespace = 'patrol'::regnamespace and attnum > 0 and not attisdropped
                  and col_description(attrelid, attnum) is null
               union all
               select oid::regprocedure::text from pg_proc
                where pronamespace in ('patrol'::regnamespace, 'mobeye'::regnamespace)
                  and obj_description(oid, 'pg_proc') is null
               union all
               select nspname::text from pg_namespace
                where nspname in ('mobeye', 'patrol') and obj_description(oid, 'pg_namespace') is null
               union all
               select oid::regclass::text from pg_class
                where relnamespace = 'mobeye'::regnamespace and relkind in ('r', 'p')
                  and not (relispartition and relkind = 'r')
                  and obj_description(oid, 'pg_class') is null"""
        ).fetchall()
        self.assertEqual(bare, [])

    def test_functions_pin_their_search_path(self):
        loose = self.superuser.execute(
            """select oid::regprocedure::text from pg_proc
                where pronamespace in ('patrol'::regnamespace, 'mobeye'::regnamespace)
                  and prosqlbody is null -- such a body was parsed where it was defined
                  and not coalesce(array_to_string(proconfig, ' ') ~ 'search_path=pg_catalog, (public, )?pg_temp', false)"""
        ).fetchall()
        self.assertEqual(loose, [])

    def test_api_version(self):
        self.assertEqual(self.value(self.superuser, "select patrol.api_version()"), 4)
