-- Placements for people who edit them as a table, in QGIS for instance: with two times instead of a range.

create or replace view mobeye.placement_edit as
select p.placement_id, p.device_id, lower(p.during) as placed_from, upper(p.during) as placed_until, p.address, p.team,
       p.secret, p.instructions, p.bag_id, p.geom
  from mobeye.placement as p;
comment on view mobeye.placement_edit is
    'Placements with their begin and end in columns of their own. It can be written to: what is inserted, updated or deleted '
    'here is so in mobeye.placement.';
comment on column mobeye.placement_edit.placement_id is 'Its number; given by the database.';
comment on column mobeye.placement_edit.device_id is 'The device.';
comment on column mobeye.placement_edit.placed_from is 'Its begin; empty in a new one: now, else as it was.';
comment on column mobeye.placement_edit.placed_until is 'Its end, excluded; empty: open-ended.';
comment on column mobeye.placement_edit.address is 'The address.';
comment on column mobeye.placement_edit.team is 'The team whose placement it is.';
comment on column mobeye.placement_edit.secret is 'Whether the place is secret outside that team; empty in a new one: no.';
comment on column mobeye.placement_edit.instructions is 'What to know on arrival.';
comment on column mobeye.placement_edit.bag_id is 'Number of the address in the BAG.';
comment on column mobeye.placement_edit.geom is 'The place, WGS84.';

create or replace function mobeye.write_placement() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if tg_op = 'DELETE' then
        delete from mobeye.placement p where p.placement_id = old.placement_id;
        return old;
    end if;
    new.placed_from := coalesce(new.placed_from, old.placed_from, now());
    if new.placed_until <= new.placed_from then
        raise exception 'placed_until: is not after placed_from' using errcode = 'invalid_parameter_value',
            hint = 'Expected a time after ' || new.placed_from || ', or nothing for an open-ended placement.';
    end if;
    if tg_op = 'INSERT' then
        insert into mobeye.placement (device_id, during, geom, address, bag_id, team, secret, instructions)
        values (new.device_id, tstzrange(new.placed_from, new.placed_until), new.geom, new.address, new.bag_id, new.team,
                coalesce(new.secret, false), new.instructions)
        returning placement_id into new.placement_id;
    else
        update mobeye.placement p
           set device_id = new.device_id, during = tstzrange(new.placed_from, new.placed_until), geom = new.geom,
               address = new.address, bag_id = new.bag_id, team = new.team, secret = coalesce(new.secret, p.secret),
               instructions = new.instructions
         where p.placement_id = old.placement_id;
    end if;
    return new;
end
$$;
comment on function mobeye.write_placement() is 'Writes to mobeye.placement what is written to mobeye.placement_edit.';

create or replace trigger write_placement instead of insert or update or delete on mobeye.placement_edit
    for each row execute function mobeye.write_placement();
