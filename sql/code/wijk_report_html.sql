-- The district safety report as one HTML file, in Dutch, for a reader without this system. Made by SQL/XML, which escapes
-- every text; no script and no outside request. Elements that are not void must not be empty: they are read as HTML.

create or replace function mobeye.report_css() returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select
'@page{size:A4;margin:13mm 12mm}*{box-sizing:border-box}html{font:10pt/1.4 "Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif;color:#1b2733;background:#fff}
body{max-width:186mm;margin:0 auto;padding:6mm 0}h1{font-size:20pt;line-height:1.15;margin:0;color:#0b3c5d}h2{font-size:13pt;margin:5mm 0 2mm;color:#0b3c5d;border-bottom:1.5pt solid #0b3c5d;padding-bottom:1mm;break-after:avoid}
p{margin:0 0 2mm;orphans:3;widows:3}h2+p{break-after:avoid}.lead{font-size:12pt;margin:1mm 0 5mm;color:#44525f}.cards{display:grid;grid-template-columns:repeat(4,1fr);gap:3mm;margin:0 0 4mm;padding:0;list-style:none}
.cards li{border:1pt solid #c4ced8;border-top:3pt solid #0b3c5d;padding:2mm 3mm}.cards b{display:block;font-size:18pt;line-height:1.15;color:#0b3c5d}.cards span{display:block}.cards small{color:#44525f;font-size:8.5pt}
figure{margin:0;break-inside:avoid}figcaption{font-size:9pt;color:#44525f;margin-top:1mm}.map{display:grid;grid-template-columns:1fr 46mm;gap:5mm;align-items:start}.map{margin:0 0 4mm}.map svg{width:100%;max-height:68mm}.pair{display:grid;grid-template-columns:1fr 1fr;gap:6mm;align-items:start;break-inside:avoid}
table{border-collapse:collapse;width:100%;font-size:8pt;line-height:1.25;margin:0 0 3mm}caption{text-align:left;font-weight:600;padding:0 0 1mm;break-after:avoid}table:not(:has(tr:nth-child(24))){break-inside:avoid}thead{display:table-header-group}tr{break-inside:avoid}th,td{padding:.5mm .9mm;border-bottom:.5pt solid #c4ced8;text-align:right;font-variant-numeric:tabular-nums;vertical-align:top}tbody tr:nth-child(-n+4):not(:last-child){break-after:avoid}tbody tr:nth-last-child(-n+4):not(:first-child){break-before:avoid}tbody tr:first-child>*{padding-top:.8mm}
th{font-weight:600}th[scope=row],td.t,th.t{text-align:left}th[scope=row]{font-weight:400;width:41mm}.w th[scope=row]{width:auto}thead th{font-size:7pt;vertical-align:bottom;background:#eef2f6;border-bottom:1pt solid #0b3c5d}tr.sum th,tr.sum td{font-weight:700;border-top:1pt solid #0b3c5d;background:#f6f8fa}td.g,th.g{border-left:.5pt solid #8796a5}td.x{color:#5b6875}
.note{background:#eef2f6;border-left:3pt solid #0b3c5d;padding:2mm 4mm;margin:2mm 0 3mm;break-inside:avoid;break-after:avoid}.key{list-style:none;margin:0;padding:0;font-size:9pt}.key li{display:flex;align-items:center;gap:2mm;margin:0 0 1mm}.key svg{width:7mm;height:4.5mm;flex:none}
.q0{fill:#fff}.q1{fill:#d6e6f2}.q2{fill:#9cc3de}.q3{fill:#4b8dbb}.q4{fill:#0b4f82}.qx{fill:url(#x)}.map .m .qx{fill:url(#m)}.a{stroke:#44525f;stroke-width:1}.n{text-anchor:middle;dominant-baseline:central;font-weight:700;fill:#1b2733;stroke:#fff;stroke-width:.22em;paint-order:stroke}.n.d{fill:#fff;stroke:#0b4f82}
.c text{font-size:9px;fill:#1b2733}.c rect{stroke:#c4ced8;stroke-width:.5}footer{margin-top:6mm;border-top:.5pt solid #c4ced8;padding-top:2mm;font-size:8.5pt;color:#44525f}'
'.many table{font-size:7pt;line-height:1.1}.many thead th{font-size:6.5pt}.many :is(th,td){padding:.2mm .9mm}.many p{font-size:9pt}.many .map svg{max-height:60mm}@media print{body{padding:0;max-width:none}.q0,.q1,.q2,.q3,.q4,.qx,thead th,tr.sum *,.note{-webkit-print-color-adjust:exact;print-color-adjust:exact}}'
$$;
comment on function mobeye.report_css() is 'The styles of the district safety report. Without < > and &, which SQL/XML would escape.';

create or replace function mobeye.nl_number(n numeric, digits integer default 0, missing text default '–') returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(translate(to_char(n, 'FM999,999,999,990' || case when digits > 0 then '.' || repeat('0', digits) else '' end), ',.', '.,'), missing)
$$;
comment on function mobeye.nl_number(numeric, integer, text) is 'A number as it is written in Dutch.';

create or replace function mobeye.nl_date(day date) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select extract(day from day) || ' ' || (array['januari', 'februari', 'maart', 'april', 'mei', 'juni', 'juli', 'augustus', 'september',
                                                  'oktober', 'november', 'december'])[extract(month from day)::integer]
           || ' ' || extract(year from day)
$$;
comment on function mobeye.nl_date(date) is 'A day as it is written in Dutch.';

create or replace function mobeye.nl_period(period jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select mobeye.nl_date((period ->> 'from')::date) || ' tot en met ' || mobeye.nl_date((period ->> 'until')::date - 1) $$;
comment on function mobeye.nl_period(jsonb) is 'A period (from, until) in words.';

create or replace function mobeye.nl_count(value jsonb, min_cell integer) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select case when value is null then '–' else mobeye.nl_number((value #>> '{}')::numeric, 0, '<' || min_cell) end $$;
comment on function mobeye.nl_count(jsonb, integer) is 'A count, <5 if it is left out, or – if there is none.';

create or replace function mobeye.nl_change(now jsonb, before jsonb) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when (now #>> '{}') is null or (before #>> '{}') is null then '–'
                when (now #>> '{}')::bigint = (before #>> '{}')::bigint then '0'
                else translate(to_char((now #>> '{}')::bigint - (before #>> '{}')::bigint, 'FMSG999,999,990'), ',-', '.−') end
$$;
comment on function mobeye.nl_change(jsonb, jsonb) is 'The difference of two counts, or – if one is left out.';

create or replace function mobeye.shade(n numeric, most numeric) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select case when n is null then 'qx' when n = 0 then 'q0' else 'q' || least(4, ceil(4 * n / greatest(most, 4))) end $$;
comment on function mobeye.shade(numeric, numeric) is 'The class of a shaded area: q0 none, q1 to q4 up to the most, qx left out.';

create or replace function mobeye.html_hatch(id text, size numeric) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select xmlelement(name defs, xmlelement(name pattern, xmlattributes(id as id, size as width, size as height, 'userSpaceOnUse' as "patternUnits",
                                                                        'rotate(45)' as "patternTransform"),
               xmlelement(name rect, xmlattributes(size as width, size as height, '#f3f5f7' as fill)),
               xmlelement(name rect, xmlattributes(round(size / 4, 1) as width, size as height, '#8796a5' as fill))))
$$;
comment on function mobeye.html_hatch(text, numeric) is 'The pattern of what is left out.';

create or replace function mobeye.html_key(most numeric, min_cell integer) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    with step as (
        select 'q' || q as class,
               mobeye.nl_number(c.least) || case when c.most > c.least then ' – ' || mobeye.nl_number(c.most) else '' end as label, q
          from generate_series(0, 4) as q
         cross join lateral (select case when q > 0 then greatest(floor((q - 1) * greatest(html_key.most, 4) / 4) + 1, min_cell) else 0 end as least,
                                    floor(q * greatest(html_key.most, 4) / 4) as most) c
         where c.most >= c.least -- otherwise for numbers that are left out
        union all
        select 'qx', '<' || min_cell || ' (weggelaten)', 9 where min_cell > 1)
    select xmlelement(name ul, xmlattributes('key' as class),
               xmlagg(xmlelement(name li,
                   xmlelement(name svg, xmlattributes('0 0 28 18' as "viewBox", 'true' as "aria-hidden"),
                       xmlelement(name rect, xmlattributes(s.class || ' a' as class, 1 as x, 1 as y, 26 as width, 16 as height))),
                   s.label) order by s.q))
      from step s
$$;
comment on function mobeye.html_key(numeric, integer) is 'The legend of a map or chart.';

create or replace function mobeye.html_map(report jsonb) returns xml
language sql stable
set search_path = pg_catalog, public, pg_temp
as $$
    with area as (
        select r.i, r.figures ->> 'name' as name, (r.figures ->> 'burglaries')::numeric as n, g.geom
          from jsonb_array_elements(report -> 'areas') with ordinality as r (figures, i)
          join lateral (select st_transform(a.geom, 28992) as geom from mobeye.area a
                         where a.layer = report ->> 'layer' and a.code = r.figures ->> 'code'
                           and a.vintage is not distinct from (select mobeye.vintage_before(report ->> 'layer', (report ->> 'until')::date))) g on true
    ), extent as ( -- drawn at most 800 units wide and 410 high
        select st_xmin(e) - 16 * u as x, -st_ymax(e) - 16 * u as y, st_xmax(e) - st_xmin(e) + 32 * u as width,
               st_ymax(e) - st_ymin(e) + 32 * u as height, u as unit
          from (select e, greatest((st_xmax(e) - st_xmin(e)) / 768, (st_ymax(e) - st_ymin(e)) / 378, 0.02) as u
                  from (select st_extent(geom)::geometry as e from area) x) b
    ), most as (select greatest(coalesce(max(n), 0), 4) as n from area)
    select xmlelement(name figure, xmlattributes('map' as class),
               xmlelement(name svg, xmlattributes(format('%s %s %s %s', round(x), round(y), round(width), round(height)) as "viewBox",
                                                  'm' as class, 'img' as role, 'Kaart van de gebieden, gekleurd naar woninginbraken' as "aria-label"),
                   mobeye.html_hatch('m', round((9 * unit)::numeric)),
                   (select xmlagg(xmlelement(name path, xmlattributes(mobeye.shade(a.n, m.n) || ' a' as class, 'evenodd' as "fill-rule",
                               'stroke-width:' || round(1.6 * unit) as style,
                               st_assvg(st_simplifypreservetopology(a.geom, unit), 0, 0) as d),
                           xmlelement(name title, a.name || ': ' || mobeye.nl_number(a.n, 0, '<' || (report ->> 'min_cell')))) order by a.i)
                      from area a, most m),
                   (select xmlagg(xmlelement(name text, xmlattributes('n' || case mobeye.shade(a.n, m.n) when 'q4' then ' d' else '' end as class, round(st_x(p)) as x, round(-st_y(p)) as y,
                               'font-size:' || round(case when a.many > 31 then 14 else 19 end * unit) || 'px' as style), a.i) order by a.i)
                      from (select i, n, st_pointonsurface(geom) as p, count(*) over () as many from area) a, most m)),
               xmlelement(name div, xmlelement(name p, xmlelement(name b, 'Woninginbraken (voltooid)')),
                   mobeye.html_key((select n from most), (report ->> 'min_cell')::integer),
                   xmlelement(name figcaption, 'De nummers zijn die van de tabel. Grenzen zoals aan het eind van de periode.')))
      from extent
$$;
comment on function mobeye.html_map(jsonb) is 'The map of a report: its areas, shaded by burglaries, with a legend.';

create or replace function mobeye.html_week(report jsonb) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    with hour as (
        select (i - 1)::integer % 24 as x, (i - 1)::integer / 24 as y, (v #>> '{}')::numeric as n
          from jsonb_array_elements(report -> 'total' -> 'hour_of_week') with ordinality as t (v, i)
    ), most as (select greatest(coalesce(max(n), 0), 4) as n from hour), days as (
        select * from unnest(array['maandag', 'dinsdag', 'woensdag', 'donderdag', 'vrijdag', 'zaterdag', 'zondag']) with ordinality as d (name, i))
    select xmlelement(name figure, xmlattributes('map' as class),
               xmlelement(name svg, xmlattributes('0 0 540 148' as "viewBox", 'img' as role, 'c' as class,
                                                  'Alarmen naar dag van de week en uur van de dag' as "aria-label"),
                   (select xmlagg(xmlelement(name text, xmlattributes(0 as x, i * 18 + 10 as y), name) order by i) from days),
                   (select xmlagg(xmlelement(name text, xmlattributes(60 + h * 20 as x, 12 as y), h || 'u') order by h)
                      from generate_series(0, 21, 3) as h),
                   (select xmlagg(xmlelement(name rect, xmlattributes(mobeye.shade(h.n, m.n) as class, 60 + h.x * 20 as x, 18 + h.y * 18 as y,
                               19 as width, 17 as height), xmlelement(name title, d.name || ' ' || h.x || '–' || h.x + 1 || ' uur: '
                               || mobeye.nl_number(h.n, 0, '<' || (report ->> 'min_cell')))) order by h.y, h.x)
                      from hour h join days d on d.i = h.y + 1 cross join most m)),
               xmlelement(name div, xmlelement(name p, xmlelement(name b, 'Alarmen per uur van de week')),
                   mobeye.html_key((select n from most), (report ->> 'min_cell')::integer)))
$$;
comment on function mobeye.html_week(jsonb) is 'The chart of alarms by hour of the week of a report.';
