-- Corrects or refuses what people write to the registry, and updates what depends on it.

-- A view: a device that was registered after its last report is no longer listed.
create or replace view mobeye.device_unknown as
select s.device_id, s.first_received_at, s.last_received_at, s.kind, s.endpoint, s.source, s.alerts
  from mobeye.device_status s
 where not s.registered
   and not exists (select from mobeye.device d where d.device_id = s.device_id)
   and not exists (select from mobeye.device_address a
                    where s.device_id ~ '^dc09:[0-9A-F]{3,}'
                      and ltrim(a.account, '0') = ltrim(split_part(substr(s.device_id, 6), '/', 1), '0')
                      and (a.input is null or a.input::text = split_part(s.device_id, '/', 2)));
comment on view mobeye.device_unknown is 'Senders that reported and are not registered.';
comment on column mobeye.device_unknown.device_id is 'As it names itself; dc09:ACCOUNT/INPUT for SIA DC-09.';
comment on column mobeye.device_unknown.first_received_at is 'When it first reported.';
comment on column mobeye.device_unknown.last_received_at is 'When it last reported.';
comment on column mobeye.device_unknown.kind is 'Kind of its last alert.';
comment on column mobeye.device_unknown.endpoint is 'The endpoint that received its last alert.';
comment on column mobeye.device_unknown.source is 'The sender of its last alert.';
comment on column mobeye.device_unknown.alerts is 'Number of its alerts that were stored.';

create or replace function mobeye.repair_area(geom public.geometry) returns public.geometry
language sql immutable strict parallel safe
set search_path = pg_catalog, public, pg_temp
as $$ select st_multi(st_collectionextract(case when st_isvalid(geom) then geom else st_makevalid(geom) end, 3)) $$;
comment on function mobeye.repair_area(public.geometry) is
    'The geometry as a valid multipolygon, repaired as by ST_MakeValid if necessary; empty if no polygon remains.';

create or replace function mobeye.check_area() returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    given geometry := new.geom;
begin
    if (st_xmin(given) >= -180 and st_xmax(given) <= 180 and st_ymin(given) >= -90 and st_ymax(given) <= 90) is false then
        raise exception 'area % of layer %: coordinates % % are not degrees',
                        new.code, new.layer, st_xmin(given), st_ymin(given)
            using errcode = 'invalid_parameter_value',
                  hint = 'Expected longitude and latitude in WGS84; to convert RD New: st_transform(st_setsrid(geom, 28992), 4326).';
    end if;
    new.geom := mobeye.repair_area(given);
    if st_isempty(new.geom) then
        raise exception 'area % of layer %: geometry (%) has no polygon', new.code, new.layer, geometrytype(given)
            using errcode = 'invalid_parameter_value', hint = 'Expected a polygon or a multipolygon.';
    end if;
    if not st_isvalid(given) then
        raise warning 'area % of layer %: geometry was invalid (%) and has been repaired',
                      new.code, new.layer, st_isvalidreason(given);
    end if;
    return new;
end
$$;
comment on function mobeye.check_area() is 'Turns the geometry of an area into a valid multipolygon in degrees, or refuses it.';

create or replace trigger check_area before insert or update of geom on mobeye.area
    for each row execute function mobeye.check_area();

create or replace function mobeye.is_placed(device text, at timestamptz default now()) returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from mobeye.placement p
                    where p.device_id = device and lower(p.during) <= at and (upper(p.during) > at or upper_inf(p.during)))
$$;
comment on function mobeye.is_placed(text, timestamptz) is 'Whether the device is placed at that time.';

create or replace function mobeye.check_placement() returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    device_state text;
    other tstzrange;
    wrong record;
begin
    -- What the table requires: its own message has the whole row, which is a home, and the server logs errors.
    select w.* into wrong from (values
        ('device_id', new.device_id is null, 'is missing', 'the id of a device'),
        ('geom', new.geom is null, 'is missing', 'a point in WGS84'),
        ('secret', new.secret is null, 'is missing', 'true or false'),
        ('during', new.during is null, 'is missing', 'a period'),
        ('during', isempty(new.during) or lower_inf(new.during) or not lower_inc(new.during) or upper_inc(new.during),
         'must have a begin and exclude its end', 'a period such as [2026-01-01,2026-02-01)'),
        ('address', length(new.address) > 400, 'is too long', 'at most 400 characters'),
        ('bag_id', length(new.bag_id) > 64, 'is too long', 'at most 64 characters'),
        ('instructions', length(new.instructions) > 4000, 'is too long', 'at most 4000 characters'))
        as w(name, is_so, what, expected)
     where w.is_so limit 1;
    if found then
        raise exception 'placement of %: % %', new.device_id, wrong.name, wrong.what
            using errcode = 'check_violation', hint = format('Expected %s.', wrong.expected);
    end if;
    if st_isempty(new.geom) or st_x(new.geom) not between -180 and 180 or st_y(new.geom) not between -90 and 90 then
        -- Without naming them: RD coordinates are those of a home, and the server logs errors.
        raise exception 'placement of %: coordinates are not degrees', new.device_id
            using errcode = 'invalid_parameter_value',
                  hint = 'Expected longitude and latitude in WGS84; to convert RD New: st_transform(st_setsrid(geom, 28992), 4326).';
    end if;
    -- Imported again, perhaps without its address, or the device is there again.
    if num_nonnulls(new.address, new.bag_id, new.instructions) > 0
       or tg_op = 'UPDATE' and old.erased is not null and new.geom is distinct from old.geom
       or upper_inf(new.during) or upper(new.during) > now() then
        new.erased := null;
    end if;
    if upper_inf(new.during) or upper(new.during) > now() then
        select d.state into device_state from mobeye.device d where d.device_id = new.device_id;
        if device_state in ('repair', 'retired') then
            raise exception 'device %: cannot be placed in state "%"', new.device_id, device_state
                using errcode = 'object_not_in_prerequisite_state',
                      hint = 'Set mobeye.device.state to "stock" first.';
        end if;
    end if;
    select p.during into other from mobeye.placement p
     where p.device_id = new.device_id and p.during && new.during and p.placement_id <> new.placement_id
       -- In the form that the constraint indexes: by time alone the index has every current placement.
       and hashtextextended(p.device_id, 0) = hashtextextended(new.device_id, 0)
     order by lower(p.during) limit 1;
    if found then
        raise exception 'device %: already placed from % until %', new.device_id, lower(other),
                        coalesce(upper(other)::text, 'further notice')
            using errcode = 'exclusion_violation', constraint = 'placement_overlap',
                  hint = 'A device has one placement at a time: end that placement first, or choose another time.';
    end if;
    return new;
end
$$;
comment on function mobeye.check_placement() is 'Refuses a placement with a clear reason.';

create or replace trigger check_placement before insert or update on mobeye.placement
    for each row execute function mobeye.check_placement();

create or replace function mobeye.check_state() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if new.state in ('stock', 'placed') then
        new.state := case when mobeye.is_placed(new.device_id) then 'placed' else 'stock' end;
    elsif exists (select from mobeye.placement p
                   where p.device_id = new.device_id and (upper_inf(p.during) or upper(p.during) > now())) then
        raise exception 'device %: state cannot be "%" while it has a placement', new.device_id, new.state
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'Retrieve it first: mobeyectl device retrieve.';
    end if;
    return new;
end
$$;
comment on function mobeye.check_state() is 'Sets placed or stock according to the placements; refuses repair and retired while there is one.';

create or replace trigger check_state before insert or update of state on mobeye.device
    for each row execute function mobeye.check_state();

create or replace function mobeye.keep_device_uuid() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if not pg_has_role(current_user, 'mobeye_owner', 'usage') then
        raise exception 'device %: device_uuid cannot be changed', new.device_id
            using errcode = 'insufficient_privilege', hint = 'The log of erasures knows the device by it.';
    end if;
    return new;
end
$$;
comment on function mobeye.keep_device_uuid() is 'Lets nobody but the owner change the number of a device.';

create or replace trigger keep_device_uuid before update of device_uuid on mobeye.device
    for each row when (old.device_uuid <> new.device_uuid) execute function mobeye.keep_device_uuid();

create or replace function mobeye.refresh_placed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    moved text[];
begin
    if tg_op = 'INSERT' then
        moved := array(select distinct n.device_id from new_rows n);
    elsif tg_op = 'DELETE' then
        moved := array(select distinct o.device_id from old_rows o);
    elsif tg_op = 'UPDATE' then
        moved := array(select o.device_id from old_rows o union select n.device_id from new_rows n);
    end if; -- after TRUNCATE: null, which means all devices
    perform mobeye.refresh_states(moved);
    return null;
end
$$;
comment on function mobeye.refresh_placed() is 'Updates the states of the devices whose placements changed.';

create or replace function mobeye.refresh_states(devices text[] default null) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    refreshed bigint;
begin
    if devices is null then
        devices := array(
            select d.device_id
              from mobeye.device d
              left join mobeye.placement p on p.device_id = d.device_id and p.during @> now()
             where d.state in ('stock', 'placed') and (d.state = 'placed') <> (p.device_id is not null)
             order by d.device_id);
    end if;
    update mobeye.device d
       set state = 'stock' -- or placed: check_state() decides
     where d.state in ('stock', 'placed') and d.device_id = any (devices)
       and (d.state = 'placed') <> mobeye.is_placed(d.device_id);
    get diagnostics refreshed = row_count;
    return refreshed;
end
$$;
comment on function mobeye.refresh_states(text[]) is
    'Sets which devices (null: all) are placed and which are in stock; a placement may have begun or ended by itself. '
    'Returns how many devices changed.';

do $$
declare
    event record;
begin
    for event in
        select * from (values ('insert', 'new table as new_rows'), ('delete', 'old table as old_rows'),
                              ('update', 'old table as old_rows new table as new_rows')) as e(name, tables)
    loop
        execute format('create or replace trigger state_%s after %s on mobeye.placement referencing %s '
                       'for each statement execute function mobeye.refresh_placed()',
                       event.name, event.name, event.tables);
    end loop;
end
$$;
create or replace trigger state_truncate after truncate on mobeye.placement
    for each statement execute function mobeye.refresh_placed();

-- The areas of a place: in each layer the one of the newest vintage valid at that time; on a border, the lowest code.
create or replace function mobeye.areas_at(geom public.geometry, at timestamptz) returns text[]
language sql stable
set search_path = pg_catalog, public, pg_temp
as $$
    select coalesce(array_agg(layer || ':' || code order by layer), '{}')
      from (select distinct on (a.layer) a.layer, a.code
              from mobeye.area a
             where st_covers(a.geom, areas_at.geom) and a.valid @> at
             order by a.layer, a.vintage desc nulls last, a.code collate "C") as found
$$;
comment on function mobeye.areas_at(public.geometry, timestamptz) is
    'The areas that cover a place, as layer:code, at most one per layer.';

create or replace function mobeye.area_code(areas text[], layer text) returns text
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select substr(a, length(layer) + 2) from unnest(areas) as a where starts_with(a, layer || ':') limit 1 $$;
comment on function mobeye.area_code(text[], text) is 'The code of a layer among areas written as layer:code; null if there is none.';

create or replace function mobeye.record_rename() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into mobeye.device_renamed (earlier_id, device_id) values (old.device_id, new.device_id) on conflict do nothing;
    return null;
end
$$;
comment on function mobeye.record_rename() is 'Records the earlier name of a device, under which its alerts are stored.';

create or replace trigger record_rename after update of device_id on mobeye.device
    for each row when (old.device_id <> new.device_id) execute function mobeye.record_rename();

create or replace view mobeye.address_holder as
select ltrim(a.account, '0') as account, a.input, a.device_id, timestamptz 'infinity' as until, a.since from mobeye.device_address a
union all
select ltrim(e.account, '0'), e.input, e.device_id, e.until, e.since from mobeye.earlier_address e;
comment on view mobeye.address_holder is
    'Which devices have or had an account, since and until when: infinity for those that have it. Accounts are without leading zeros.';

-- As the daemon names and identifies the device of a DC-09 frame: dc09:ACCOUNT or dc09:ACCOUNT/INPUT, the account with the
-- zeros that the panel sends. The existing names are looked up in the index of the alerts, by skipping from each to the next.
create or replace function mobeye.address_names(device_id text) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with recursive address as materialized (
        select h.account, h.input, min(h.since) as since
          from mobeye.address_holder h where h.device_id = address_names.device_id group by h.account, h.input
    ), span (least) as materialized (
        select distinct 'dc09:' || lpad(a.account, n, '0') collate "C"
          from address a cross join lateral generate_series(greatest(length(a.account), 1), 16) as n
    ), stored (least, name) as (
        select s.least, (select min(a.device_id) from mobeye.alert a where a.device_id >= s.least and a.device_id < s.least || '0')
          from span s
        union all
        select s.least, (select min(a.device_id) from mobeye.alert a where a.device_id > s.name and a.device_id < s.least || '0')
          from stored s where s.name is not null
    ), known (name) as (
        select s.name from stored s where s.name is not null
        union
        select i.device_id from span s join mobeye.incident i on i.device_id >= s.least and i.device_id < s.least || '0'
        union
        select t.device_id from span s join mobeye.device_status t on t.device_id >= s.least and t.device_id < s.least || '0'
        union
        select q.device_id collate "C"
          from span s join mobeye.quarantine q on q.device_id collate "C" >= s.least and q.device_id collate "C" < s.least || '0'
    )
    select k.name
      from known k cross join lateral (select split_part(substr(k.name, 6), '/', 1) as account, split_part(k.name, '/', 2) as input) n
     where k.name ~ '^dc09:[0-9A-F]+(/[0-9]+)?$' and n.account <> '0' -- that is a frame without an account
       and exists (select from address a
                    where a.account = ltrim(n.account, '0')
                      and (a.input::text = n.input
                           or a.input is null
                              and not exists (select from mobeye.device_address o
                                               where ltrim(o.account, '0') = a.account and o.input::text = n.input
                                                 and o.since <= a.since
                                                 and not exists (select from mobeye.placement p
                                                                  where p.device_id = address_names.device_id
                                                                    and lower(p.during) < o.since))))
       and not exists (select from mobeye.device d where d.device_id = k.name)
$$;
comment on function mobeye.address_names(text) is
    'The names of accounts that a device has or had under which anything is stored: it came before the account was registered, or late.';

create or replace function mobeye.record_addressed() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_trigger_depth() = 1 then -- otherwise its device was deleted or renamed: this is the cascade
        insert into mobeye.earlier_address (account, input, device_id, since) values (old.account, old.input, old.device_id, old.since);
    end if;
    return coalesce(new, old);
end
$$;
comment on function mobeye.record_addressed() is 'Records the DC-09 address that a device had until now.';

create or replace trigger record_delete before delete on mobeye.device_address
    for each row execute function mobeye.record_addressed();

create or replace function mobeye.begin_address() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_trigger_depth() = 1 then -- otherwise its device was renamed: this is the cascade, it has had it since then
        new.since := now();
    end if;
    return new;
end
$$;
comment on function mobeye.begin_address() is 'Sets since when a device has the DC-09 address that it is given instead of another.';

create or replace trigger begin_address before update of account, input, device_id on mobeye.device_address
    for each row when ((old.account, old.input, old.device_id) is distinct from (new.account, new.input, new.device_id))
    execute function mobeye.begin_address();

create or replace trigger record_update before update on mobeye.device_address
    for each row when (old.* is distinct from new.*) execute function mobeye.record_addressed();

create or replace function mobeye.names_of(device_id text) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select device_id
    union
    select r.earlier_id from mobeye.device_renamed r where r.device_id = names_of.device_id
    union
    select mobeye.address_names(names_of.device_id)
$$;
comment on function mobeye.names_of(text) is 'The name of a device, its earlier names, and those of its DC-09 addresses, also the earlier ones.';

-- The device that had the account at that time. What came before any device had it belongs to the first one that got it and was
-- placed by then. One that had it for less than a week is passed over for a later one: it was mistyped there. What came after
-- the last one lost it belongs to no device.
create or replace function mobeye.account_holder(name text, at timestamptz) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when h.until > account_holder.at then h.device_id else account_holder.name end
      from (select ltrim(split_part(substr(name, 6), '/', 1), '0') as account, split_part(name, '/', 2) as input
             where name ~ '^dc09:[0-9A-F]+(/[0-9]+)?$' and name !~ '^dc09:0(/|$)') n
      join mobeye.address_holder h on h.account = n.account and (h.input is null or h.input::text = n.input)
     where not exists (select from mobeye.device d where d.device_id = name)
       and not exists (select from mobeye.device_renamed r where r.earlier_id = name)
     order by h.until > account_holder.at desc, h.since <= account_holder.at desc,
              h.since <= account_holder.at and h.input is null,
              exists (select from mobeye.placement p where p.device_id = h.device_id and p.during @> account_holder.at) desc,
              h.input nulls last, h.until >= h.since + interval '7 days' desc, h.since, h.device_id limit 1
$$;
comment on function mobeye.account_holder(text, timestamptz) is
    'The device that is meant by the name of an account at a time: the one that had it then, else one that got it later, else the name '
    'itself. Null if no device has or had it, or one was registered under the name.';

-- The first device to give up the name after that, else the one that has it now; unless that time is before the latter was
-- registered or placed, or got this name, and another one had given up the name by then: that one may still be using it.
create or replace function mobeye.name_holder(name text, at timestamptz) returns text
language plpgsql stable -- its plan is kept: is_of() asks it for each alert
set search_path = pg_catalog, pg_temp
as $$
begin
    return (
        with next as (
            (select r.device_id, r.at as until from mobeye.device_renamed r
              where r.earlier_id = name and r.at > name_holder.at order by r.at, r.device_id limit 1)
            union all
            select name, 'infinity'
            order by until limit 1)
        select coalesce((select r.device_id from mobeye.device_renamed r
                          where r.earlier_id = name and r.at <= name_holder.at
                            and name_holder.at < greatest(
                                least(d.registered_at, (select min(lower(p.during)) from mobeye.placement p where p.device_id = d.device_id)),
                                (select max(t.at) from mobeye.device_renamed t where t.device_id = d.device_id and t.at < n.until))
                                is not false -- null: nobody has the name
                          order by r.at desc, r.device_id limit 1),
                        d.device_id)
          from next n left join mobeye.device d on d.device_id = n.device_id
    );
end
$$;
comment on function mobeye.name_holder(text, timestamptz) is
    'The device that had a name at a time; null if no device has or had it.';

-- For the name of an account the account decides: a placement there is only the one for which it was hidden. For another name,
-- the placement decides if its device had the name; otherwise the time.
create or replace function mobeye.is_of(device text, name text, placement_id bigint, at timestamptz) returns boolean
language sql stable cost 1000
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        case when starts_with(name, 'dc09:') then case when device = name then device else mobeye.account_holder(name, is_of.at) end end,
        (select p.device_id from mobeye.placement p
          where p.placement_id = is_of.placement_id
            and (p.device_id in (device, name) or name in (select mobeye.names_of(p.device_id)))),
        mobeye.name_holder(name, is_of.at), device) = device
$$;
comment on function mobeye.is_of(text, text, bigint, timestamptz) is
    'Whether what was stored under one of the names of a device is about that device: another one may have had the name too.';

create or replace function mobeye.require_unnamed(device text, from_at timestamptz default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    what text := case when from_at is null then 'a placement' else 'the placement' end;
begin
    if exists (select from mobeye.placement p
                where p.device_id = device and (from_at is null or lower(p.during) = from_at) and p.erased is not null) then
        raise exception 'device %: % cannot be deleted, alerts of its period may still come', device, what
            using errcode = 'object_in_use', hint = 'It was erased at a person''s request. Retention deletes it.';
    end if;
    if mobeye.is_named(device, from_at) then
        raise exception 'device %: % cannot be deleted, incidents or alerts refer to it', device, what
            using errcode = 'object_in_use',
                  hint = 'End the placement instead (mobeyectl device retrieve), and set the state of the device to "retired".';
    end if;
end
$$;
comment on function mobeye.require_unnamed(text, timestamptz) is
    'Refuses to delete a placement that incidents or alerts refer to, or that alerts may follow after its erasure: the one of the '
    'device that starts at from_at, or (null) any.';

create or replace function mobeye.refuse_named_placement() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if pg_has_role(current_user, 'mobeye_owner', 'member') then
        return old;
    elsif tg_table_name = 'placement' then
        perform mobeye.require_unnamed(old.device_id, lower(old.during));
    else
        perform mobeye.require_unnamed(old.device_id);
    end if;
    return old;
end
$$;
comment on function mobeye.refuse_named_placement() is
    'Keeps the registry from deleting a placement that require_unnamed() refuses. Erasure and retention may delete it, and the owner, '
    'in SQL.';

create or replace function mobeye.is_named(device_id text, from_at timestamptz) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from mobeye.placement p
                    where p.device_id = is_named.device_id and (from_at is null or lower(p.during) = from_at)
                      and (exists (select from mobeye.incident i where i.placement_id = p.placement_id)
                           or exists (select from mobeye.alert a
                                       where a.device_id in (select mobeye.names_of(is_named.device_id))
                                         and a.placement_id = p.placement_id and a.kind <> 14))) -- keepalive
$$;
comment on function mobeye.is_named(text, timestamptz) is
    'Whether incidents, or alerts other than keepalives, refer to a placement of the device: the one that starts at from_at, or '
    '(null) any.';

-- On the device too: rows deleted by a cascade are deleted on behalf of the owner of the tables.
create or replace trigger keep_named before delete on mobeye.placement
    for each row execute function mobeye.refuse_named_placement();

create or replace trigger keep_named before delete on mobeye.device
    for each row execute function mobeye.refuse_named_placement();
