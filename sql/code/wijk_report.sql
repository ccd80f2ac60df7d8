-- The district safety report.

-- One figure after suppression: null if it is left out.
create or replace function mobeye.shown(counts jsonb, hidden jsonb, code text, figure text, groups text) returns bigint
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when not (hidden ? ('**|**') or hidden ? ('**|' || groups) or hidden ? (code || '|' || groups)
                          or hidden ? (code || '|' || figure))
                then coalesce((counts -> code ->> figure)::bigint, 0) end
$$;
comment on function mobeye.shown(jsonb, jsonb, text, text, text) is
    'A figure of an area (*: of all), or null if it or its group is left out.';

create or replace function mobeye.with_none(counts jsonb, hidden jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select hidden || coalesce((
        select jsonb_object_agg('none|' || w.key, true)
          from (select k as key, case split_part(k, ':', 1) when 'kind' then 'kinds' when 'outcome' then 'outcomes' else 'hours' end as groups
                  from jsonb_object_keys(coalesce(counts -> '*', '{}')) as k where k ~ '^(kind|outcome|hour):') w
         where mobeye.shown(counts, hidden, '*', w.key, w.groups)
               = (select coalesce(sum(mobeye.shown(counts, hidden, a, w.key, w.groups)), 0)
                    from jsonb_object_keys(counts) as a where a <> '*')), '{}')
$$;
comment on function mobeye.with_none(jsonb, jsonb) is
    'Adds to what is left out the kinds, outcomes and hours (none|FIGURE) whose whole number is in the areas that show it: what '
    'is left out elsewhere is known to be 0, and so published.';

-- Figures of one sort, such as kind:, for each word that occurs in all areas together. If they are left out even for all areas,
-- for each word that could occur: otherwise, if there are as many words as alarms, each would be known to be one.
create or replace function mobeye.shown_words(counts jsonb, hidden jsonb, code text, prefix text, groups text) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    with word as (
        select k as key
          from jsonb_object_keys(coalesce(counts -> '*', '{}')) as k
         where starts_with(k, prefix) and (counts -> '*' ->> k)::bigint > 0
        union
        select prefix || k
          from unnest(case prefix
                      when 'kind:' then array['unknown', 'intrusion', 'motion', 'panic', 'holdup', 'tamper', 'fire', 'heat', 'cold',
                                              'water', 'camera', 'power', 'battery', 'comms', 'keepalive', 'arm', 'bypass']
                      else array['open', 'confirmed', 'false_alarm', 'technical', 'no_trace', 'unattended', 'restored'] end) as k
         where hidden ?| array['*|' || groups, '**|' || groups, '**|**']
           and mobeye.shown(counts, hidden, '*', 'alarms', 'alarms') is distinct from 0)
    select coalesce(jsonb_object_agg(substr(w.key, length(prefix) + 1),
               coalesce(mobeye.shown(counts, hidden, code, w.key, groups),
                        case when hidden ? ('none|' || w.key) or mobeye.shown(counts, hidden, code, 'alarms', 'alarms') = 0 then 0 end)
           order by w.key), '{}')
      from word w
$$;
comment on function mobeye.shown_words(jsonb, jsonb, text, text, text) is
    'Figures of one sort of an area (*: of all), as {word: number}; null: left out.';

create or replace function mobeye.shown_hours(counts jsonb, hidden jsonb, code text) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_agg(coalesce(mobeye.shown(counts, hidden, code, 'hour:' || h, 'hours'),
                              case when hidden ? ('none|hour:' || h) or a.alarms = 0
                                        or a.all_alarms is not null and not hidden ?| array['*|hours', '**|hours', '**|**']
                                           and not (counts -> '*') ? ('hour:' || h) then 0 end) order by h)
      from generate_series(0, 167) as h,
           (select mobeye.shown(counts, hidden, code, 'alarms', 'alarms') as alarms,
                   mobeye.shown(counts, hidden, '*', 'alarms', 'alarms') as all_alarms) a
$$;
comment on function mobeye.shown_hours(jsonb, jsonb, text) is
    'Alarms by hour of the week, from Monday 0:00, of an area (*: of all); null: left out.';

create or replace function mobeye.per(n bigint, of bigint, many numeric, digits integer) returns numeric
language sql immutable
return round(n * many / nullif(of, 0), digits);
comment on function mobeye.per(bigint, bigint, numeric, integer) is 'n for so many of others; null if either is left out or 0.';

create or replace function mobeye.area_figures(counts jsonb, hidden jsonb, code text, homes bigint, minutes jsonb, min_cell integer)
returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'burglaries', f.burglaries, 'attempts', f.attempts,
        'burglaries_per_1000_homes', mobeye.per(f.burglaries - f.burglaries_elsewhere, homes, 1000, 1),
        'attempts_per_1000_homes', mobeye.per(f.attempts - f.attempts_elsewhere, homes, 1000, 1),
        'alarms', f.alarms, 'alarms_by_kind', mobeye.shown_words(counts, hidden, code, 'kind:', 'kinds'),
        'verified', mobeye.shown(counts, hidden, code, 'verified', 'verified'),
        'outcomes', f.outcomes,
        'false_alarm_share', mobeye.per((f.outcomes ->> 'false_alarm')::bigint, f.judged, 1, 3),
        'ack_minutes_median', case when f.timed and (minutes ->> 'acknowledged')::bigint >= min_cell then minutes -> 'ack_median' end,
        'ack_minutes_p90', case when f.timed and (minutes ->> 'acknowledged')::bigint >= min_cell then minutes -> 'ack_p90' end,
        'on_scene_minutes_median', case when f.timed and (minutes ->> 'arrived')::bigint >= min_cell then minutes -> 'on_scene_median' end,
        'on_scene_minutes_p90', case when f.timed and (minutes ->> 'arrived')::bigint >= min_cell then minutes -> 'on_scene_p90' end,
        'set_nights', f.nights, 'alarms_per_100_nights', mobeye.per(f.alarms, f.nights, 100, 1),
        'measures', (select coalesce(jsonb_object_agg(k, mobeye.shown(counts, hidden, code, 'measure:' || k, 'measure:' || k)), '{}')
                       from unnest(array['letter', 'tent', 'patrol', 'other']) as k),
        'hour_of_week', mobeye.shown_hours(counts, hidden, code))
      from (select mobeye.shown(counts, hidden, code, 'burglaries', 'burglaries') as burglaries,
                   mobeye.shown(counts, hidden, code, 'attempts', 'attempts') as attempts,
                   -- The homes of all areas are those inside them.
                   case when code = '*' then mobeye.shown(counts, hidden, '', 'burglaries', 'burglaries') else 0 end as burglaries_elsewhere,
                   case when code = '*' then mobeye.shown(counts, hidden, '', 'attempts', 'attempts') else 0 end as attempts_elsewhere,
                   a.alarms, a.nights, a.outcomes, a.alarms is not null as timed,
                   (select sum((a.outcomes ->> w)::bigint) from unnest(array['confirmed', 'false_alarm', 'technical', 'no_trace']) as w
                   having bool_and(a.outcomes -> w is distinct from 'null'))::bigint as judged
              from (select mobeye.shown(counts, hidden, code, 'alarms', 'alarms') as alarms,
                           mobeye.shown(counts, hidden, code, 'set_nights', 'set_nights') as nights,
                           mobeye.shown_words(counts, hidden, code, 'outcome:', 'outcomes') as outcomes) a) f
$$;
comment on function mobeye.area_figures(jsonb, jsonb, text, bigint, jsonb, integer) is
    'The figures of an area (*: of all) in one period; null: left out, or not to be computed.';

create or replace function mobeye.period_figures(layer text, from_day date, until_day date, codes text[], homes bigint[],
                                                 min_cell integer, bound boolean)
returns table (code text, figures jsonb, empty boolean)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    minutes constant jsonb := coalesce((select jsonb_object_agg(m.code, jsonb_build_object(
            'acknowledged', m.acknowledged, 'ack_median', round(m.ack_median::numeric, 1), 'ack_p90', round(m.ack_p90::numeric, 1),
            'arrived', m.arrived, 'on_scene_median', round(m.on_scene_median::numeric, 1),
            'on_scene_p90', round(m.on_scene_p90::numeric, 1)))
       from mobeye.report_minutes(layer, mobeye.day_start(from_day), mobeye.day_start(until_day)) m), '{}');
    counts jsonb;
    hidden jsonb;
begin
    select p.counts, p.hidden into counts, hidden from mobeye.report_published(layer, from_day, until_day, min_cell, bound) p;
    hidden := mobeye.with_none(counts, hidden);
    return query
    select a.code, mobeye.area_figures(counts, hidden, a.code, a.homes, minutes -> a.code, min_cell), not counts ? a.code
      from unnest(codes, homes) as a (code, homes);
end
$$;
comment on function mobeye.period_figures(text, date, date, text[], bigint[], integer, boolean) is
    'The figures of areas in one period, and whether there are none; bound: as an analyst may see them.';

create or replace function mobeye.check_report(from_day date, until_day date, layer text, min_cell integer) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    in_force constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
    bound constant boolean := not pg_has_role(in_force, 'mobeye_owner', 'member');
begin
    if from_day is null or until_day is null or not isfinite(from_day) or not isfinite(until_day) or from_day >= until_day
       or from_day < '1990-01-01' or until_day > '2200-01-01' or until_day > from_day + interval '10 years' then
        raise exception 'the period from % until % is not valid', from_day, until_day
            using errcode = 'invalid_parameter_value',
                  hint = 'Expected two days, the second after the first (it is excluded), at most ten years apart.';
    elsif min_cell is null or min_cell not between 0 and 100 then
        raise exception 'min_cell % is out of range', min_cell
            using errcode = 'invalid_parameter_value', hint = 'Expected 0 to 100; for mobeye_analyst 5 to 100.';
    elsif not exists (select from mobeye.area a where a.layer = check_report.layer) then
        raise exception 'layer "%" does not exist', layer
            using errcode = 'no_data_found',
                  hint = coalesce('Layers: ' || (select string_agg(distinct a.layer, ', ') from mobeye.area a) || '.',
                                  'No areas have been imported.');
    elsif bound and min_cell < 5 then
        raise exception 'min_cell % is not allowed for mobeye_analyst', min_cell
            using errcode = 'insufficient_privilege', hint = 'Expected 5 or more.';
    elsif bound and (extract(day from from_day) <> 1 or extract(day from until_day) <> 1) then
        raise exception '% to % are not whole months, which mobeye_analyst requires', from_day, until_day
            using errcode = 'insufficient_privilege', hint = 'Expected the first day of a month, and that of a later one.';
    end if;
    return bound;
end
$$;
comment on function mobeye.check_report(date, date, text, integer) is
    'Refuses arguments of a report that the caller may not use; returns whether the caller is bound to whole months.';

create or replace function mobeye.vintage_before(layer text, day date) returns integer
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select a.vintage from mobeye.area a
     where a.layer = vintage_before.layer and a.valid @> (mobeye.day_start(day) - interval '1 microsecond')
     order by a.vintage desc nulls last limit 1
$$;
comment on function mobeye.vintage_before(text, date) is
    'The newest vintage of a layer that holds just before a day; null: areas without one.';

create or replace function mobeye.report_areas(layer text, from_day date, until_day date)
returns table (code text, name text, homes integer, in_period boolean, at_end boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select distinct on (a.code) a.code, a.name, a.homes,
           a.valid && tstzrange(mobeye.day_start(from_day), mobeye.day_start(until_day)),
           a.vintage is not distinct from (select mobeye.vintage_before(report_areas.layer, until_day))
      from mobeye.area a
     where a.layer = report_areas.layer
     order by a.code, a.valid && tstzrange(mobeye.day_start(from_day), mobeye.day_start(until_day)) desc,
              a.valid >> tstzrange(mobeye.day_start(from_day), mobeye.day_start(until_day)), a.vintage desc nulls last
$$;
comment on function mobeye.report_areas(text, date, date) is
    'The areas of a layer, with the name and homes of the newest vintage of the period, else before it, else after it (a measure may have '
    'been in an area before that was imported); in_period: whether there is one; at_end: '
    'whether it is of the division in which the period ends.';

create or replace function mobeye.wijk_report(from_day date, until_day date, layer text, min_cell integer, bound boolean)
returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    -- For whole months the preceding months, else the preceding days.
    previous_day constant date := case when extract(day from from_day) = 1 and extract(day from until_day) = 1
        then from_day - make_interval(months => (extract(year from age(until_day, from_day)) * 12
                                                 + extract(month from age(until_day, from_day)))::integer)
        else from_day - (until_day - from_day) end;
    short constant boolean := until_day <= from_day + interval '1 year'; -- otherwise the year before would overlap
    -- The day after the same last day; for 29 February that is 28 February.
    year_until constant date := greatest((until_day - interval '1 year')::date, (until_day - 1 - interval '1 year')::date + 1);
    one_year constant boolean := short and previous_day = (from_day - interval '1 year')::date and year_until = from_day; -- one period
    codes text[];
    homes bigint[];
    parts jsonb;
begin
    select array_agg(a.code order by a.code collate "C"), array_agg(a.homes order by a.code collate "C") into codes, homes
      from mobeye.report_areas(layer, from_day, until_day) a;
    homes := homes || null::bigint
             || (select case when bool_and(a.homes is not null) then sum(a.homes) end
                   from mobeye.report_areas(layer, from_day, until_day) a where a.at_end);
    codes := codes || array['', '*'];
    select jsonb_object_agg(t.code, t.figures || jsonb_build_object('previous', p.figures,
                                                                    'year_before', case when one_year then p.figures else y.figures end,
                                                                    'empty', t.empty and p.empty and coalesce(y.empty, true)))
      into parts
      from mobeye.period_figures(layer, from_day, until_day, codes, homes, min_cell, bound) t
      join mobeye.period_figures(layer, previous_day, from_day, codes, homes, min_cell, bound) p using (code)
      left join (select f.code, f.figures, f.empty
                   from mobeye.period_figures(layer, (from_day - interval '1 year')::date, year_until, codes, homes, min_cell, bound) f
                  where short and not one_year) y on y.code = t.code;
    return jsonb_build_object(
        'from', from_day, 'until', until_day, 'layer', layer, 'min_cell', min_cell,
        'previous', jsonb_build_object('from', previous_day, 'until', from_day),
        'year_before', case when short then jsonb_build_object('from', (from_day - interval '1 year')::date,
                                                               'until', year_until) end,
        'areas', (select coalesce(jsonb_agg(jsonb_build_object('code', a.code, 'name', a.name, 'homes', a.homes)
                                            || (parts -> a.code) - 'empty' order by a.code collate "C"), '[]')
                    from mobeye.report_areas(layer, from_day, until_day) a
                   where a.in_period or not (parts -> a.code ->> 'empty')::boolean),
        'elsewhere', case when not (parts -> '' ->> 'empty')::boolean then (parts -> '') - 'empty' end,
        'total', jsonb_build_object('homes', homes[cardinality(homes)]) || (parts -> '*') - 'empty');
end
$$;
comment on function mobeye.wijk_report(date, date, text, integer, boolean) is 'As patrol.wijk_report(), for whom it is.';

create or replace function patrol.wijk_report(from_day date, until_day date, layer text default 'wijk', min_cell integer default 5)
returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return mobeye.wijk_report(from_day, until_day, layer, min_cell, mobeye.check_report(from_day, until_day, layer, min_cell));
end
$$;
comment on function patrol.wijk_report(date, date, text, integer) is
    'The district safety report from one local day until another (excluded), for each area of a layer, what is in none of them '
    '(elsewhere) and in all (total), each with the preceding period and the same period a year earlier. null: left out, since it '
    'is below min_cell (and not 0), or could be used to compute what is. For mobeye_analyst whole months, and min_cell at least 5.';
