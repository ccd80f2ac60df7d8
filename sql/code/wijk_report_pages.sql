-- The tables and texts of the district safety report in HTML, and the report as rows for CSV.

create or replace function mobeye.html_cell(text text, class text default null) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select xmlelement(name td, xmlattributes(nullif(concat_ws(' ', class, case when text ~ '^[<–]' then 'x' end), '') as class), text)
$$;
comment on function mobeye.html_cell(text, text) is 'A cell of a table; one without a number is paler.';

create or replace function mobeye.html_head(names text[]) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select xmlelement(name thead, xmlelement(name tr,
               xmlagg(xmlelement(name th, xmlattributes('col' as scope, case when starts_with(n, '|') then 'g'
                                                                             when i <= 2 and names[1] = 'Nr' or i = 1 then 't' end as class),
                                 ltrim(n, '|')) order by i)))
      from unnest(names) with ordinality as t (n, i)
$$;
comment on function mobeye.html_head(text[]) is 'The head of a table; a name that begins with | begins a group of columns.';

-- The areas of a report, then what is in none of them, then all.
create or replace function mobeye.html_rows(report jsonb) returns table (i bigint, name text, figures jsonb, sum boolean)
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select r.i, coalesce(r.figures ->> 'name', r.figures ->> 'code'), r.figures, false
      from jsonb_array_elements(report -> 'areas') with ordinality as r (figures, i)
    union all
    select 100000, 'Elders of onbekend', report -> 'elsewhere', false where report -> 'elsewhere' <> 'null'
    union all
    select 100001, 'Totaal', report -> 'total', true
$$;
comment on function mobeye.html_rows(jsonb) is 'The rows of the tables of a report.';

create or replace function mobeye.html_row(i bigint, name text, sum boolean, cells xml) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select xmlelement(name tr, xmlattributes(case when sum then 'sum' end as class),
               xmlelement(name td, xmlattributes('t' as class), case when i < 100000 then i::text else chr(160) end),
               xmlelement(name th, xmlattributes('row' as scope), name), cells)
$$;
comment on function mobeye.html_row(bigint, text, boolean, xml) is 'A row of a table of areas.';

create or replace function mobeye.html_table(caption text, head text[], body xml, class text default null) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select xmlelement(name table, xmlattributes(class as class), xmlelement(name caption, caption), mobeye.html_head(head),
                      xmlelement(name tbody, body))
$$;
comment on function mobeye.html_table(text, text[], xml, text) is 'A table with its caption, head (see html_head) and rows.';

create or replace function mobeye.html_periods(figures jsonb, figure text, min_cell integer) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select xmlconcat(mobeye.html_cell(mobeye.nl_count(figures -> figure, min_cell), 'g'),
                     mobeye.html_cell(mobeye.nl_count(figures #> array['previous', figure], min_cell)),
                     mobeye.html_cell(mobeye.nl_count(figures #> array['year_before', figure], min_cell)))
$$;
comment on function mobeye.html_periods(jsonb, text, integer) is 'The cells of a count in the period, in that before and a year earlier.';

create or replace function mobeye.html_burglaries(report jsonb) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.html_table('Woninginbraken en pogingen per gebied',
               array['Nr', 'Gebied', '|Inbraken', 'vorige periode', 'jaar eerder', 'verschil met jaar eerder', 'per 1.000 woningen',
                     '|Pogingen', 'vorige periode', 'jaar eerder', 'per 1.000 woningen'],
               xmlagg(mobeye.html_row(r.i, r.name, r.sum, xmlconcat(
                   mobeye.html_periods(f, 'burglaries', m),
                   mobeye.html_cell(mobeye.nl_change(f -> 'burglaries', f #> '{year_before,burglaries}')),
                   mobeye.html_cell(mobeye.nl_number((f ->> 'burglaries_per_1000_homes')::numeric, 1)),
                   mobeye.html_periods(f, 'attempts', m),
                   mobeye.html_cell(mobeye.nl_number((f ->> 'attempts_per_1000_homes')::numeric, 1)))) order by r.i))
      from (select i, name, sum, figures as f, (report ->> 'min_cell')::integer as m from mobeye.html_rows(report)) r
$$;
comment on function mobeye.html_burglaries(jsonb) is 'The table of burglaries of a report.';

create or replace function mobeye.html_alarms(report jsonb) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.html_table('Alarmen en nachten dat er sets stonden, per gebied',
               array['Nr', 'Gebied', '|Nachten dat sets stonden', 'vorige periode', 'jaar eerder', '|Alarmen', 'vorige periode', 'jaar eerder',
                     'per 100 nachten'],
               xmlagg(mobeye.html_row(r.i, r.name, r.sum, xmlconcat(
                   mobeye.html_periods(f, 'set_nights', m), mobeye.html_periods(f, 'alarms', m),
                   mobeye.html_cell(mobeye.nl_number((f ->> 'alarms_per_100_nights')::numeric, 1)))) order by r.i))
      from (select i, name, sum, figures as f, (report ->> 'min_cell')::integer as m from mobeye.html_rows(report)) r
$$;
comment on function mobeye.html_alarms(jsonb) is 'The table of alarms and nights of a report.';

create or replace function mobeye.html_response(report jsonb) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.html_table('Opvolging van de alarmen, per gebied (tijden in minuten)',
               array['Nr', 'Gebied', '|Geverifieerd', 'waarvan loos', '|Opgepakt: mediaan', '90%', '|Ter plaatse: mediaan', '90%'],
               xmlagg(mobeye.html_row(r.i, r.name, r.sum, xmlconcat(
                   mobeye.html_cell(mobeye.nl_count(f -> 'verified', m), 'g'),
                   mobeye.html_cell(mobeye.nl_number(100 * (f ->> 'false_alarm_share')::numeric, 0) || case when f ->> 'false_alarm_share' is not null then '%' else '' end),
                   mobeye.html_cell(mobeye.nl_number((f ->> 'ack_minutes_median')::numeric, 1), 'g'),
                   mobeye.html_cell(mobeye.nl_number((f ->> 'ack_minutes_p90')::numeric, 1)),
                   mobeye.html_cell(mobeye.nl_number((f ->> 'on_scene_minutes_median')::numeric, 1), 'g'),
                   mobeye.html_cell(mobeye.nl_number((f ->> 'on_scene_minutes_p90')::numeric, 1)))) order by r.i))
      from (select i, name, sum, figures as f, (report ->> 'min_cell')::integer as m from mobeye.html_rows(report)) r
$$;
comment on function mobeye.html_response(jsonb) is 'The table of a report on what was done about alarms.';

create or replace function mobeye.nl_word(word text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce('{"intrusion": "inbraak", "motion": "beweging", "panic": "paniek", "holdup": "overval", "tamper": "sabotage", "fire": "brand",
        "heat": "hitte", "cold": "kou", "water": "water", "camera": "camera", "power": "stroom", "battery": "batterij", "comms": "verbinding",
        "keepalive": "teken van leven", "arm": "in- of uitgeschakeld", "bypass": "overbrugd", "unknown": "onbekend", "confirmed": "bevestigd",
        "false_alarm": "loos alarm", "technical": "technisch", "no_trace": "niets aangetroffen", "unattended": "niet opgepakt",
        "restored": "vanzelf hersteld", "open": "nog open", "letter": "brieven", "tent": "buurttent", "patrol": "extra surveillance",
        "other": "overig"}'::jsonb ->> word, word)
$$;
comment on function mobeye.nl_word(text) is 'A kind, an outcome or a measure in Dutch.';

create or replace function mobeye.html_words(report jsonb, figure text, caption text, head text) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    with total as (
        select report -> 'total' as t, (report ->> 'min_cell')::integer as m
    ), word as (
        select k.w, bool_or(k.n <> 'null') as shown
          from total
         cross join lateral unnest(array[t -> figure, t #> array['previous', figure], t #> array['year_before', figure]]) as period (f)
         cross join lateral jsonb_each(coalesce(period.f, '{}')) as k (w, n)
         group by k.w)
    select mobeye.html_table(caption, array[head, '|deze periode', 'vorige periode', 'jaar eerder'],
               case when bool_or(w.shown) then
                   xmlagg(xmlelement(name tr, xmlelement(name th, xmlattributes('row' as scope), mobeye.nl_word(w.w)),
                       mobeye.html_cell(case when t -> figure ? w.w then mobeye.nl_count(t -> figure -> w.w, m) else '0' end, 'g'),
                       mobeye.html_cell(case when t #> array['previous', figure] ? w.w then mobeye.nl_count(t #> array['previous', figure, w.w], m) else '0' end),
                       mobeye.html_cell(case when t #> array['year_before', figure] ? w.w then mobeye.nl_count(t #> array['year_before', figure, w.w], m)
                                             when t -> 'year_before' = 'null' then '–' else '0' end)) order by mobeye.nl_word(w.w))
               else xmlelement(name tr, xmlelement(name td, xmlattributes(4 as colspan, 't' as class),
                        case when count(w.w) = 0 then 'geen' else 'alle weggelaten (<' || min(m) || ')' end)) end, 'w')
      from total left join word w on true
$$;
comment on function mobeye.html_words(jsonb, text, text, text) is 'A table of kinds, outcomes or measures in all areas.';

create or replace function mobeye.html_card(name text, report jsonb, figure text) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select xmlelement(name li, xmlelement(name b, mobeye.nl_count(report -> 'total' -> figure, (report ->> 'min_cell')::integer)),
               xmlelement(name span, name),
               xmlelement(name small, 'jaar eerder ' || mobeye.nl_count(report #> array['total', 'year_before', figure], (report ->> 'min_cell')::integer)))
$$;
comment on function mobeye.html_card(text, jsonb, text) is 'One figure of all areas, large.';

create or replace function mobeye.html_notes(report jsonb) returns xml
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select xmlconcat(
        xmlelement(name h2, 'Hoe deze cijfers te lezen'),
        xmlelement(name p, 'Inbraken zijn voltooide woninginbraken die bij de politie zijn gemeld, naar de dag waarop zij op zijn vroegst gepleegd zijn. '
            || 'Pogingen staan apart en zijn nergens bij de inbraken opgeteld. Oefeningen tellen nergens mee.'),
        xmlelement(name p, 'Een nacht telt voor een gebied als er om 3 uur een set stond; twee sets in één nacht zijn twee nachten. “Waarvan loos” is het aandeel loze '
            || 'alarmen van de alarmen die als bevestigd, loos, technisch of niets aangetroffen zijn afgesloten. De mediaan is de tijd in minuten waarbinnen de helft van de alarmen is opgepakt, of iemand ter plaatse '
            || 'was; 90% die waarbinnen dat bij negen van de tien zo was. Van alarmen die volgens de bewaartermijn gewist zijn, blijven de aantallen meetellen, de tijden niet.'),
        xmlelement(name p, 'Vergeleken wordt met de periode ervoor (' || mobeye.nl_period(report -> 'previous') || ')'
            || case when report -> 'year_before' <> 'null' then ' en met dezelfde periode een jaar eerder (' || mobeye.nl_period(report -> 'year_before') || ')' else '' end
            || '. Een gebied is vergeleken met het gebied dat toen dezelfde code had; bij een nieuwe indeling kunnen de grenzen verschillen.'),
        xmlelement(name h2, 'Wat is weggelaten, en waarom'),
        case when (report ->> 'min_cell')::integer < 2 then xmlelement(name p, 'Niets: dit overzicht bevat ook kleine aantallen. Het is niet bedoeld om te delen.') else xmlconcat(
        xmlelement(name p, format('Waar “<%s” staat, is het aantal weggelaten om te voorkomen dat cijfers naar personen of woningen te herleiden zijn. Dat gebeurt bij aantallen '
            'van 1 tot en met %s, en bij zo veel andere aantallen als nodig is om te voorkomen dat het weggelaten aantal uit totalen, soorten of de andere perioden '
            'terug te rekenen is; zo’n ander aantal kan dus ook hoger zijn. Wat van een weggelaten aantal is afgeleid, staat als “–”.',
            report ->> 'min_cell', (report ->> 'min_cell')::integer - 1)),
        xmlelement(name p, format('Alarmen en nachten zijn ook weggelaten waar minder dan %s plaatsingen van sets achter de cijfers zitten: waar sets staan is geheim.', report ->> 'min_cell'))) end)
$$;
comment on function mobeye.html_notes(jsonb) is 'What a report says about itself: how to read it, and what was left out and why.';

create or replace function mobeye.html_report(report jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select '<!DOCTYPE html>' || chr(10) || xmlserialize(content
        xmlelement(name html, xmlattributes('nl' as lang),
            xmlelement(name head, xmlelement(name meta, xmlattributes('utf-8' as charset)),
                xmlelement(name meta, xmlattributes('Content-Security-Policy' as "http-equiv", 'default-src ''none''; style-src ''unsafe-inline''' as content)),
                xmlelement(name meta, xmlattributes('viewport' as name, 'width=device-width' as content)),
                xmlelement(name title, 'Wijkveiligheidsrapportage ' || mobeye.nl_period(report)),
                xmlelement(name style, mobeye.report_css())),
            xmlelement(name body, xmlattributes(case when jsonb_array_length(report -> 'areas') > 31 then 'many' end as class), xmlelement(name svg, xmlattributes('position:absolute;width:0;height:0' as style, 'true' as "aria-hidden"),
                mobeye.html_hatch('x', 6)), xmlelement(name main,
                xmlelement(name h1, 'Wijkveiligheidsrapportage'),
                xmlelement(name p, xmlattributes('lead' as class), mobeye.nl_period(report)),
                xmlelement(name ul, xmlattributes('cards' as class), mobeye.html_card('woninginbraken', report, 'burglaries'),
                    mobeye.html_card('pogingen', report, 'attempts'), mobeye.html_card('alarmen', report, 'alarms'),
                    mobeye.html_card('nachten dat sets stonden', report, 'set_nights')),
                xmlelement(name h2, 'Woninginbraken'), mobeye.html_map(report), mobeye.html_burglaries(report),
                xmlelement(name h2, 'Alarmen van geplaatste sets'),
                xmlelement(name p, xmlattributes('note' as class), xmlelement(name b, 'Let op: '), 'alarmen van sets die wij plaatsen, laten zien waar sets stonden, '
                    || 'niet waar inbrekers zijn. Veel alarmen in een gebied betekent eerst dat daar veel sets stonden; lees ze daarom naast het aantal nachten.'),
                mobeye.html_alarms(report), mobeye.html_week(report), mobeye.html_response(report),
                xmlelement(name div, xmlattributes('pair' as class),
                    mobeye.html_words(report, 'alarms_by_kind', 'Alarmen naar soort', 'Soort'),
                    mobeye.html_words(report, 'outcomes', 'Alarmen naar uitkomst', 'Uitkomst')),
                xmlelement(name h2, 'Maatregelen'),
                xmlelement(name p, 'Wat tegen woninginbraak is gedaan: aantallen brieven, bezoekers van buurttenten en uren surveillance, zoals opgegeven.'),
                mobeye.html_words(report, 'measures', 'Maatregelen', 'Maatregel'),
                mobeye.html_notes(report)),
            xmlelement(name footer, 'Gemaakt op ' || mobeye.nl_date(mobeye.local_time(now())::date) || ' met mobeyed. Beschrijft wat is gebeurd; voorspelt niets.'))) as text)
$$;
comment on function mobeye.html_report(jsonb) is 'A report as an HTML document.';

create or replace function mobeye.report_of(report jsonb, codes text[]) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when codes is null then report
                else report || jsonb_build_object('areas', (select coalesce(jsonb_agg(a order by i), '[]')
                                                              from jsonb_array_elements(report -> 'areas') with ordinality as t (a, i)
                                                             where a ->> 'code' = any (codes))) end
$$;
comment on function mobeye.report_of(jsonb, text[]) is 'A report with the rows of some areas only; null: of all.';

create or replace function patrol.wijk_report_html(from_day date, until_day date, layer text default 'wijk', min_cell integer default 5,
                                                   codes text[] default null) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.html_report(mobeye.report_of(mobeye.wijk_report(from_day, until_day, layer, min_cell,
                                                                  mobeye.check_report(from_day, until_day, layer, min_cell)), codes))
$$;
comment on function patrol.wijk_report_html(date, date, text, integer, text[]) is
    'patrol.wijk_report() as one HTML file in Dutch, without script and outside requests; codes: the areas that have rows (null: all).';

create or replace function mobeye.figure_at(figures jsonb, path text[]) returns numeric
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when jsonb_typeof(figures -> path[1]) = 'object' and not (figures -> path[1]) ? path[2] then 0
                else (figures #>> path)::numeric end
$$;
comment on function mobeye.figure_at(jsonb, text[]) is
    'A figure of a period by its path: null if it is left out, 0 for a kind or an outcome that did not occur.';

create or replace function patrol.wijk_report_rows(from_day date, until_day date, layer text default 'wijk', min_cell integer default 5,
                                                   codes text[] default null)
returns table (code text, name text, figure text, value numeric, previous numeric, year_before numeric)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    with report as (
        select mobeye.report_of(mobeye.wijk_report(from_day, until_day, layer, min_cell,
                                                   mobeye.check_report(from_day, until_day, layer, min_cell)), codes) as r
    ), shown as (
        select h.i, case when h.i < 100000 then h.figures ->> 'code' when h.sum then '*' end as code, h.name, h.figures as f
          from report cross join lateral mobeye.html_rows(r) h
    ), flat as (
        select shown.i, shown.code, shown.name, k.path, k.position from shown
         cross join lateral (
               select array[e.key] as path, 0 as position from jsonb_each(shown.f) e
                where jsonb_typeof(e.value) in ('number', 'null') and e.key <> all ('{homes,name,code,previous,year_before}')
               union all
               select distinct array[e.key, w], 0
                 from unnest(array[shown.f, shown.f -> 'previous', nullif(shown.f -> 'year_before', 'null')]) as period (f)
                cross join lateral jsonb_each(period.f) e cross join lateral jsonb_object_keys(e.value) w
                where jsonb_typeof(e.value) = 'object' and e.key not in ('previous', 'year_before')
               union all
               select array['hour_of_week', h::text], h from generate_series(0, 167) as h) k)
    select flat.code, flat.name, array_to_string(flat.path, '.'), mobeye.figure_at(shown.f, flat.path),
           mobeye.figure_at(shown.f -> 'previous', flat.path), mobeye.figure_at(shown.f -> 'year_before', flat.path)
      from flat join shown using (i)
     order by flat.i, flat.path[1] = 'hour_of_week', flat.path[1], flat.position, flat.path
$$;
comment on function patrol.wijk_report_rows(date, date, text, integer, text[]) is
    'patrol.wijk_report() as rows: a figure of an area (code *: of all; null: in none of the areas) in the three periods; null: left '
    'out. codes: the areas that have rows (null: all).';

create or replace function patrol.unknown_areas(layer text, codes text[]) returns setof text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select c from unnest(codes) as c
     where not exists (select from mobeye.area a where a.layer = unknown_areas.layer and a.code = c)
$$;
comment on function patrol.unknown_areas(text, text[]) is 'Which of these codes are not areas of a layer.';
