-- Versions of the registry and of the areas: how daemons notice that something changed, and how they read it.

create or replace function mobeye.assign_versions() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    counter_name text;
    assigned bigint;
begin
    -- In a fixed order: two transactions never wait for each other's counters.
    for counter_name in select d.name from mobeye.pending_version d where d.xid = pg_current_xact_id() order by d.name loop
        delete from mobeye.pending_version d where d.name = counter_name and d.xid = pg_current_xact_id();
        update mobeye.counter c set value = c.value + 1 where c.name = counter_name returning c.value into strict assigned;
        if counter_name = 'registry' then
            -- The time too: hide_late() looks for what was committed recently, however long that took.
            update mobeye.registry_log set version = assigned, at = clock_timestamp()
             where version is null and xid = pg_current_xact_id();
        end if;
        perform pg_notify('mobeye_' || counter_name, assigned::text), pg_notify('qgis', 'mobeye_' || counter_name);
    end loop;
    return null;
end
$$;
comment on function mobeye.assign_versions() is
    'At the commit: assigns the transaction its versions and notifies the listeners of mobeye_registry and mobeye_areas, '
    'and QGIS, whose channel is qgis.';

drop trigger if exists version_at_commit on mobeye.pending_version;

create constraint trigger version_at_commit after insert on mobeye.pending_version
    deferrable initially deferred for each row execute function mobeye.assign_versions();

-- For each statement, not for each row: an import of 100,000 devices is one insert here.
create or replace function mobeye.log_registry() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    changed bigint;
begin
    if tg_op = 'INSERT' then
        insert into mobeye.registry_log (device_id) select distinct n.device_id from new_rows n;
    elsif tg_op = 'DELETE' then
        insert into mobeye.registry_log (device_id) select distinct o.device_id from old_rows o;
    elsif tg_op = 'TRUNCATE' then
        execute format('insert into mobeye.registry_log (device_id) select distinct device_id from mobeye.%I', tg_table_name);
    else
        insert into mobeye.registry_log (device_id)
        select c.device_id from (select * from old_rows except select * from new_rows) c
        union
        select c.device_id from (select * from new_rows except select * from old_rows) c;
    end if;
    get diagnostics changed = row_count;
    if changed > 0 then
        insert into mobeye.pending_version values ('registry') on conflict do nothing;
    end if;
    return null;
end
$$;
comment on function mobeye.log_registry() is 'Records which devices a statement changed, if any.';

create or replace function mobeye.lock_areas() returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select from mobeye.mutex where name = 'areas' for update $$;
comment on function mobeye.lock_areas() is 'Waits until no other session changes vintages of areas, and locks others out until the transaction ends.';

create or replace function mobeye.lock_imports() returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select from mobeye.mutex where name = 'imports' for update $$;
comment on function mobeye.lock_imports() is
    'Waits until no other session checks and stores a file of devices, burglaries or measures, and locks others out until the transaction ends.';

-- Two sessions that change the vintages of a layer take turns, or neither would see the other's.
create or replace function mobeye.update_validity(layers text[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_areas();
    update mobeye.area a
       set valid = v.valid
      from (select layer, vintage,
                   case when vintage is null then '(,)'
                        else tstzrange(mobeye.vintage_start(vintage),
                                       mobeye.vintage_start(lead(vintage) over (partition by layer order by vintage)))
                   end as valid
              from (select distinct b.layer, b.vintage from mobeye.area b where b.layer = any (layers)) b) v
     where a.layer = v.layer and a.vintage is not distinct from v.vintage and a.valid <> v.valid;
end
$$;
comment on function mobeye.update_validity(text[]) is 'Sets the periods of validity of the vintages of layers.';

create or replace function mobeye.vintage_start(vintage integer) returns timestamptz
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$ select make_timestamptz(vintage, 1, 1, 0, 0, 0, 'Europe/Amsterdam') $$;
comment on function mobeye.vintage_start(integer) is 'The start of the validity of a vintage.';

create or replace function mobeye.log_areas() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    changed boolean := true;
    layers text[] := '{}'; -- whose vintages may have changed
begin
    if tg_op = 'INSERT' then
        layers := array(select distinct n.layer from new_rows n);
        changed := layers <> '{}';
    elsif tg_op = 'DELETE' then
        layers := array(select distinct o.layer from old_rows o);
        changed := layers <> '{}';
    elsif tg_op = 'UPDATE' then
        changed := exists (select * from old_rows except select * from new_rows);
        layers := array(
            select c.layer from (select o.area_id, o.layer, o.vintage, o.valid from old_rows o
                                 except select n.area_id, n.layer, n.vintage, n.valid from new_rows n) c
            union
            select c.layer from (select n.area_id, n.layer, n.vintage, n.valid from new_rows n
                                 except select o.area_id, o.layer, o.vintage, o.valid from old_rows o) c);
    end if;
    if changed then
        insert into mobeye.pending_version values ('areas') on conflict do nothing;
    end if;
    if layers <> '{}' then
        perform mobeye.update_validity(layers);
    end if;
    return null;
end
$$;
comment on function mobeye.log_areas() is 'Records that a statement changed areas, and updates the validity of their vintages.';

do $$
declare
    noted record;
begin
    for noted in
        select t.name, t.noter from (values
            ('device', 'log_registry'), ('device_address', 'log_registry'), ('device_input', 'log_registry'),
            ('placement', 'log_registry'), ('area', 'log_areas')) as t(name, noter)
    loop
        execute format('create or replace trigger log_insert after insert on mobeye.%I '
                       'referencing new table as new_rows for each statement execute function mobeye.%I()',
                       noted.name, noted.noter);
        execute format('create or replace trigger log_update after update on mobeye.%I '
                       'referencing old table as old_rows new table as new_rows '
                       'for each statement execute function mobeye.%I()', noted.name, noted.noter);
        execute format('create or replace trigger log_delete after delete on mobeye.%I '
                       'referencing old table as old_rows for each statement execute function mobeye.%I()',
                       noted.name, noted.noter);
        execute format('create or replace trigger log_truncate before truncate on mobeye.%I '
                       'for each statement execute function mobeye.%I()', noted.name, noted.noter);
    end loop;
end
$$;

-- The changes since a version, or everything: if the version is 0, later than that of the database (which was restored),
-- or older than the log. Stable, so that it reads one snapshot. The first row is a head: name is 'everything' or
-- 'changes'. The rows of one device follow each other, its placements by time. "what" is 'device' (name: its group),
-- 'gone', 'address' (name: account; also one that it had), 'placement' (name: team; input: 1 if it is secret), 'forget' (the last fixes of that
-- period) or, when everything is returned, 'fix'.
create or replace function mobeye.registry_since(known bigint)
returns table (version bigint, device_id text, what text, name text, input integer, id bigint,
    since timestamptz, until timestamptz, lon float8, lat float8, accuracy_m real)
language plpgsql stable security definer set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    newest bigint := (select c.value from mobeye.counter c where c.name = 'registry');
    everything boolean := known <= 0 or known > newest
        or known < newest and known + 1 < coalesce((select min(l.version) from mobeye.registry_log l), newest + 1);
    changed text[];
begin
    if not everything then
        changed := array(select distinct l.device_id from mobeye.registry_log l where l.version > known);
    end if;
    return query select newest, null::text, 'head', case when everything then 'everything' else 'changes' end,
        null::integer, null::bigint, null::timestamptz, null::timestamptz, null::float8, null::float8, null::real;
    return query select newest, x.* from (
        select d.device_id, 'device', d.device_group, null::integer, null::bigint, null::timestamptz as since,
            null::timestamptz, null::float8, null::float8, null::real
            from mobeye.device d where everything or d.device_id = any (changed)
        union all
        select c.device_id, 'gone', null, null, null, null, null, null, null, null
            from unnest(changed) c (device_id)
            where not exists (select from mobeye.device d where d.device_id = c.device_id)
        union all
        select a.device_id, 'address', a.account, a.input, null, a.since, null, null, null, null
            from mobeye.device_address a where everything or a.device_id = any (changed)
        union all -- an alert may be a month late, and wait in a journal for another
        select e.device_id, 'address', e.account, e.input, null, e.since, e.until, null, null, null
            from mobeye.earlier_address e
            where (everything or e.device_id = any (changed)) and e.until > now() - interval '62 days'
        union all
        select p.device_id, 'placement', p.team, p.secret::integer, p.placement_id, lower(p.during), upper(p.during),
            st_x(p.geom), st_y(p.geom), null
            from mobeye.placement p where everything or p.device_id = any (changed)
        union all
        select l.device_id, 'forget', null, null, null, lower(l.forget), upper(l.forget), null, null, null
            from mobeye.registry_log l where l.forget is not null and (everything or l.version > known)
        union all
        select s.device_id, 'fix', null, null, null, s.fix_at, null, st_x(s.fix), st_y(s.fix), s.fix_accuracy_m
            from mobeye.device_status s where everything and s.fix is not null and s.fix_at > now() - interval '1 day'
        ) x order by x.device_id collate "C", x.since;
end
$$;
comment on function mobeye.registry_since(bigint) is
    'For the daemon: the devices, addresses (also earlier ones) and placements that changed since a version; 0: all, with last fixes.';

-- If there are no areas, one row with the version and nulls.
create or replace function mobeye.areas_now()
returns table (version bigint, layer text, code text, vintage integer, since timestamptz, until timestamptz, polygon bytea)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
begin atomic
    select c.value, a.layer, a.code, a.vintage, lower(a.valid), upper(a.valid), st_asbinary(a.geom, 'NDR')
        from mobeye.counter c left join mobeye.area a on not isempty(a.valid)
        where c.name = 'areas';
end;
comment on function mobeye.areas_now() is 'For the daemon: all areas as WKB, each row with the version of the areas.';
