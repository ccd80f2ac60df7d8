-- What was done against burglary: recorded one at a time, or imported in the same steps as areas (import_areas.sql).

create or replace function patrol.add_measure(kind text, layer text, code text, from_at timestamptz, until_at timestamptz,
                                              number integer, note text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    id bigint;
    v constant mobeye.viewer := mobeye.officer_viewer();
begin
    if not (v.is_owner or v.is_registrar or v.all_teams or v.team is not null) then
        raise exception 'measure: "%" is not a person of a team', v.login
            using errcode = 'insufficient_privilege', hint = 'mobeyectl people import registers people with their team.';
    elsif kind is null or kind not in ('letter', 'tent', 'patrol', 'other') then
        raise exception 'measure: kind "%" does not exist', kind
            using errcode = 'invalid_parameter_value', hint = 'Expected letter, tent, patrol or other.';
    elsif not exists (select from mobeye.area a where a.layer = add_measure.layer and a.code = add_measure.code) then
        raise exception 'area "%" does not exist in layer "%"', code, layer
            using errcode = 'no_data_found',
                  hint = coalesce('Layers: ' || (select string_agg(distinct a.layer, ', ') from mobeye.area a) || '.',
                                  'No areas have been imported.');
    elsif from_at is null or not isfinite(from_at) or until_at < from_at or not isfinite(until_at) then
        raise exception 'measure: from_at and until_at are not a valid period'
            using errcode = 'invalid_parameter_value', hint = 'Expected from_at, and an until_at not before it, or null.';
    elsif number < 0 then
        raise exception 'measure: number % is negative', number
            using errcode = 'invalid_parameter_value', hint = 'Expected how many letters, visitors or hours; or null.';
    elsif length(trim(note)) > 4000 then -- the table's own message contains the row, and the server logs errors
        raise exception 'measure: the note is too long'
            using errcode = 'invalid_parameter_value', hint = 'Expected at most 4000 characters.';
    end if;
    insert into mobeye.measure (kind, layer, code, from_at, until_at, number, note, actor)
    values (add_measure.kind, add_measure.layer, add_measure.code, add_measure.from_at, add_measure.until_at,
            add_measure.number, nullif(trim(add_measure.note), ''), mobeye.actor())
    returning measure_id into id;
    return id;
exception when unique_violation then
    raise exception 'measure: this measure is already recorded'
        using errcode = 'unique_violation', hint = 'Add a note to distinguish it.';
end
$$;
comment on function patrol.add_measure(text, text, text, timestamptz, timestamptz, integer, text) is
    'Records what was done against burglary in an area: letter, tent, patrol or other; until_at, number and note may be null. '
    'Returns its number.';

create or replace function mobeye.stage_measures() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    create temporary table measure_import (
        line bigint,
        kind text,
        layer text,
        code text,
        from_at timestamptz,
        until_at timestamptz,
        number integer,
        note text
    ) on commit drop
$$;
comment on function mobeye.stage_measures() is 'Creates the temporary table measure_import for one transaction.';

create or replace function mobeye.check_measures()
returns table (line bigint, warning boolean, "column" text, message text)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_imports();
    return query
    select r.line, false, 'kind'::text, format('duplicate measure, first on line %s (expected each once; give a note to tell them apart)', r.first)
      from (select i.line, first_value(i.line) over (partition by i.kind, i.layer, i.code, i.from_at, i.until_at, i.note
                                                     order by i.line) as first
              from pg_temp.measure_import i) r
     where r.line <> r.first;
    return query
    select i.line, false, 'layer'::text, format('layer "%s" does not exist (expected %s)', i.layer,
                  coalesce((select string_agg(distinct a.layer, ', ') from mobeye.area a), 'one that was imported by mobeyectl areas import'))
      from pg_temp.measure_import i
     where not exists (select from mobeye.area a where a.layer = i.layer);
    return query
    select i.line, false, 'code'::text, format('area "%s" does not exist in layer %s', i.code, i.layer)
      from pg_temp.measure_import i
     where exists (select from mobeye.area a where a.layer = i.layer)
       and not exists (select from mobeye.area a where a.layer = i.layer and a.code = i.code);
    return query
    select i.line, false, 'note'::text, 'is too long (expected at most 4000 characters)'
      from pg_temp.measure_import i where length(i.note) > 4000;
end
$$;
comment on function mobeye.check_measures() is 'Checks measure_import; merge_measures() accepts it if there are no errors.';

create or replace function mobeye.merge_measures(columns text[])
returns table (measures bigint, added bigint, changed bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
    select count(*) into measures from pg_temp.measure_import;
    update mobeye.measure m
       set number = i.number
      from pg_temp.measure_import i
     where (m.kind, m.layer, m.code, m.from_at) = (i.kind, i.layer, i.code, i.from_at)
       and m.until_at is not distinct from i.until_at and m.note is not distinct from i.note
       and 'number' = any (columns) and m.number is distinct from i.number;
    get diagnostics changed = row_count;
    insert into mobeye.measure (kind, layer, code, from_at, until_at, number, note)
    select i.kind, i.layer, i.code, i.from_at, i.until_at, i.number, i.note from pg_temp.measure_import i order by i.line
    on conflict do nothing;
    get diagnostics added = row_count;
    return next;
end
$$;
comment on function mobeye.merge_measures(text[]) is
    'Applies measure_import: a measure that differs in number only is changed. Returns the number of measures in the file, and '
    'of those added and changed.';
