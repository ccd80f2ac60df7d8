-- Placing and retrieving a device.

create or replace function mobeye.lock_device(device text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform from mobeye.device d where d.device_id = device for update;
    if not found then
        raise exception 'device "%" is not registered', device
            using errcode = 'no_data_found', hint = 'Register it with mobeyectl devices import.';
    end if;
end
$$;
comment on function mobeye.lock_device(text) is
    'Locks a registered device until the transaction ends, so that its placements change in one session at a time.';

create or replace function mobeye.device_place(device text, lon float8, lat float8,
                                               from_at timestamptz default now(), until_at timestamptz default null,
                                               address text default null, team text default null,
                                               secret boolean default null, instructions text default null)
returns bigint
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    wanted tstzrange;
    ended bigint;
    ret bigint;
begin
    perform mobeye.lock_device(device);
    if (lon between -180 and 180 and lat between -90 and 90) is not true then
        raise exception 'coordinates are not degrees'
            using errcode = 'invalid_parameter_value', hint = 'Expected longitude, then latitude, in WGS84.';
    end if;
    if from_at is null or until_at <= from_at then
        raise exception 'period from % until % is not valid for a placement', from_at, until_at
            using errcode = 'invalid_parameter_value', hint = 'A placement must end after it begins.';
    end if;
    if team is not null and not exists (select from mobeye.team t where t.team = device_place.team) then
        raise exception 'team "%" does not exist', team
            using errcode = 'invalid_parameter_value',
                  hint = coalesce('Teams: ' || (select string_agg(t.team, ', ' order by t.team) from mobeye.team t) || '.',
                                  'Add teams with mobeyectl teams import.');
    end if;
    wanted := tstzrange(from_at, until_at);

    -- The device moves: its open-ended placement ends.
    update mobeye.placement p set during = tstzrange(lower(p.during), from_at)
     where p.device_id = device and upper_inf(p.during) and lower(p.during) < from_at
    returning p.placement_id into ended;
    update mobeye.placement p
       set during = wanted, geom = st_setsrid(st_makepoint(lon, lat), 4326), address = coalesce(device_place.address, p.address),
           team = coalesce(device_place.team, p.team), secret = coalesce(device_place.secret, p.secret),
           instructions = coalesce(device_place.instructions, p.instructions)
     where p.device_id = device and lower(p.during) = from_at and upper_inf(p.during)
    returning p.placement_id into ret;
    if not found then
        insert into mobeye.placement as p (device_id, during, geom, address, team, secret, instructions, moved_from)
        values (device, wanted, st_setsrid(st_makepoint(lon, lat), 4326), address, team, coalesce(secret, false), instructions, ended)
        returning p.placement_id into ret;
    end if;
    return ret;
end
$$;
comment on function mobeye.device_place(text, float8, float8, timestamptz, timestamptz, text, text, boolean, text) is
    'Places a device from a time on. An open-ended placement of the device ends then; one that begins at the same time is '
    'corrected, and keeps what is not given (null). Returns the number of the placement.';

create or replace function mobeye.device_retrieve(device text, at timestamptz default now()) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    current mobeye.placement;
begin
    perform mobeye.lock_device(device);
    select p.* into current from mobeye.placement p where p.device_id = device and p.during @> at;
    if not found then
        raise exception 'device "%" has no placement at %', device, at
            using errcode = 'no_data_found', hint = 'List its placements with mobeyectl device show.';
    end if;
    if lower(current.during) = at then -- the device was never there
        perform mobeye.require_unnamed(device, at);
        delete from mobeye.placement p where p.placement_id = current.placement_id;
    else
        update mobeye.placement p set during = tstzrange(lower(current.during), at)
         where p.placement_id = current.placement_id;
    end if;
    return current.placement_id;
end
$$;
comment on function mobeye.device_retrieve(text, timestamptz) is
    'Ends the placement of a device at a time; returns its number.';

create or replace function mobeye.device_undo(device text)
returns table (removed bigint, placed_from timestamptz, placed_until timestamptz, address text, open_again bigint)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    newest mobeye.placement;
begin
    perform mobeye.lock_device(device);
    select p.* into newest from mobeye.placement p where p.device_id = device order by p.placement_id desc limit 1;
    if not found then
        raise exception 'device "%" has no placement', device using errcode = 'no_data_found';
    end if;
    perform mobeye.require_unnamed(device, lower(newest.during));
    delete from mobeye.placement p where p.placement_id = newest.placement_id;
    update mobeye.placement p set during = tstzrange(lower(p.during), null)
     where p.placement_id = newest.moved_from and upper(p.during) = lower(newest.during) and p.erased is null
    returning p.placement_id into open_again;
    removed := newest.placement_id;
    placed_from := lower(newest.during);
    placed_until := upper(newest.during);
    address := newest.address;
    return next;
end
$$;
comment on function mobeye.device_undo(text) is
    'Deletes the newest placement of a device; the one that it ended is open-ended again, unless it has been erased. Returns the '
    'numbers of both, and what was deleted.';
