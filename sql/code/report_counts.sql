-- What the district safety report counts: rows of area, figure and number, for one period.

-- Bodies that are parsed where they are defined need no search_path, and so can be inlined: they are called for each alarm.
create or replace function mobeye.local_time(at timestamptz) returns timestamp
language sql immutable parallel safe
return at at time zone 'Europe/Amsterdam';
comment on function mobeye.local_time(timestamptz) is 'The local time by which days, nights and months are counted.';

create or replace function mobeye.day_start(day date) returns timestamptz
language sql immutable parallel safe
return day::timestamp at time zone 'Europe/Amsterdam';
comment on function mobeye.day_start(date) is 'When a local day begins.';

create or replace view mobeye.alarm_counted as
select i.incident_id, i.first_seen, i.geom, i.areas, i.kind, coalesce(i.outcome, 'open') as outcome,
       i.verified_by is not null as verified,
       ((floor(date_part('epoch', mobeye.local_time(i.first_seen)))::bigint / 3600 + 72) % 168)::integer as hour_of_week, -- 1970 began on a Thursday
       date_part('epoch', i.acknowledged_at - greatest(i.created_at, i.reopened_at)) / 60 as ack_minutes, -- extract() would be numeric, and slow
       date_part('epoch', i.on_scene_at - greatest(i.created_at, i.reopened_at)) / 60 as on_scene_minutes
  from mobeye.incident i
 where i.category = 'alarm' and not i.drill and coalesce(i.outcome, '') not in ('drill', 'merged');
comment on view mobeye.alarm_counted is
    'The stored alarms that reports count. Drills, and what was merged into another incident, do not count.';

-- Where a layer was divided again; null stands for every layer. Sets stand for long: a place is looked up once for each division.
create or replace function mobeye.divisions(layer text) returns timestamptz[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(select distinct lower(a.valid) from mobeye.area a
                  where (divisions.layer is null or a.layer = divisions.layer) and not lower_inf(a.valid) order by 1)
$$;
comment on function mobeye.divisions(text) is 'When vintages of a layer (null: of any) begin.';

create or replace function mobeye.alarm_places(layer text, from_at timestamptz, until_at timestamptz, ids bigint[] default null)
returns table (geom public.geometry, division integer, areas text[])
language sql stable
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set enable_sort = off -- places are few beside alarms, which the planner cannot know
as $$
    select p.geom, p.division,
           array(select distinct on (a.layer) a.layer || ':' || a.code from mobeye.area a
                  where (alarm_places.layer is null or a.layer = alarm_places.layer)
                    and public.st_covers(a.geom, p.geom) and a.valid @> p.at
                  order by a.layer, a.vintage desc nulls last, a.code collate "C")
      from (select a.geom, width_bucket(a.first_seen, (select mobeye.divisions(alarm_places.layer))) as division, min(a.first_seen) as at
              from mobeye.alarm_counted a
             where a.first_seen >= from_at and a.first_seen < until_at and a.geom is not null
               and (ids is null or a.incident_id = any (ids))
             group by 1, 2) p
$$;
comment on function mobeye.alarm_places(text, timestamptz, timestamptz, bigint[]) is
    'The places of the alarms of a period, and the areas of a layer (null: of all) in which they lay, as for burglaries. What the alarms '
    'themselves store is of the areas that there were when they came; it counts for those without a place. With ids only those alarms.';

create or replace function mobeye.alarm_figures(layer text, from_at timestamptz, until_at timestamptz, ids bigint[] default null)
returns table (areas text[], month date, figure text, n bigint)
language sql stable
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set enable_nestloop = off -- the planner cannot know how many alarms a period has
set enable_mergejoin = off
set jit = off
as $$
    with place as materialized ( -- a number is compared faster than what it stands for
        select p.geom, p.division, p.areas, dense_rank() over (order by p.areas) as number
          from mobeye.alarm_places(alarm_figures.layer, from_at, until_at, ids) p
    ), grouped as ( -- kinds and hours apart: together nearly every alarm would be a group of its own
        select p.number, case when a.geom is null then a.areas end as areas,
               case when ids is not null then date_trunc('month', mobeye.local_time(a.first_seen))::date end as month,
               a.kind, a.outcome, a.verified, a.hour_of_week, count(*) as n
          from mobeye.alarm_counted a
          left join place p
            on p.geom operator(public.=) a.geom and p.division = width_bucket(a.first_seen, (select mobeye.divisions(alarm_figures.layer)))
         where a.first_seen >= from_at and a.first_seen < until_at and (ids is null or a.incident_id = any (ids))
         group by grouping sets ((1, 2, 3, a.kind, a.outcome, a.verified), (1, 2, 3, a.hour_of_week)))
    select coalesce(g.areas, d.areas), g.month, f.figure, sum(g.n)::bigint
      from grouped g
      left join (select distinct p.number, p.areas from place p) d on d.number = g.number
     cross join lateral (values (case when g.kind is not null then 'alarms' end), ('kind:' || g.kind), ('outcome:' || g.outcome),
                                ('hour:' || g.hour_of_week), (case when g.verified then 'verified' end)) as f (figure)
     where f.figure is not null
     group by 1, 2, 3
$$;
comment on function mobeye.alarm_figures(text, timestamptz, timestamptz, bigint[]) is
    'What the alarms of a period count for, by the areas of a layer (null: of all) in which they lay: alarms, kind:K, outcome:O, hour:H '
    '(of the week, from Monday 0:00) and verified. With ids only those alarms, by month.';

create or replace function mobeye.kept_layers() returns table (layer text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select '' union all select distinct a.layer from mobeye.area a
$$;
comment on function mobeye.kept_layers() is
    'The layers by which mobeye.area_stats counts: those that there are, and none, for what a layer that is imported later lacks.';

create or replace function mobeye.keep_alarm_figures(ids bigint[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    insert into mobeye.area_stats as s (month, layer, code, figure, n)
    select f.month, l.layer, coalesce(mobeye.area_code(f.areas, l.layer), ''), f.figure, sum(f.n)
      from (select min(i.first_seen) as from_at, max(i.first_seen) + interval '1 microsecond' as until_at
              from mobeye.incident i where i.incident_id = any (ids)) p
     cross join lateral mobeye.alarm_figures(null, p.from_at, p.until_at, ids) f
     cross join mobeye.kept_layers() l
     group by 1, 2, 3, 4
    on conflict on constraint area_stats_pkey do update set n = s.n + excluded.n
$$;
comment on function mobeye.keep_alarm_figures(bigint[]) is 'Adds incidents that are about to be erased to mobeye.area_stats.';

-- A night counts where the set stood at 3 o'clock local time, which exists exactly once on every day.
create or replace function mobeye.nights(during tstzrange) returns integer
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select case when isempty(during) then 0
                else (mobeye.local_time(upper(during)) - interval '3 hours' + interval '1 day' - interval '1 microsecond')::date
                   - (mobeye.local_time(lower(during)) - interval '3 hours' + interval '1 day' - interval '1 microsecond')::date end
$$;
comment on function mobeye.nights(tstzrange) is 'How many times it was 3 o''clock at night, local time, in a bounded period.';

create or replace function mobeye.placement_hash(key bytea, device_id text, start timestamptz) returns uuid
language sql stable parallel safe
return encode(substr(sha256(key || convert_to('placement ' || extract(epoch from start) || ' ' || device_id, 'UTF8')), 1, 16), 'hex')::uuid;
comment on function mobeye.placement_hash(bytea, text, timestamptz) is
    'What is kept of an erased placement, by the key of this installation, its device and when it began.';

create or replace function mobeye.placement_erased_on(device_id text, start timestamptz) returns date
language sql stable strict security definer
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.local_time(e.at)::date
      from mobeye.erased_key k
      join mobeye.placement_erased e on e.placement = mobeye.placement_hash(k.key, placement_erased_on.device_id, start)
$$;
comment on function mobeye.placement_erased_on(text, timestamptz) is
    'When the placement of a device from that time was erased: mobeye.area_stats counts it, so that it does not count again.';

-- A layer may be divided again within the period: each part of it has areas of its own.
create or replace function mobeye.placement_figures(layer text, from_at timestamptz, until_at timestamptz)
returns table (code text, figure text, n bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with cut as (
        select from_at as at
        union
        select lower(a.valid) from mobeye.area a
         where a.layer = placement_figures.layer and lower(a.valid) > from_at and lower(a.valid) < until_at
    ), part as (
        select tstzrange(at, lead(at, 1, until_at) over (order by at)) as during from cut
    ), counting as materialized (
        select p.placement_id, p.geom, p.during
          from (select s.*, mobeye.placement_hash(k.key, s.device_id, lower(s.during)) as hash
                  from mobeye.placement s cross join mobeye.erased_key k
                 where s.during && (tstzrange(from_at, until_at) * tstzrange(null, now())) and s.erased is null) p
          left join mobeye.placement_erased e on e.placement = p.hash
         where e.placement is null
    ), stood as (
        select p.placement_id, mobeye.nights(p.during * part.during * tstzrange(null, now())) as nights, -- none to come
               coalesce((select a.code from mobeye.area a
                          where a.layer = placement_figures.layer and public.st_covers(a.geom, p.geom)
                            and a.valid @> lower(part.during)
                          order by a.vintage desc nulls last, a.code collate "C" limit 1), '') as code
          from part join counting p on p.during && (part.during * tstzrange(null, now())))
    select s.code, 'set_nights', sum(s.nights) from stood s group by 1
    union all
    select s.code, 'placements', count(distinct s.placement_id) from stood s group by 1
    union all -- of all areas together a placement counts once
    select '*', 'placements', count(distinct s.placement_id) from stood s
$$;
comment on function mobeye.placement_figures(text, timestamptz, timestamptz) is
    'Where sets stood in a period, by area of a layer (empty: in none of it; *: in all): set_nights, and placements, both without what '
    'area_stats counts.';

-- A placement counts in the month in which it ended only: in no report more often than it stood, at most less often.
create or replace function mobeye.keep_placement_figures(ids bigint[]) returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    with gone as (
        select p.placement_id, p.geom, p.during * tstzrange(null, now()) as during, l.layer
          from mobeye.placement p cross join mobeye.kept_layers() l
         where p.placement_id = any (ids) and lower(p.during) < now() and p.erased is null
           and mobeye.placement_erased_on(p.device_id, lower(p.during)) is null -- else it was counted then
    ), cut as (
        select g.placement_id, g.layer, lower(g.during) as at from gone g
        union
        select g.placement_id, g.layer, mobeye.day_start(m::date)
          from gone g
         cross join lateral generate_series(date_trunc('month', mobeye.local_time(lower(g.during))) + interval '1 month',
                                            mobeye.local_time(upper(g.during)), interval '1 month') as m
         where mobeye.day_start(m::date) < upper(g.during)
        union
        select g.placement_id, g.layer, lower(a.valid)
          from gone g join mobeye.area a on a.layer = g.layer and lower(a.valid) > lower(g.during) and lower(a.valid) < upper(g.during)
    ), part as (
        select g.placement_id, g.layer, g.geom, date_trunc('month', mobeye.local_time(c.at))::date as month,
               tstzrange(c.at, lead(c.at, 1, upper(g.during)) over (partition by g.placement_id, g.layer order by c.at)) as during,
               row_number() over (partition by g.placement_id, g.layer order by c.at desc) = 1 as last
          from gone g join cut c using (placement_id, layer)
    ), stood as (
        select p.month, p.layer, p.last, mobeye.nights(p.during) as nights,
               coalesce((select a.code from mobeye.area a
                          where a.layer = p.layer and public.st_covers(a.geom, p.geom) and a.valid @> lower(p.during)
                          order by a.vintage desc nulls last, a.code collate "C" limit 1), '') as code
          from part p)
    insert into mobeye.area_stats as s (month, layer, code, figure, n)
    select t.month, t.layer, f.code, f.figure, sum(f.n)
      from stood t
     cross join lateral (values (t.code, 'set_nights', t.nights), (t.code, 'placements', t.last::integer),
                                ('*', 'placements', t.last::integer)) as f (code, figure, n)
     group by 1, 2, 3, 4
    having sum(f.n) > 0
    on conflict on constraint area_stats_pkey do update set n = s.n + excluded.n;
    insert into mobeye.placement_erased (placement)
    select mobeye.placement_hash(k.key, p.device_id, lower(p.during))
      from mobeye.placement p cross join mobeye.erased_key k
     where p.placement_id = any (ids) and lower(p.during) < now()
    on conflict (placement) do update set at = excluded.at
$$;
comment on function mobeye.keep_placement_figures(bigint[]) is
    'Adds placements that are about to be erased to mobeye.area_stats: set_nights, and placements in the month of their end. Each once: one '
    'that was erased before and imported again is counted already.';

create or replace function mobeye.measure_figures(layer text, from_at timestamptz, until_at timestamptz)
returns table (code text, figure text, n bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when m.layer = measure_figures.layer then m.code
                else coalesce((select a.code
                                 from (select o.geom from mobeye.area o where o.layer = m.layer and o.code = m.code
                                        order by o.valid @> m.from_at desc, o.vintage desc nulls last limit 1) own
                                 join mobeye.area a on public.st_covers(a.geom, public.st_pointonsurface(own.geom))
                                where a.layer = measure_figures.layer and a.valid @> m.from_at
                                order by a.vintage desc nulls last, a.code collate "C" limit 1), '') end,
           'measure:' || m.kind, sum(coalesce(m.number, 1))
      from mobeye.measure m
     where m.from_at >= measure_figures.from_at and m.from_at < measure_figures.until_at
     group by 1, 2
$$;
comment on function mobeye.measure_figures(text, timestamptz, timestamptz) is
    'Measures of a period, by area of a layer: measure:KIND, the sum of their numbers (one each without a number). A measure in '
    'an area of another layer counts where that area lies.';

create or replace function mobeye.burglary_figures(layer text, from_at timestamptz, until_at timestamptz, counted_too boolean default false)
returns table (code text, figure text, n bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with located as (
        select coalesce(mobeye.area_code(b.areas, burglary_figures.layer), '') as code, b.attempt, b.counted,
               case when b.geom is not null then count(*) over (partition by round(public.st_x(r.rd) * 100)::bigint / 12500,
                                                                             round(public.st_y(r.rd) * 100)::bigint / 12500) end as same_cell
          from mobeye.burglary_located b cross join lateral (select mobeye.rd(b.geom) as rd offset 0) r
         where b.occurred_from >= from_at and b.occurred_from < until_at)
    select l.code, f.figure, count(*)
      from located l
     cross join lateral (values (case when counted_too or not l.counted then case when l.attempt then 'attempts' else 'burglaries' end end),
                                (case when coalesce(l.same_cell, 3) >= 3 then 'seen' end)) as f (figure)
     where f.figure is not null
     group by 1, 2
$$;
comment on function mobeye.burglary_figures(text, timestamptz, timestamptz, boolean) is
    'The stored burglaries of a period, by area of a layer: burglaries and attempts (counted_too: also those that area_stats counts), and seen: both, as far '
    'as they lie in the cells of an analyst''s hotspots, or have no place, which near repeats count.';

-- What was erased before the layer was imported lies in none of its areas that is known.
create or replace function mobeye.erased_figures(layer text, from_day date, until_day date)
returns table (code text, figure text, n bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with kept as materialized (
        select s.layer, s.code, s.figure, s.n from mobeye.area_stats s
         where s.layer in ('', erased_figures.layer) and s.month >= from_day and s.month + interval '1 month' <= until_day)
    select k.code, k.figure, k.n from kept k where k.layer <> ''
    union all
    select missing.code, f.figure, f.n
      from (select k.figure, sum(case when k.layer = '' then k.n else -k.n end)::bigint as n
              from kept k where k.figure <> 'placements' or k.code = '*' group by k.figure) f
     cross join lateral (values (''), (case when f.figure = 'placements' then '*' end)) as missing (code)
     where f.n > 0 and missing.code is not null
$$;
comment on function mobeye.erased_figures(text, date, date) is
    'What mobeye.area_stats counts of whole months, by area of a layer (*: placements in all).';

create or replace function mobeye.report_counts(layer text, from_day date, until_day date)
returns table (code text, figure text, n bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with period as (
        select mobeye.day_start(from_day) as from_at, mobeye.day_start(until_day) as until_at
    ), alarm as materialized (
        select f.areas, f.figure, f.n from period p cross join lateral mobeye.alarm_figures(report_counts.layer, p.from_at, p.until_at) f
    ), counted as (
        select coalesce(c.code, '') as code, f.figure, f.n
          from alarm f
          join (select d.areas, mobeye.area_code(d.areas, report_counts.layer) as code
                  from (select distinct a.areas from alarm a) d) c on c.areas = f.areas
        union all
        select f.code, f.figure, f.n from period p cross join lateral mobeye.burglary_figures(report_counts.layer, p.from_at, p.until_at) f
        union all
        select f.code, f.figure, f.n from period p cross join lateral mobeye.placement_figures(report_counts.layer, p.from_at, p.until_at) f
        union all
        select f.code, f.figure, f.n from period p cross join lateral mobeye.measure_figures(report_counts.layer, p.from_at, p.until_at) f
        union all
        select f.code, f.figure, f.n from mobeye.erased_figures(report_counts.layer, from_day, until_day) f)
    -- Areas that have been removed are no areas of the layer.
    select coalesce(k.code, ''), c.figure, sum(c.n)::bigint
      from counted c
      left join (select distinct a.code from mobeye.area a where a.layer = report_counts.layer union all values ('*')) k
        on k.code = c.code
     group by 1, 2
    union all
    select '*', c.figure, sum(c.n)::bigint from counted c where c.figure <> 'placements' group by c.figure
$$;
comment on function mobeye.report_counts(text, date, date) is
    'Everything that a report counts from one local day until another (excluded), by area of a layer (empty: in none of it; *: '
    'in all), in incidents, burglaries and placements that are stored, and of whole months in those that have been erased.';

create or replace function mobeye.report_minutes(layer text, from_at timestamptz, until_at timestamptz)
returns table (code text, acknowledged bigint, ack_median float8, ack_p90 float8, arrived bigint, on_scene_median float8,
               on_scene_p90 float8)
language sql stable
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set enable_nestloop = off -- the planner cannot know how many alarms a period has
set enable_mergejoin = off
set jit = off
as $$
    with place as materialized (
        select p.geom, p.division, mobeye.area_code(p.areas, report_minutes.layer) as code
          from mobeye.alarm_places(report_minutes.layer, from_at, until_at) p
    ), timed as (
        select coalesce(case when a.geom is not null then p.code
                             else (select x.code from mobeye.area x -- unless it was removed, as report_counts() says
                                    where x.layer = report_minutes.layer and x.code = mobeye.area_code(a.areas, report_minutes.layer) limit 1)
                        end, '') as code,
               a.ack_minutes as ack, a.on_scene_minutes as scene
          from mobeye.alarm_counted a
          left join place p
            on p.geom operator(public.=) a.geom and p.division = width_bucket(a.first_seen, (select mobeye.divisions(report_minutes.layer)))
         where a.first_seen >= from_at and a.first_seen < until_at and coalesce(a.ack_minutes, a.on_scene_minutes) is not null)
    select case when grouping(t.code) = 1 then '*' else t.code end, count(t.ack),
           percentile_cont(0.5) within group (order by t.ack), percentile_cont(0.9) within group (order by t.ack),
           count(t.scene), percentile_cont(0.5) within group (order by t.scene),
           percentile_cont(0.9) within group (order by t.scene)
      from timed t group by grouping sets ((t.code), ())
$$;
comment on function mobeye.report_minutes(text, timestamptz, timestamptz) is
    'Minutes until alarms were acknowledged and until somebody was on scene, by area of a layer, and how many were.';
