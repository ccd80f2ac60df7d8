-- Import of areas, all or nothing: fill the temporary table, check it, and if there are no errors merge it, in one
-- transaction. Rows that are unchanged are not written, so that they create no version.

create or replace function mobeye.stage_areas() returns void
language sql
set search_path = pg_catalog, public, pg_temp
as $$
    create temporary table area_import (
        feature integer, -- number in the file, from 1
        line bigint,
        code text,
        name text,
        homes integer,
        geom geometry(multipolygon, 4326)
    ) on commit drop;
    create temporary table area_removed (code text) on commit drop; -- filled by merge_areas()
$$;
comment on function mobeye.stage_areas() is 'Creates the temporary tables area_import and area_removed for one transaction.';

-- Without bounds, a place is implausible only if it would be in the Netherlands with its coordinates swapped: the sea off
-- Somalia.
create or replace function mobeye.implausible(geom public.geometry, bounds float8[]) returns text
language plpgsql immutable
set search_path = pg_catalog, public, pg_temp
as $$
declare
    box constant geometry := st_makeenvelope(coalesce(bounds[1], 3.2), coalesce(bounds[2], 50.7),
                                             coalesce(bounds[3], 7.3), coalesce(bounds[4], 53.6), 4326);
    swapped constant boolean := st_flipcoordinates(geom) && box;
begin
    if geom is null or st_isempty(geom) or geom && box or (bounds is null and not swapped) then
        return null;
    end if;
    return format('%s %s lies outside %s%s', round(st_xmin(geom)::numeric, 5), round(st_ymin(geom)::numeric, 5),
                  coalesce('bounds (' || array_to_string(bounds, ' ') || ')', 'the Netherlands'),
                  case when swapped then ': did you swap them? (expected longitude first; --anyway accepts it)'
                       else ' (--anyway accepts it)' end);
end
$$;
comment on function mobeye.implausible(public.geometry, float8[]) is
    'Why a place is implausible: it lies outside bounds (west, south, east, north; null: see the source). Null if it is '
    'plausible.';

create or replace function mobeye.whereabouts(geom public.geometry, at timestamptz)
returns table (wijk_code text, wijk_name text, rd_x integer, rd_y integer)
language sql stable security definer
set search_path = pg_catalog, public, pg_temp
as $$
    select w.code, w.name, round(st_x(r.rd))::integer, round(st_y(r.rd))::integer
      from (select mobeye.rd(whereabouts.geom) as rd) r
      left join lateral (select a.code, a.name from mobeye.area a
                          where a.layer = 'wijk' and st_covers(a.geom, whereabouts.geom) and a.valid @> at
                          order by a.vintage desc nulls last, a.code collate "C" limit 1) w on true
$$;
comment on function mobeye.whereabouts(public.geometry, timestamptz) is
    'The wijk and the RD New coordinates of a place, to show to the person who entered it; null if unknown.';

create or replace function mobeye.check_areas(bounds float8[] default null)
returns table (feature integer, line bigint, code text, name text, warning boolean, message text)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    geom geometry;
begin
    return query
    with plain as (
        select i.feature, i.code as given, nullif(regexp_replace(i.code, '^[ \u00a0]+|[ \u00a0]+$', '', 'g'), '') as code
          from pg_temp.area_import i)
    update pg_temp.area_import i
       set code = coalesce(p.code, p.given)
      from plain p
     where p.feature = i.feature and p.given is distinct from p.code
    returning i.feature, i.line, i.code, i.name, p.code is not null,
              case when p.code is null then 'properties.code: is missing (expected a string of 1 to 64 characters)'
                   else format('properties.code: "%s" read as "%s"', p.given, p.code) end;
    create index on pg_temp.area_import (code);
    create index on pg_temp.area_import (feature);
    analyze pg_temp.area_import;
    return query
    select r.feature, r.line, r.code, r.name, r.same,
           case when r.same then format('code: same as in feature %s; imported once', r.first)
                else format('code: duplicate of feature %s, with another name, number of homes or geometry (expected each code once; to '
                            'join parts: ogr2ogr -dialect sqlite -sql "select code, name, %sst_union(geometry) from LAYER group by code")',
                            r.first, case when r.any_homes then 'max(homes) as homes, ' else '' end)
           end
      from (select i.*, first_value(i.feature) over w as first,
                   (i.name, i.homes, i.geom) is not distinct from (first_value(i.name) over w, first_value(i.homes) over w,
                                                                   first_value(i.geom) over w) as same,
                   max(i.homes) over () is not null as any_homes
              from pg_temp.area_import i window w as (partition by i.code order by i.feature)) r
     where r.feature <> r.first;
    delete from pg_temp.area_import i using pg_temp.area_import f where f.code = i.code and f.feature < i.feature;

    for feature, line, code, name, geom in
        select i.feature, i.line, i.code, i.name, i.geom from pg_temp.area_import i where not st_isvalid(i.geom)
    loop
        update pg_temp.area_import i set geom = mobeye.repair_area(i.geom) where i.feature = check_areas.feature
        returning not st_isempty(i.geom) into warning;
        message := format('geometry: is invalid (%s)%s', st_isvalidreason(geom),
                          case when warning then ' and has been repaired' else '; no polygon remains after repair' end);
        return next;
    end loop;

    return query
    select i.feature, i.line, i.code, i.name, false, v.what
      from pg_temp.area_import i
     cross join lateral (values
         (i.code ~ '[[:cntrl:]]', 'properties.code: has control characters (expected a string of 1 to 64 characters)'),
         (length(i.name) > 200 or i.name ~ '[[:cntrl:]]',
          'properties.name: is too long or has control characters (expected at most 200 characters)'),
         (exists (select from st_dump(i.geom) d where st_xmax(d.geom) - st_xmin(d.geom) > 180),
          'geometry: is more than 180 degrees wide (expected an area at the antimeridian in two polygons, as in RFC 7946)')) as v (wrong, what)
     where v.wrong;
    return query
    select p.feature, p.line, p.code, p.name, false, 'geometry: ' || p.why
      from (select i.*, mobeye.implausible(i.geom, bounds) as why from pg_temp.area_import i) p where p.why is not null;
end
$$;
comment on function mobeye.check_areas(float8[]) is 'Checks area_import; merge_areas() accepts it if there are only warnings. Repairs geometries and drops exact duplicates.';

create or replace function mobeye.merge_areas(layer text, vintage integer)
returns table (areas bigint, added bigint, changed bigint, removed bigint)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
begin
    perform mobeye.lock_areas();
    with gone as (
        delete from mobeye.area a
         where a.layer = merge_areas.layer and a.vintage is not distinct from merge_areas.vintage
           and not exists (select from pg_temp.area_import i where i.code = a.code)
        returning a.code)
    insert into pg_temp.area_removed select g.code from gone g;
    get diagnostics removed = row_count;
    update mobeye.area a
       set name = i.name, homes = i.homes, geom = i.geom
      from pg_temp.area_import i
     where a.layer = merge_areas.layer and a.vintage is not distinct from merge_areas.vintage and a.code = i.code
       and (a.name, a.homes, a.geom) is distinct from (i.name, i.homes, i.geom);
    get diagnostics changed = row_count;
    insert into mobeye.area (layer, code, name, vintage, homes, geom)
    select merge_areas.layer, i.code, i.name, merge_areas.vintage, i.homes, i.geom
      from pg_temp.area_import i
     where not exists (select from mobeye.area a
                        where a.layer = merge_areas.layer and a.vintage is not distinct from merge_areas.vintage
                          and a.code = i.code)
     order by i.feature;
    get diagnostics added = row_count;
    select count(*) into areas from mobeye.area a
     where a.layer = merge_areas.layer and a.vintage is not distinct from merge_areas.vintage;
    return next;
end
$$;
comment on function mobeye.merge_areas(text, integer) is
    'Replaces the areas of a layer and vintage (null: always) by those of area_import; returns how many there are, and how '
    'many were added, changed and removed. The codes of those removed are then in area_removed.';
