-- What people write to the registry: what is mended, what is refused, and where a device is placed.
-- By hand, backwards: drop the functions below with their triggers.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- What people write ---------------------------------------------------------------------------------------------

create or replace function mobeye.mend_area(geom public.geometry) returns public.geometry
language sql immutable strict parallel safe
set search_path = pg_catalog, public, pg_temp
as $$ select st_multi(st_collectionextract(case when st_isvalid(geom) then geom else st_makevalid(geom) end, 3)) $$;
comment on function mobeye.mend_area(public.geometry) is
    'The valid multipolygon that a geometry is or, as by ST_MakeValid, can be made; empty where no polygon remains.';

create or replace function mobeye.check_area() returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    given geometry := new.geom;
begin
    if (st_xmin(given) >= -180 and st_xmax(given) <= 180 and st_ymin(given) >= -90 and st_ymax(given) <= 90) is false then
        raise exception 'area % of layer %: its coordinates, as % %, are not degrees',
                        new.code, new.layer, st_xmin(given), st_ymin(given)
            using errcode = 'invalid_parameter_value',
                  hint = 'Longitude and latitude in WGS84; of RD New: st_transform(st_setsrid(geom, 28992), 4326).';
    end if;
    new.geom := mobeye.mend_area(given);
    if st_isempty(new.geom) then
        raise exception 'area % of layer %: its geometry (%) has no polygon', new.code, new.layer, geometrytype(given)
            using errcode = 'invalid_parameter_value', hint = 'An area is a polygon or a multipolygon.';
    end if;
    if not st_isvalid(given) then
        raise warning 'area % of layer %: its geometry is invalid (%) and was repaired',
                      new.code, new.layer, st_isvalidreason(given);
    end if;
    return new;
end
$$;
comment on function mobeye.check_area() is 'Makes a valid multipolygon in degrees of what is written, or says why it cannot be one.';
create or replace trigger check_area before insert or update of geom on mobeye.area
    for each row execute function mobeye.check_area();

create or replace function mobeye.is_placed(device text, at timestamptz default now()) returns boolean
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from mobeye.placement p
                    where p.device_id = device and lower(p.during) <= at and (upper(p.during) > at or upper_inf(p.during)))
$$;
comment on function mobeye.is_placed(text, timestamptz) is 'Whether a placement of the device holds at that time.';

create or replace function mobeye.check_placement() returns trigger
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    device_state text;
    other tstzrange;
begin
    if st_isempty(new.geom) or st_x(new.geom) not between -180 and 180 or st_y(new.geom) not between -90 and 90 then
        raise exception 'placement of %: its coordinates (%) are not degrees', new.device_id, st_astext(new.geom)
            using errcode = 'invalid_parameter_value',
                  hint = 'Longitude and latitude in WGS84; of RD New: st_transform(st_setsrid(geom, 28992), 4326).';
    end if;
    if upper_inf(new.during) or upper(new.during) > now() then
        select d.state into device_state from mobeye.device d where d.device_id = new.device_id;
        if device_state in ('repair', 'retired') then
            raise exception 'device % is in state "%", so it cannot be placed', new.device_id, device_state
                using errcode = 'object_not_in_prerequisite_state',
                      hint = 'Set its state to "stock" first: mobeye.device.state.';
        end if;
    end if;
    select p.during into other from mobeye.placement p
     where p.device_id = new.device_id and p.during && new.during and p.placement_id <> new.placement_id
     order by lower(p.during) limit 1;
    if found then
        raise exception 'device % is placed from % until % already', new.device_id, lower(other),
                        coalesce(upper(other)::text, 'further notice')
            using errcode = 'exclusion_violation', constraint = 'placement_overlap',
                  hint = 'A device is in one place at a time: end that placement first, or choose another time.';
    end if;
    return new;
end
$$;
comment on function mobeye.check_placement() is 'Says why a placement cannot be.';
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
        raise exception 'device % is placed, or will be, so its state cannot be "%"', new.device_id, new.state
            using errcode = 'object_not_in_prerequisite_state',
                  hint = 'Retrieve it first: mobeye.device_retrieve, mobeyectl device retrieve.';
    end if;
    return new;
end
$$;
comment on function mobeye.check_state() is 'Makes placed and stock what the placements say; refuses repair and retired where one holds.';
create or replace trigger check_state before insert or update of state on mobeye.device
    for each row execute function mobeye.check_state();

create or replace function mobeye.follow_placements() returns trigger
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
    end if; -- of a truncated table: all, by null
    perform mobeye.refresh_states(moved);
    return null;
end
$$;
comment on function mobeye.follow_placements() is 'Has the states of devices follow their placements.';

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
    'Sets which devices (all where null) are placed and which in stock, as when a placement began or ended by itself; '
    'returns how many it changed.';
do $$
declare
    event record;
begin
    for event in
        select * from (values ('insert', 'new table as new_rows'), ('delete', 'old table as old_rows'),
                              ('update', 'old table as old_rows new table as new_rows')) as e(name, tables)
    loop
        execute format('create or replace trigger state_%s after %s on mobeye.placement referencing %s '
                       'for each statement execute function mobeye.follow_placements()',
                       event.name, event.name, event.tables);
    end loop;
end
$$;
create or replace trigger state_truncate after truncate on mobeye.placement
    for each statement execute function mobeye.follow_placements();

-- Placing and retrieving -----------------------------------------------------------------------------------------

create or replace function mobeye.device_place(device text, lon float8, lat float8,
                                               from_at timestamptz default now(), until_at timestamptz default null,
                                               address text default null, team text default null,
                                               secret boolean default false, instructions text default null)
returns bigint
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    wanted tstzrange;
    ret bigint;
begin
    perform from mobeye.device d where d.device_id = device for update;
    if not found then
        raise exception 'device "%" is not registered', device
            using errcode = 'no_data_found', hint = 'mobeyectl devices import registers devices.';
    end if;
    if (lon between -180 and 180 and lat between -90 and 90) is not true then
        raise exception '% % are not degrees', lon, lat
            using errcode = 'invalid_parameter_value', hint = 'Longitude first, then latitude, WGS84.';
    end if;
    if from_at is null or until_at <= from_at then
        raise exception 'a placement from % until % is none', from_at, until_at
            using errcode = 'invalid_parameter_value', hint = 'It ends after it begins.';
    end if;
    if team is not null and not exists (select from mobeye.team t where t.team = device_place.team) then
        raise exception 'team "%" does not exist', team
            using errcode = 'invalid_parameter_value',
                  hint = coalesce('Teams: ' || (select string_agg(t.team, ', ' order by t.team) from mobeye.team t) || '.',
                                  'mobeyectl teams import brings teams in.');
    end if;
    wanted := tstzrange(from_at, until_at);

    -- It moves: the place where it stands until further notice is left.
    update mobeye.placement p set during = tstzrange(lower(p.during), from_at)
     where p.device_id = device and upper_inf(p.during) and lower(p.during) < from_at;
    update mobeye.placement p
       set during = wanted, geom = st_setsrid(st_makepoint(lon, lat), 4326), address = device_place.address,
           team = device_place.team, secret = device_place.secret, instructions = device_place.instructions
     where p.device_id = device and lower(p.during) = from_at and upper_inf(p.during)
    returning p.placement_id into ret;
    if not found then
        insert into mobeye.placement as p (device_id, during, geom, address, team, secret, instructions)
        values (device, wanted, st_setsrid(st_makepoint(lon, lat), 4326), address, team, secret, instructions)
        returning p.placement_id into ret;
    end if;
    return ret;
end
$$;
comment on function mobeye.device_place(text, float8, float8, timestamptz, timestamptz, text, text, boolean, text) is
    'Places a device from a time on; a placement without end is ended by it, one that begins at the same time and has no '
    'end is corrected. Returns the number of the placement.';

create or replace function mobeye.device_retrieve(device text, at timestamptz default now()) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    held mobeye.placement;
begin
    perform from mobeye.device d where d.device_id = device for update;
    if not found then
        raise exception 'device "%" is not registered', device
            using errcode = 'no_data_found', hint = 'mobeyectl devices import registers devices.';
    end if;
    select p.* into held from mobeye.placement p where p.device_id = device and p.during @> at;
    if not found then
        raise exception 'device "%" is not placed at %', device, at
            using errcode = 'no_data_found', hint = 'mobeyectl device show lists its placements.';
    end if;
    if lower(held.during) = at then -- it was never there
        delete from mobeye.placement p where p.placement_id = held.placement_id;
    else
        update mobeye.placement p set during = tstzrange(lower(held.during), at)
         where p.placement_id = held.placement_id;
    end if;
    return held.placement_id;
end
$$;
comment on function mobeye.device_retrieve(text, timestamptz) is
    'Ends the placement that holds at a time; returns its number.';

grant execute on function mobeye.mend_area(public.geometry), mobeye.is_placed(text, timestamptz) to mobeye_registry;
grant execute on function mobeye.refresh_states(text[]) to mobeye_ingest, mobeye_registry;
grant execute on function
    mobeye.device_place(text, float8, float8, timestamptz, timestamptz, text, text, boolean, text),
    mobeye.device_retrieve(text, timestamptz) to mobeye_registry;
