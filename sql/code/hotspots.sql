-- Hotspots from data: cells of a grid on the origin of RD New with enough events, neighbours joined, as areas to be imported.

-- Named after the buurt, else the wijk, in which most of it happened.
create or replace function mobeye.place_name(rd public.geometry, at timestamptz) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select a.name from mobeye.area a
                      where a.layer in ('buurt', 'wijk') and a.valid @> at
                        and public.st_covers(a.geom, public.st_transform(rd, 4326))
                      order by a.layer, a.vintage desc nulls last, a.code collate "C" limit 1),
                    format('RD %s %s', round(public.st_x(rd)), round(public.st_y(rd))))
$$;
comment on function mobeye.place_name(public.geometry, timestamptz) is
    'The name of the buurt of a point in RD New, else of its wijk, else its coordinates.';

-- A reader who may see only figures gets the grid of 125 m, on which homes are coarse everywhere: another grid laid over it
-- would cut its cells into smaller ones, and the difference to another minimum would show what either leaves out. Alarms show
-- where devices are, so a hotspot with few placements would reveal those.
create or replace function mobeye.hotspot_areas(of_what text, from_day date, until_day date, cell integer, min_count integer,
                                                min_placements integer, ranked boolean)
returns table (geom public.geometry, centre public.geometry, cells bigint, n bigint, attempts bigint)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with counted as (
        select e.x / (cell * 100) as cx, e.y / (cell * 100) as cy, count(*) as n, count(*) filter (where e.attempt) as attempts,
               array_agg(distinct e.placement_id) filter (where e.placement_id is not null) as placements
          from mobeye.report_events(of_what, from_day, until_day) e
         where e.x is not null and not e.secret
         group by 1, 2 having count(*) >= min_count
    ), square as (
        select c.*, public.st_makeenvelope(c.cx * cell, c.cy * cell, (c.cx + 1) * cell, (c.cy + 1) * cell, 28992) as geom
          from counted c
    ), joined as (
        select s.*, public.st_clusterdbscan(s.geom, 0, 1) over (order by s.cx, s.cy rows between unbounded preceding and unbounded following) as hotspot
          from square s
    )
    select public.st_union(j.geom order by j.cx, j.cy), public.st_centroid((array_agg(j.geom order by case when ranked then j.n end desc, j.cx, j.cy))[1]), count(*),
           sum(j.n)::bigint, sum(j.attempts)::bigint
      from joined j
     group by j.hotspot
    having min_placements = 0
        or (select count(distinct p) from joined k, unnest(k.placements) as p where k.hotspot = j.hotspot) >= min_placements
$$;
comment on function mobeye.hotspot_areas(text, date, date, integer, integer, integer, boolean) is
    'Cells with at least min_count events, those that touch joined: the area in RD New, the centre of its first cell (ranked: by '
    'count), and what it holds. Events at secret placements are left out, and hotspots with fewer than min_placements behind them.';

create or replace function patrol.hotspots(from_day date, until_day date, of_what text default 'burglaries', cell integer default 125,
                                           min_count integer default 3)
returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    restricted constant boolean := not (mobeye.current_viewer()).is_owner;
    -- Numbers of overlapping periods could be subtracted, and those of alarms show where devices are.
    numbers boolean;
    features jsonb;
begin
    perform mobeye.check_report_period(from_day, until_day, restricted);
    if cell is null or cell not between 25 and 5000 then
        raise exception 'cell: % (expected 25 to 5000 metres)', coalesce(cell::text, 'null') using errcode = 'invalid_parameter_value';
    elsif min_count is null or min_count < 1 then
        raise exception 'min: % (expected at least 1)', coalesce(min_count::text, 'null') using errcode = 'invalid_parameter_value';
    elsif restricted and (cell <> 125 or min_count <> 3) then -- two reports that differ in these show what one leaves out
        raise exception 'hotspots: cells of % m with at least % may show single homes', cell, min_count
            using errcode = 'insufficient_privilege', hint = 'Members of mobeye_analyst may use cells of 125 m, with at least 3.';
    end if;
    numbers := not restricted or of_what = 'burglaries' and (select count(*) = 1 and bool_and(p.whole)
                                                               from mobeye.report_parts(from_day, until_day) p);
    with area as (
        select h.*, mobeye.place_name(h.centre, until_day::timestamp at time zone 'Europe/Amsterdam' - interval '1 day') as name
          from mobeye.hotspot_areas(of_what, from_day, until_day, cell, min_count, case when restricted and of_what = 'alarms' then 5 else 0 end, not restricted) h
    ), named as (
        select a.*, s.shown, row_number() over w as place, count(*) over (partition by a.name) as same
          from area a cross join lateral (select case when not restricted or numbers and a.n >= 5 then a.n end as shown) s
        window w as (partition by a.name order by s.shown desc nulls last, public.st_x(a.centre), public.st_y(a.centre))
    )
    select jsonb_agg(jsonb_build_object(
               'type', 'Feature',
               'properties', jsonb_build_object(
                   'code', format('%s-%s-%s', cell, floor(public.st_x(n.centre) / cell), floor(public.st_y(n.centre) / cell)),
                   'name', n.name || case when n.same > 1 then ' ' || n.place else '' end, 'cells', n.cells,
                   of_what, n.shown)
                   || case when of_what <> 'burglaries' then '{}' when restricted then '{"attempts_included": true}'
                           else jsonb_build_object('attempts', n.attempts) end,
               'geometry', public.st_asgeojson(public.st_forcepolygonccw(public.st_transform(n.geom, 4326)), 9, 0)::jsonb)
               order by n.shown desc nulls last, public.st_x(n.centre), public.st_y(n.centre))
      into features from named n;
    return jsonb_build_object('type', 'FeatureCollection', 'features', coalesce(features, '[]'));
end
$$;
comment on function patrol.hotspots(date, date, text, integer, integer) is
    'Proposed hotspots as GeoJSON, to be imported as areas: cells of RD New (metres) with at least min_count burglaries (attempts '
    'included) or alarms (secret placements left out), neighbours joined. For mobeye_analyst whole months and cells of 125 m '
    'with at least 3; counts are null except for burglaries of one half-year, 5 or more, and alarms of fewer than 5 placements are left out.';
