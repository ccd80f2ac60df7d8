-- Near repeats (the Knox test): whether events close to each other in space are also close in time more often than expected by chance.

-- The generator is L'Ecuyer's (1988), the shuffle the "inside-out" one of Fisher and Yates: only integers below 2^63, so that a
-- seed gives the same permutations on every machine and in every version. sql/README.md describes it.
create or replace function mobeye.shuffles(days integer[], simulations integer, seed bigint, width integer)
returns table (word integer, packed bigint[])
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    lanes constant integer := 63 / width;
    n constant integer := cardinality(days);
    shuffled integer[] := days;
    a bigint := seed;
    b bigint := 1;
    j integer;
begin
    for k in 0..simulations loop
        if k > 0 then
            for i in 1..n loop
                a := a * 40014 % 2147483563;
                b := b * 40692 % 2147483399;
                j := 1 + (a + b) % i;
                shuffled[i] := shuffled[j];
                shuffled[j] := days[i];
            end loop;
        end if;
        if k % lanes = 0 then
            word := k / lanes;
            packed := shuffled;
        else
            for i in 1..n loop
                packed[i] := packed[i] + (shuffled[i]::bigint << (k % lanes * width));
            end loop;
        end if;
        if k % lanes = lanes - 1 or k = simulations then
            return next;
        end if;
    end loop;
end
$$;
comment on function mobeye.shuffles(integer[], integer, bigint, integer) is
    'The days as they are (simulation 0), and as many random permutations of them; the same for the same seed. A word holds '
    '63 / width simulations: of each event a number with their days in lanes of width bits.';

-- Distances are compared exactly, as squares of whole centimetres or as sums of them. Only pairs within the last bound are
-- enumerated, by a grid whose cells are as large as that bound.
create or replace function mobeye.near_pairs(xs bigint[], ys bigint[], bounds_cm bigint[], manhattan boolean, at_most bigint)
returns table (a integer[], b integer[], band integer[])
language sql immutable
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set enable_nestloop = off -- the planner cannot know how long the arrays are
as $$
    with event as materialized (
        select e.i::integer as i, e.x, e.y, e.x / greatest(r.reach, 1) as cx, e.y / greatest(r.reach, 1) as cy
          from unnest(xs, ys) with ordinality as e(x, y, i)
         cross join (select bounds_cm[cardinality(bounds_cm)] as reach) r
    ), pair as (
        select e.i as a, f.i as b,
               case when manhattan then abs(e.x - f.x) + abs(e.y - f.y) else (e.x - f.x) ^ 2 + (e.y - f.y) ^ 2 end as d
          from event e
         cross join generate_series(-1, 1) as dx
         cross join generate_series(-1, 1) as dy
          join event f on f.cx = e.cx + dx and f.cy = e.cy + dy and f.i > e.i
    ), bound as (
        select array_agg(case when manhattan then u.cm else u.cm::float8 ^ 2 end order by u.cm) as bounds from unnest(bounds_cm) as u(cm)
    )
    select coalesce(array_agg(p.a), '{}'), coalesce(array_agg(p.b), '{}'), coalesce(array_agg(p.band), '{}')
      from (select p.a, p.b, width_bucket(p.d, bound.bounds) as band
              from pair p cross join bound where p.d < bound.bounds[cardinality(bounds_cm)] limit at_most) p
$$;
comment on function mobeye.near_pairs(bigint[], bigint[], bigint[], boolean, bigint) is
    'The pairs of places nearer than the last bound, each once: their indexes, and the band (0: below the first bound). At '
    'most at_most of them.';

-- Some simulations at once: the days of two events are subtracted and compared in all lanes of a word by one operation each. In
-- a lane, the highest bit of lift + x is set if x > -bound, for lift = highest bit + bound - 1; x never exceeds it. So where it is
-- set in lift + d and in lift - d, the gap is below the bound. A sum over at most 2^width - 1 pairs stays in its lane.
create or replace function mobeye.pairs_below(event_days integer[], a integer[], b integer[], band integer[], n_bands integer,
                                              bounds integer[], simulations integer, seed bigint)
returns table (simulation integer, distance_band integer, bound integer, n bigint)
language plpgsql stable
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set enable_nestloop = off
set jit = off
as $$
declare
    last_day constant integer := coalesce((select max(d) from unnest(event_days) as d), 0);
    reach constant integer[] := array(select least(u, last_day + 1) from unnest(bounds) with ordinality as u (u, i) order by i);
    width constant integer := (select min(w) from generate_series(10, 31) as w where 1 << (w - 1) > last_day + reach[cardinality(reach)]);
    ones constant bigint := (select sum(1::bigint << (width * lane)) from generate_series(0, 63 / width - 1) as lane);
    highest constant bigint := ones << (width - 1);
    sums constant text := (select string_agg(format('sum((%1$s + g.d) & (%1$s - g.d) & %2$s)', highest + ones * (u - 1), highest),
                                             ', ' order by i)
                             from unnest(reach) with ordinality as u (u, i));
begin
    return query execute format($query$
        with pair as materialized (
            select p.a, p.b, (row_number() over (partition by p.band) / %1$s)::integer * $5 + p.band as part
              from unnest($2, $3, $4) as p (a, b, band)
        ), summed as materialized (
            select s.word, c.part, c.sums
              from mobeye.shuffles($1, $6, $7, %2$s) as s
             cross join lateral (
                   select g.part, array[%3$s] as sums
                     from (select pair.part, s.packed[pair.a] - s.packed[pair.b] as d from pair offset 0) g
                    group by g.part) c
        )
        select s.word * (63 / %2$s) + lane, s.part %% $5, t.i::integer,
               sum(div(t.total, 1::bigint << (%2$s - 1))::bigint >> (lane * %2$s) & %1$s)::bigint
          from summed s
         cross join lateral unnest(s.sums) with ordinality as t (total, i)
         cross join generate_series(0, 63 / %2$s - 1) as lane
         where s.word * (63 / %2$s) + lane <= $6
         group by 1, 2, 3
        $query$, (1 << width) - 1, width, sums) using event_days, a, b, band, n_bands, simulations, seed;
end
$$;
comment on function mobeye.pairs_below(integer[], integer[], integer[], integer[], integer, integer[], integer, bigint) is
    'For each simulation and band of distance: the pairs with fewer days between them than each of the bounds.';

-- Permuting the days does not change the number of pairs in each band of distance and in each band of days. So the last band of
-- each is what remains, and the many pairs in it are never looked at.
create or replace function mobeye.knox_cells(event_days integer[], a integer[], b integer[], band integer[], n_bands integer,
                                             bounds integer[], simulations integer, seed bigint)
returns table (distance_band integer, day_band integer, observed bigint, expected float8, at_least bigint)
language sql stable
set search_path = pg_catalog, pg_temp
set work_mem = '64MB'
set enable_nestloop = off
set jit = off
as $$
    with pairs as materialized (
        select p.band, count(*) as n from unnest(band) as p (band) group by p.band
    ), simulated as materialized (
        select p.simulation, p.distance_band as band, p.bound - 1 as col,
               p.n - lag(p.n, 1, 0::bigint) over (partition by p.simulation, p.distance_band order by p.bound) as n
          from mobeye.pairs_below(event_days, a, b, band, n_bands, bounds, simulations, seed) p
    ), day as materialized (
        select u.day, count(*) as n from unnest(event_days) as u(day) group by u.day
    ), all_pairs as materialized ( -- at any distance, by band of days
        select width_bucket(f.day - e.day, bounds) as col, sum(case when e.day = f.day then e.n * (e.n - 1) / 2 else e.n * f.n end)::bigint as n
          from day e join day f on f.day >= e.day group by 1
    ), finite as (
        select f.simulation, f.band, f.col, sum(f.n)::bigint as n
          from (select s.simulation, s.band, s.col, s.n from simulated s
                union all
                select k, d, c, 0
                  from generate_series(0, simulations) as k
                 cross join generate_series(0, n_bands - 1) as d
                 cross join generate_series(0, cardinality(bounds) - 1) as c) f
         group by f.simulation, f.band, f.col
    ), near as (
        select f.simulation, f.band, f.col, f.n from finite f
        union all
        select f.simulation, f.band, cardinality(bounds), coalesce((select p.n from pairs p where p.band = f.band), 0) - sum(f.n)::bigint
          from finite f group by f.simulation, f.band
    ), everything as (
        select n.simulation, n.band, n.col, n.n from near n
        union all
        select n.simulation, n_bands, n.col, coalesce((select t.n from all_pairs t where t.col = n.col), 0) - sum(n.n)::bigint
          from near n group by n.simulation, n.col
    ), compared as (
        select e.*, first_value(e.n) over (partition by e.band, e.col order by e.simulation) as seen from everything e
    )
    select c.band, c.col, min(c.seen), avg(c.n) filter (where c.simulation > 0)::float8,
           count(*) filter (where c.simulation > 0 and c.n >= c.seen)
      from compared c
     where c.band > 0 and c.col > 0
     group by c.band, c.col
$$;
comment on function mobeye.knox_cells(integer[], integer[], integer[], integer[], integer, integer[], integer, bigint) is
    'For each band of distance and of days: the pairs observed, the mean of the simulations, and how many of them have at least '
    'as many. Bands are numbered from 1.';

-- From pairs in narrow bands, or in bands that differ slightly, the map of all homes could be drawn. Wide bands, with edges
-- that are the same for everybody, only say that some pair in the whole town is near: they reveal no home and no incident.
create or replace function mobeye.check_near_repeat(distances numeric[], days integer[], metric text, simulations integer, seed bigint,
                                                    restricted boolean)
returns void
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    wrong constant text := case
        when distances is null or cardinality(distances) not between 1 and 20 or array_position(distances, null) is not null
             or distances <> array(select distinct round(d, 2) from unnest(distances) as d where d between 0 and 100000 order by 1)
        then 'distances: ' || coalesce(distances::text, 'null') || ' (expected 1 to 20 rising numbers of metres, at most 100000)'
        when days is null or cardinality(days) not between 1 and 20 or array_position(days, null) is not null
             or days <> array(select distinct d from unnest(days) as d where d between 0 and 36500 order by 1)
        then 'days: ' || coalesce(days::text, 'null') || ' (expected 1 to 20 rising numbers of whole days)'
        when metric is null or metric not in ('euclidean', 'manhattan')
        then 'metric: ' || coalesce(metric, 'null') || ' (expected euclidean or manhattan)'
        when simulations is null or simulations not between 1 and 99999
        then 'simulations: ' || coalesce(simulations::text, 'null') || ' (expected 1 to 99999)'
        when seed is null or seed not between 1 and 2147483562
        then 'seed: ' || coalesce(seed::text, 'null') || ' (expected 1 to 2147483562)' end;
begin
    if wrong is not null then
        raise exception '%', wrong using errcode = 'invalid_parameter_value';
    elsif restricted and (exists (select from unnest(distances) as d where d <> 1 and d % 50 <> 0)
                          or exists (select from unnest(days) as d where d % 7 <> 0 and d % 30 <> 0)) then
        raise exception 'near repeats: bands from % m and from % days are too precise', distances, days
            using errcode = 'insufficient_privilege',
                  hint = 'For members of mobeye_analyst bands begin at 0, 1 or a multiple of 50 m, and at a multiple of 7 or of 30 days.';
    end if;
end
$$;
comment on function mobeye.check_near_repeat(numeric[], integer[], text, integer, bigint, boolean) is
    'Refuses arguments of patrol.near_repeat(), for restricted readers also bands that are too precise.';

-- By the parts of report_parts(): otherwise the difference of two periods would show what neither does.
create or replace function mobeye.few_events(of_what text, from_day date, until_day date)
returns table (n boolean, attempts boolean, without_place boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with part as materialized (
        select p.part_from, p.part_until, count(*) filter (where e.x is not null) as n, count(*) filter (where e.x is null) as without_place,
               count(*) filter (where e.x is not null and e.attempt) as attempts, count(distinct e.placement_id) as placements
          from mobeye.report_parts(from_day, until_day) p cross join lateral mobeye.report_events(of_what, p.part_from, p.part_until) e
         group by 1, 2
    ), counted as (
        select p.part_from, l.layer, f.code, f.figure, sum(f.n)::bigint as n
          from part p cross join (select distinct a.layer from mobeye.area a) l
         cross join lateral mobeye.burglary_figures(l.layer, mobeye.day_start(p.part_from), mobeye.day_start(p.part_until), true) b
         cross join lateral (values (b.code, b.figure, b.n), ('*', b.figure, b.n)) as f (code, figure, n)
         where of_what = 'burglaries'
         group by 1, 2, 3, 4
    ), listed as (
        select c.part_from, array_agg(c.code order by c.code <> '*', c.code collate "C") as codes, jsonb_object_agg(c.code, c.figures) as counts
          from (select part_from, layer, code, jsonb_object_agg(figure, n) as figures from counted group by 1, 2, 3) c group by c.part_from, c.layer)
    select coalesce(bool_or(p.n between 1 and 4 or of_what = 'alarms' and p.n > 0 and p.placements < 5
                            or exists (select from listed l cross join lateral mobeye.hide_burglaries(l.codes, l.counts, 5) h
                                        where l.part_from = p.part_from and h.figure = 'events')), false),
           coalesce(bool_or(p.attempts between 1 and 4 or p.n - p.attempts between 1 and 4), false),
           coalesce(bool_or(p.without_place between 1 and 4 or of_what = 'alarms' and p.without_place > 0 and p.placements < 5), false)
      from part p
$$;
comment on function mobeye.few_events(text, date, date) is
    'What an analyst may not know of the events of a period: how many they are (n), how many are attempts, how many have no place.';

create or replace function mobeye.knox_table(cells jsonb) returns jsonb
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    with line as (
        select c.distance_band, jsonb_agg(c.observed order by c.day_band) as observed, jsonb_agg(c.ratio order by c.day_band) as ratio,
               jsonb_agg(c.p order by c.day_band) as p
          from jsonb_to_recordset(cells) as c(distance_band integer, day_band integer, observed bigint, ratio float8, p float8)
         group by c.distance_band
    )
    select jsonb_build_object('observed', jsonb_agg(l.observed order by l.distance_band), 'ratio', jsonb_agg(l.ratio order by l.distance_band),
                              'p', jsonb_agg(l.p order by l.distance_band))
      from line l
$$;
comment on function mobeye.knox_table(jsonb) is 'The cells as rows by band of distance.';

create or replace function patrol.near_repeat(from_day date, until_day date, of_what text default 'burglaries',
                                              distances numeric[] default '{0,1,100,200,300}', days integer[] default '{0,7,14,21}',
                                              metric text default 'euclidean', simulations integer default 999,
                                              seed bigint default 1)
returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    restricted constant boolean := not (mobeye.current_viewer()).is_owner;
    most_steps constant bigint := 1000000000; -- pairs by simulations: some minutes
    event record;
    few record;
    pair record;
    cells jsonb;
begin
    perform mobeye.check_report_period(from_day, until_day, restricted),
            mobeye.check_near_repeat(distances, days, metric, simulations, seed, restricted);
    select coalesce(array_agg(e.day - from_day order by e.day, e.x, e.y) filter (where e.x is not null), '{}') as days,
           array_agg(e.x order by e.day, e.x, e.y) filter (where e.x is not null) as xs,
           array_agg(e.y order by e.day, e.x, e.y) filter (where e.x is not null) as ys,
           count(*) filter (where e.x is null) as without_place, count(*) filter (where e.attempt and e.x is not null) as attempts
      into event from mobeye.report_events(of_what, from_day, until_day) e;
    if restricted then
        select f.* into few from mobeye.few_events(of_what, from_day, until_day) f;
        if few.n then
            raise exception 'near repeats: too few % with a place from % until %', of_what, from_day, until_day
                using errcode = 'insufficient_privilege',
                      hint = 'For members of mobeye_analyst there must be none or at least 5 (alarms: at 5 placements; burglaries: not just '
                             'one in each area) in each half-year, and in each month of a half-year that is only partly in the period.';
        end if;
        event.attempts := case when not few.attempts then event.attempts end;
        event.without_place := case when not few.without_place then event.without_place end;
    end if;
    select p.* into pair
      from mobeye.near_pairs(event.xs, event.ys, array(select (d * 100)::bigint from unnest(distances) as d), metric = 'manhattan',
                             most_steps / (simulations + 1) + 1) p;
    if (simulations + 1) * greatest(cardinality(pair.a)::bigint, cardinality(event.days) * 10::bigint) > most_steps then
        raise exception 'near repeats: % events, with at least % pairs within % m, are too many for % simulations',
                        cardinality(event.days), cardinality(pair.a), distances[cardinality(distances)], simulations
            using errcode = 'program_limit_exceeded',
                  hint = 'Expected a shorter period, a smaller last distance or fewer simulations.';
    end if;
    select jsonb_agg(jsonb_build_object('distance_band', c.distance_band, 'day_band', c.day_band, 'observed', c.observed,
                                        'ratio', c.observed / nullif(c.expected, 0), 'p', (c.at_least + 1)::float8 / (simulations + 1)))
      into cells
      from mobeye.knox_cells(event.days, pair.a, pair.b, pair.band, cardinality(distances), days, simulations, seed) c;
    return jsonb_build_object('of', of_what, 'from', from_day, 'until', until_day, 'n', cardinality(event.days),
                              'attempts', event.attempts, 'without_place', event.without_place, 'distances', distances, 'days', days,
                              'metric', metric, 'simulations', simulations, 'seed', seed) || mobeye.knox_table(cells);
end
$$;
comment on function patrol.near_repeat(date, date, text, numeric[], integer[], text, integer, bigint) is
    'The Knox test: pairs of burglaries (attempts included) or alarms by bands of distance (metres, from RD New) and of local days, '
    'each band half-open and the last without end; how many times the number expected by chance (ratio), and how often chance gives as many (p). '
    'For mobeye_analyst whole months, each half-year with 5 events or more, and bands that begin at 0, 1 or a multiple of 50 m and '
    'at a multiple of 7 or of 30 days; attempts and events without a place are null where there are 1 to 4, or 1 to 4 others.';
