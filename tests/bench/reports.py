"""Measurements of reports: the district safety report of a year of alarms, and the Knox test of a year of burglaries in a dense
and in a wide town."""
import time

import psycopg

import databases
from measurement import Measurement

SIMULATIONS = 999
YEAR = "'2025-01-01', '2026-01-01'"
# 33 wijken and 2,000 sets; each tenth alarm has a place of its own, as those of mobile cameras; a third is never acknowledged. Alarms lie
# in the order in which they came. What reports do not read has no index here.
ALARMS = """
insert into mobeye.area (layer, code, name, homes, geom)
select 'town', 'T' || lpad(n::text, 2, '0'), 'Wijk ' || n, 2000 + n, st_multi(st_makeenvelope(5.3 + n * 0.005, 52.1, 5.305 + n * 0.005, 52.2, 4326))
  from generate_series(0, 32) as n;
select setseed(0.5);
create temporary table stood as
select n as number, st_setsrid(st_makepoint(5.3 + (n % 33 + 0.5) * 0.005, 52.1 + random() * 0.1), 4326) as geom from generate_series(0, 1999) as n;
insert into mobeye.device (device_id, state) select 'report-' || number, 'placed' from stood;
insert into mobeye.placement (device_id, during, geom) select 'report-' || number, tstzrange('2024-01-01', null), geom from stood;
drop index mobeye.incident_key, mobeye.incident_reference, mobeye.incident_near, mobeye.incident_closed, mobeye.incident_waiting,
    mobeye.incident_open, mobeye.incident_device, mobeye.incident_placement, mobeye.incident_geom, mobeye.incident_cell;
insert into mobeye.incident (incident_key, accepting, category, priority, kind, device_id, created_at, first_seen, last_seen,
    last_received_at, alert_count, geom, accuracy_m, location_source, areas, verified_by, status, acknowledged_at, on_scene_at,
    closed_at, outcome, closed_by_person)
select gen_random_uuid(), false, 'alarm', 1 + n % 4, (array['intrusion', 'motion', 'panic', 'camera', 'tamper'])[1 + n % 5],
       'report-' || s.number, t, t, t + interval '9 minutes', t + interval '9 minutes', 3,
       case when n % 10 = 0 then st_translate(s.geom, random() * 1e-4, 0) else s.geom end, 20, 'placement',
       array['buurt:B' || lpad((s.number % 198)::text, 3, '0'), 'town:T' || lpad((s.number % 33)::text, 2, '0')],
       case when n % 4 = 0 then 'second_device' end, 'closed', case when n % 3 > 0 then t + random() * interval '20 minutes' end,
       case when n % 5 = 0 then t + random() * interval '40 minutes' end, t + interval '1 hour',
       (array['confirmed', 'false_alarm', 'technical', 'no_trace', 'unattended', 'restored'])[1 + n % 6], true
  from (select n, '2025-01-01'::timestamptz + interval '364 days' * (n / ({count}.0)) as t, (random() * 1999)::integer as number
          from generate_series(1, {count}) as n) made
  join stood s using (number)
 order by n;
"""
BURGLARIES = """
select setseed(0.5);
insert into mobeye.burglary (reference, occurred_from, geom)
select 'bench-' || n, '2025-01-01 12:00'::timestamptz + random() * interval '363 days',
       st_setsrid(st_makepoint(5.33 + random() * {width}, 52.12 + random() * {height}), 4326)
  from generate_series(1, {count}) as n;
analyze mobeye.burglary;
"""


def timed(connection, sql):
    """Seconds, and what it gave."""
    start = time.monotonic()
    (value,) = connection.execute(sql).fetchone()
    return time.monotonic() - start, value


def wijk(bench, _):
    database = databases.create("bench")
    databases.psql(database, ALARMS.format(count=bench.incidents), "vacuum analyze mobeye.incident, mobeye.placement, mobeye.area")
    with psycopg.connect(databases.conninfo(database, "postgres"), autocommit=True) as connection:
        connection.execute("select count(*) from mobeye.incident")
        scan_s, _ = timed(connection, "select count(*) from mobeye.incident where outcome = 'confirmed'")
        report_s, report = timed(connection, f"select patrol.wijk_report({YEAR}, 'town')")
    if report["total"]["alarms"] != bench.incidents:
        raise SystemExit(f"bench: the report counts {report['total']['alarms']} alarms (expected {bench.incidents})")
    return {"scan_s": scan_s, "report_s": report_s}


def knox(bench, _):
    """A wide town has 82 km2, a dense one 17."""
    figures = {}
    for name, width, height in (("wide", 0.12, 0.09), ("dense", 0.0596, 0.0366)):
        database = databases.create("bench")
        databases.psql(database, BURGLARIES.format(count=bench.burglaries, width=width, height=height))
        with psycopg.connect(databases.conninfo(database, "postgres"), autocommit=True) as connection:
            figures[f"{name}_once_s"], _ = timed(connection, f"select patrol.near_repeat({YEAR}, simulations => 1)")
            figures[f"{name}_s"], report = timed(connection, f"select patrol.near_repeat({YEAR}, simulations => {SIMULATIONS})")
        if report["n"] != bench.burglaries:
            raise SystemExit(f"bench: the Knox test was of {report['n']} burglaries (expected {bench.burglaries})")
        figures[f"{name}_pairs"] = sum(map(sum, report["observed"][:-1]))
    return figures


MEASUREMENTS = {
    "wijk": Measurement("the wijk report", wijk, lambda bench: bench.incidents / 12_000 + 5, runs=lambda bench: 1, warm_up=False),
    "knox": Measurement("the Knox test", knox, lambda bench: bench.burglaries / 200 + 4, runs=lambda bench: 1, warm_up=False),
}
