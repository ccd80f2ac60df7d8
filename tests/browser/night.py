"""What the screens of the tests show: people, homes and incidents in Amersfoort, all of them invented."""

import subprocess

from harness.paths import MOBEYECTL, ROOT

DEMO = ROOT / "config" / "demo"

PEOPLE = """
insert into mobeye.team values ('noord', 'Noord'), ('zuid', 'Zuid');
insert into mobeye.team_area values ('noord', 'wijk', 'WK999901'), ('zuid', 'wijk', 'WK999902');
insert into mobeye.person values ('jansen', 'A. Jansen', 'noord', false), ('bakker', 'S. Bakker', 'noord', false),
    ('visser', 'M. Visser', 'zuid', false), ('meldkamer', 'Meldkamer', null, true);
"""

DEVICE = """
insert into mobeye.device (device_id, model, state, heartbeat, grace) values (%s, %s, 'placed', '26 h', '2 h') on conflict do nothing
"""
PLACEMENT = """
insert into mobeye.placement (device_id, during, geom, address, team, secret, instructions)
values (%s, '[2020-01-01,)', st_setsrid(st_makepoint(%s, %s), 4326), %s, %s, %s, %s) returning placement_id
"""
INCIDENT = """
insert into mobeye.incident (incident_id, incident_key, category, priority, kind, device_id, created_at, first_seen, last_seen,
    last_received_at, alert_count, active, geom, accuracy_m, location_source, areas, placement_id, secret, secret_team, cell,
    status, accepting, team, rule)
select nextval('mobeye.incident_id'), gen_random_uuid(), %s, %s, %s, %s, now() - %s::interval,
       now() - %s::interval, now() - %s::interval / 2, now() - %s::interval / 2, %s, 1, p.geom, 12,
       case when p.geom is null then 'none' else 'placement' end,
       case when p.geom is null then '{}' else array[%s] end, p.placement_id, coalesce(p.secret, false),
       case when p.secret then p.team end, case when p.secret then p.cell end, 'new', true, coalesce(p.team, 'noord'), 'hotspot-night'
  from (select 1) as one left join mobeye.placement p on p.device_id = %s
returning incident_id
"""
STREETS = ["Voorbeeldlaan", "Proefweg", "Verzonnenpad", "Schijnhof", "Dorpsstraat", "Lange Fictieve Burgemeester van Voorbeeldstraat"]


def register(database):
    """Areas of the demo, teams and people."""
    for layer, file in (("wijk", "wijken"), ("hotspot", "hotspots")):
        subprocess.run([MOBEYECTL, "areas", "import", "--layer", layer, "--db", database.conninfo, DEMO / f"{file}.geojson"],
                       check=True, capture_output=True, text=True)
    database.execute(PEOPLE)


def add_home(database, device, number, team="noord", secret=False, instructions="achterom is open; geen sirene; https://voorbeeld.nl/" + 20 * "kaart", model="iCM41 MiniPir"):
    """A set in a home in Nieuwland, or in Kattenbroek for team zuid."""
    lon, lat = (5.3700, 52.1985) if team == "noord" else (5.3890, 52.1885)
    database.execute(DEVICE, device, model)
    database.execute(PLACEMENT, device, lon + number % 6 * 0.0022, lat + number // 6 * 0.0016,
                     f"{STREETS[number % len(STREETS)]} {number + 1}", team, secret, instructions)


def add_incident(database, device="NL-0307-00001", number=0, team="noord", kind="intrusion", priority=2, category="alarm",
                 age="7 minutes", alerts=1, secret=False, home=True, more=""):
    """more: assignments of an update of mobeye.incident."""
    if home and not database.rows("select from mobeye.placement where device_id = %s", device):
        add_home(database, device, number, team, secret)
    area = "wijk:WK999901" if team == "noord" else "wijk:WK999902"
    made = database.value(INCIDENT, category, priority, kind, device, age, age, age, age, alerts, area, device)
    if more:
        database.execute(f"update mobeye.incident set {more} where incident_id = {made}")
    database.execute("select mobeye.add_change(%s, 'new')", made)
    database.execute("select patrol.number_changes()")
    return made


KINDS = ["intrusion", "motion", "camera", "tamper", "fire", "panic"]


def busy(database):
    """Thirty open incidents of all kinds and states, some closed ones, and equipment that needs attention. Returns the most
    urgent incident."""
    urgent = add_incident(database, "NL-0307-00100", 20, kind="panic", priority=1, age="2 minutes", alerts=3,
                          more="urgent = true, verified_by = 'second_input', overdue_since = now() - interval '1 minute', overdue_step = 1")
    for n in range(29):
        states = {1: "status = 'assigned', assigned_to = 'jansen', acknowledged_at = now()",
                  2: "status = 'on_scene', assigned_to = 'bakker', acknowledged_at = now(), on_scene_at = now()",
                  4: "status = 'acknowledged', acknowledged_at = now()", 6: "drill = true", 8: "verified_by = 'second_device'",
                  9: "restored_at = now() - interval '1 minute'", 11: "delayed = true"}
        add_incident(database, f"NL-0307-{n:05}", n % 20, team="zuid" if n % 5 == 3 else "noord", kind=KINDS[n % 5],
                     priority=[1, 2, 2, 3, 2, 3, 4, 5][n % 8], age=f"{4 + n * 5} minutes", alerts=1 + n % 4, secret=n in (3, 13),
                     home=n not in (7, 17), more=states.get(n, ""))
    for n in range(3):
        add_incident(database, f"NL-0307-{n:05}", n, age="5 hours", kind=KINDS[n], more=(
            f"status = 'closed', accepting = false, closed_by_person = true, closed_at = now() - interval '{n + 1} hours', "
            f"outcome = '{['false_alarm', 'no_trace', 'confirmed'][n]}'"))
    add_incident(database, "NL-0307-00200", 21, kind="battery", priority=4, category="service", age="3 hours")
    add_incident(database, "NL-0307-00201", 22, kind="comms", priority=4, category="service", age="26 hours")
    database.execute("""
        insert into mobeye.device_status (device_id, registered, first_received_at, last_received_at, last_occurred_at, endpoint,
            source, kind, battery_pct, signal_dbm, silent_since)
        select device, true, now() - interval '30 days', now() - ago, now() - ago, 'portal', 'dc09:3072', 'keepalive', battery, signal, silent
          from (values ('NL-0307-00200', interval '3 hours', 12, -93, null::timestamptz),
                       ('NL-0307-00201', interval '54 hours', 71, -108, now() - interval '26 hours'))
               as d (device, ago, battery, signal, silent)""")
    return urgent
