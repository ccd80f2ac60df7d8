-- Import of reported burglaries, in the same steps as areas (import_areas.sql).

create or replace function mobeye.stage_burglaries() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    create temporary table burglary_import (
        line bigint,
        reference text,
        occurred_from timestamptz,
        occurred_until timestamptz,
        attempt boolean,
        method text,
        address text,
        lon float8,
        lat float8,
        rd_x float8, -- EPSG:28992
        rd_y float8,
        geom public.geometry(point, 4326) -- set by check_burglaries()
    ) on commit drop
$$;
comment on function mobeye.stage_burglaries() is 'Creates the temporary table burglary_import for one transaction.';

-- What the stored burglaries become: the columns that the file has, in which an empty cell is a value; the others stay as they
-- are.
create or replace function mobeye.burglaries_wanted(columns text[])
returns table (line bigint, burglary_id bigint, reference text, held boolean, changes boolean, loses_place boolean,
               occurred_from timestamptz, occurred_until timestamptz, attempt boolean, method text, address text,
               geom public.geometry)
language plpgsql stable
set search_path = pg_catalog, public, pg_temp
as $$
declare
    placed constant boolean := columns && array['lon', 'rd_x'];
begin
    return query
    select i.line, b.burglary_id, b.reference, b.held_for is not null,
           (b.occurred_from, b.occurred_until, b.attempt, b.method, b.address, b.geom)
           is distinct from (w.occurred_from, w.occurred_until, w.attempt, w.method, w.address, w.geom),
           b.geom is not null and w.geom is null, w.*
      from pg_temp.burglary_import i
      join mobeye.burglary b on b.reference = i.reference
     cross join lateral (
           select coalesce(i.occurred_from, b.occurred_from) as occurred_from,
                  case when 'occurred_until' = any (columns) then i.occurred_until else b.occurred_until end as occurred_until,
                  case when 'attempt' = any (columns) then coalesce(i.attempt, false) else b.attempt end as attempt,
                  case when 'method' = any (columns) then i.method else b.method end as method,
                  case when 'address' = any (columns) then i.address else b.address end as address,
                  case when placed then i.geom else b.geom end as geom) w;
end
$$;
comment on function mobeye.burglaries_wanted(text[]) is
    'What the stored burglaries become by burglary_import, if the file has these columns.';

create or replace function mobeye.check_burglaries(bounds float8[], keep interval, columns text[])
returns table (line bigint, warning boolean, "column" text, message text)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform mobeye.lock_imports();
    create index on pg_temp.burglary_import (reference);
    update pg_temp.burglary_import
       set geom = case when lon is not null then st_setsrid(st_makepoint(lon, lat), 4326)
                       else st_transform(st_setsrid(st_makepoint(rd_x, rd_y), 28992), 4326) end
     where lon is not null or rd_x is not null;
    analyze pg_temp.burglary_import;

    return query
    select r.line, false, 'reference'::text, format('duplicate reference "%s", first on line %s (expected each burglary once)', r.reference, r.first)
      from (select i.line, i.reference, first_value(i.line) over (partition by i.reference order by i.line) as first
              from pg_temp.burglary_import i) r
     where r.line <> r.first;
    return query
    select w.line, false, 'reference'::text,
           format('burglary "%s" is under a legal hold and cannot be replaced (mobeye.hold_burglary() ends it)', w.reference)
      from mobeye.burglaries_wanted(columns) w where w.held and w.changes;
    return query
    select w.line, false, 'occurred_until'::text, 'must not be before occurred_from, as the burglary is stored'
      from mobeye.burglaries_wanted(columns) w where w.occurred_until < w.occurred_from;
    return query
    select i.line, false, 'occurred_from'::text, 'is missing (expected the time of the burglary)'
      from pg_temp.burglary_import i
     where i.occurred_from is null
       and not exists (select from mobeye.burglary b where b.reference = i.reference);
    return query
    select i.line, false, v.column_name, format('is %s (expected %s)', v.what, v.expected)
      from pg_temp.burglary_import i
     cross join lateral (values
         ('reference', i.reference !~ '[^[:space:]]' or length(i.reference) > 64 or i.reference ~ '[[:cntrl:]]',
          'empty, too long or has control characters', 'at most 64 characters'),
         ('occurred_from', i.occurred_from > now() + interval '1 day', 'in the future', 'a burglary that was reported'),
         ('method', length(i.method) > 400, 'too long', 'at most 400 characters'),
         ('address', length(i.address) > 400, 'too long', 'at most 400 characters')) as v (column_name, wrong, what, expected)
     where v.wrong;
    return query
    select p.line, false, p.name, p.why
      from (select i.line, case when i.lon is null then 'rd_x' else 'lon' end as name,
                   mobeye.implausible(i.geom, bounds) as why from pg_temp.burglary_import i) p where p.why is not null;
    return query
    select i.line, true, 'occurred_from'::text,
           format('is older than the retention of burglaries (%s days): it will be erased, and then counted in the district report only',
                  round(extract(epoch from keep) / 86400))
      from pg_temp.burglary_import i where i.occurred_from < now() - keep;
    return query
    select i.line, true, 'reference'::text,
           format('"%s" was erased on %s and is imported again', i.reference,
                  (e.at at time zone 'Europe/Amsterdam')::date)
      from pg_temp.burglary_import i join mobeye.burglary_erased e on e.reference = mobeye.erased_reference(i.reference)
     where i.occurred_from >= now() - keep -- otherwise the warning above applies
       and not exists (select from mobeye.burglary b where b.reference = i.reference);
    return query
    with named as (
        select n.*, lower(regexp_replace(n.reference, '[\s\u00a0]', '', 'g')) as plain
          from (select 0::bigint as line, b.reference from mobeye.burglary b
                union all
                select i.line, i.reference from pg_temp.burglary_import i) n)
    select distinct on (n.line) n.line, true, 'reference'::text, format('"%s" is a new burglary (did you mean "%s"?)', n.reference, o.reference)
      from named n join named o on o.plain = n.plain and o.line < n.line and o.reference <> n.reference
     where not exists (select from mobeye.burglary b where b.reference = n.reference)
     order by n.line, o.line;
    return query
    select min(w.line), true, 'lon'::text, 'is empty: the stored place is removed' || case when count(*) > 1 then format(' (%s rows in total)', count(*)) else '' end
      from mobeye.burglaries_wanted(columns) w where w.loses_place
    having count(*) > 0;
    return query
    select min(i.line), true, 'lon'::text, 'has no place, and is not counted in any area' || case when count(*) > 1 then format(' (%s rows in total)', count(*)) else '' end
      from pg_temp.burglary_import i
     where i.geom is null and not exists (select from mobeye.burglary b where b.reference = i.reference)
    having count(*) > 0;
end
$$;
comment on function mobeye.check_burglaries(float8[], interval, text[]) is
    'Checks burglary_import; merge_burglaries() accepts it if there are only warnings.';

create or replace function mobeye.merge_burglaries(columns text[])
returns table (burglaries bigint, added bigint, changed bigint)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
begin
    select count(*) into burglaries from pg_temp.burglary_import;
    update mobeye.burglary b
       set occurred_from = w.occurred_from, occurred_until = w.occurred_until, attempt = w.attempt, method = w.method,
           address = w.address, geom = w.geom
      from mobeye.burglaries_wanted(columns) w
     where b.burglary_id = w.burglary_id and w.changes and b.held_for is null;
    get diagnostics changed = row_count;
    insert into mobeye.burglary (reference, occurred_from, occurred_until, attempt, method, address, geom, counted)
    select i.reference, i.occurred_from, i.occurred_until, coalesce(i.attempt, false), i.method, i.address, i.geom,
           exists (select from mobeye.burglary_erased e where e.reference = mobeye.erased_reference(i.reference))
      from pg_temp.burglary_import i
     where not exists (select from mobeye.burglary b where b.reference = i.reference)
     order by i.line;
    get diagnostics added = row_count;
    return next;
end
$$;
comment on function mobeye.merge_burglaries(text[]) is
    'Applies burglary_import: a known reference is replaced in every column that the file has. Returns the number of '
    'burglaries in the file, and of those added and changed.';
