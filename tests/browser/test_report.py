"""The district safety report in HTML: accessible, no wider than A4, two to four pages, and without outside requests."""
import base64
import re

import pytest

from harness.paths import BUILD

A4_WIDTH = 695  # CSS pixels between the margins of the report: 184 mm
DISTRICTS = 31
TOWN = f"""
insert into mobeye.area (layer, code, name, homes, geom)
select 'town', 'WK07' || to_char(n, 'FM00'), 'Wijk ' || to_char(n, 'FM00') || ' ' ||
       (array['Stoutenburg-Noord', 'Buitengebied West', 'Nieuwland', 'Soesterkwartier'])[1 + n % 4], 1000 + 97 * n,
       st_multi(st_makeenvelope(5.3 + n % 6 * 0.02, 52.1 + n / 6 * 0.02, 5.32 + n % 6 * 0.02, 52.12 + n / 6 * 0.02, 4326))
  from generate_series(0, {DISTRICTS - 1}) as n;
insert into mobeye.area (layer, code, name, homes, geom)
select 'city', 'WK08' || to_char(n, 'FM00'), 'Wijk ' || to_char(n, 'FM00') || ' ' ||
       (array['Stoutenburg-Noord', 'Buitengebied West', 'Nieuwland', 'Soesterkwartier'])[1 + n % 4], 1000 + 97 * n,
       st_multi(st_makeenvelope(5.3 + n % 6 * 0.02, 52.1 + n / 6 * 0.012, 5.32 + n % 6 * 0.02, 52.112 + n / 6 * 0.012, 4326))
  from generate_series(0, 59) as n;
insert into mobeye.burglary (reference, occurred_from, attempt, address, geom)
select 'PL' || n, '2025-01-05'::timestamptz + n * interval '8 hours', n % 3 = 0, 'x',
       st_setsrid(st_makepoint(5.31 + n * n % 6 * 0.02, 52.11 + n % 5 * 0.02), 4326)
  from generate_series(1, 1600) as n;
insert into mobeye.device (device_id, model, state) select 'S' || n, 'iCM41', 'placed' from generate_series(1, 60) as n;
insert into mobeye.placement (device_id, during, geom, address)
select 'S' || n, tstzrange('2025-01-01'::timestamptz + k * interval '30 days', '2025-01-01'::timestamptz + (k + 1) * interval '30 days'),
       st_setsrid(st_makepoint(5.31 + (n + k) % 6 * 0.02, 52.11 + n % 5 * 0.02), 4326), 'x'
  from generate_series(1, 60) as n, generate_series(0, 17) as k;
insert into mobeye.incident (incident_key, accepting, category, priority, kind, first_seen, last_seen, last_received_at, created_at,
                             areas, status, acknowledged_at, on_scene_at, closed_at, outcome, verified_by)
select gen_random_uuid(), false, 'alarm', 2, (array['intrusion', 'motion', 'camera', 'panic'])[1 + n % 4], at, at, at, at,
       array['town:WK07' || to_char(n * n % {DISTRICTS}, 'FM00'), 'city:WK08' || to_char(n * 7 % 60, 'FM00')], 'closed', at + interval '3 minutes', at + interval '14 minutes',
       at + interval '1 hour', (array['false_alarm', 'no_trace', 'confirmed', 'technical'])[1 + n % 4],
       case when n % 3 = 0 then 'second_input' end
  from generate_series(1, 2400) as n, lateral (select '2025-01-01'::timestamptz + n * interval '5 hours 21 minutes' as at) t;
insert into mobeye.measure (kind, layer, code, from_at, number)
select (array['letter', 'tent', 'patrol'])[1 + n % 3], 'town', 'WK0703', '2025-01-02'::timestamptz + n * interval '9 days', 40 + n
  from generate_series(1, 60) as n;
"""


@pytest.fixture(scope="module")
def reports(nights, chromium):
    """Reports of a town with many districts and figures, of a city with twice as many, and of nothing: files."""
    database = nights.cluster.database(nights.quiet.name)
    folder = BUILD / "browser"
    database.execute(TOWN)
    made = {}
    for name, layer, year in (("town", "town", 2026), ("city", "city", 2026), ("nothing", "wijk", 2006)):
        made[name] = folder / f"report-{name}.html"
        made[name].write_text(database.value("select patrol.wijk_report_html(make_date(%s, 1, 1), make_date(%s, 7, 1), %s)", year, year, layer))
    yield made
    database.drop()


@pytest.mark.parametrize("name", ["town", "city", "nothing"])
def test_a_report_is_accessible_and_prints_on_a4(reports, chromium, name):
    chromium.requests()
    page = chromium.page(reports[name])
    assert page.axe() == []
    assert "Wijkveiligheidsrapportage" in page.text("h1")
    page.size(A4_WIDTH, 900)
    page.cdp("Emulation.setEmulatedMedia", media="print")
    wide = page.js("return [...document.querySelectorAll('main *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
                   ".map(e => `${e.nodeName} ${e.innerText?.slice(0, 40)}`)")
    assert wide == [], "wider than the page: Chromium prints it smaller than it says"
    pdf = base64.b64decode(page.cdp("Page.printToPDF", preferCSSPageSize=True)["data"])
    (BUILD / "browser" / f"report-{name}.pdf").write_bytes(pdf)
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 4
    assert b"/MediaBox [0 0 594" in pdf or b"/MediaBox [0 0 595" in pdf
    assert [url for url in chromium.requests() if not url.startswith(("file:", "data:"))] == []
