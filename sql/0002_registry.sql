-- The registry: devices, their addresses and inputs, placements, areas, people and teams; what reported without being
-- registered; versions, by which daemons notice that something changed; imports.
-- By hand, backwards: drop the tables, views and functions below, and the extension btree_gist.

set local search_path = pg_catalog, public;

create extension if not exists btree_gist with schema public;

set local role mobeye_owner;

-- Numbers that are given in the order of commits. A transaction takes the next one as the last thing before its commit
-- (deferred triggers below), and holds the row until then: whoever has read up to N has missed nothing below N, and a
-- transaction that is left open holds up nobody.
create table if not exists mobeye.counter (
    name text primary key,
    value bigint not null
) with (fillfactor = 10);
comment on table mobeye.counter is
    'Numbers given in the order of commits: versions of the registry and of the areas, the last change of an incident.';
comment on column mobeye.counter.name is 'registry, areas or changes.';
comment on column mobeye.counter.value is 'The last number that was given.';
insert into mobeye.counter values ('registry', 0), ('areas', 0), ('changes', 0) on conflict do nothing;

-- People and teams -----------------------------------------------------------------------------------------------

create table if not exists mobeye.team (
    team text primary key check (team <> '' and length(team) <= 64),
    name text
);
comment on table mobeye.team is 'Teams of officers; mobeyectl teams import fills it.';
comment on column mobeye.team.team is 'Its short name, as placements, rules and people give it.';
comment on column mobeye.team.name is 'What people call it; null where that is the short name.';

create table if not exists mobeye.team_area (
    team text not null references mobeye.team on update cascade on delete cascade,
    layer text not null,
    code text not null,
    primary key (team, layer, code)
);
create index if not exists team_area_code on mobeye.team_area (layer, code);
comment on table mobeye.team_area is 'The areas that a team looks after, by layer and code, whichever the vintage.';
comment on column mobeye.team_area.team is 'The team.';
comment on column mobeye.team_area.layer is 'Layer of the area.';
comment on column mobeye.team_area.code is 'Code of the area; it need not be there yet.';

create table if not exists mobeye.person (
    login text primary key check (login <> '' and length(login) <= 63),
    name text not null,
    team text references mobeye.team on update cascade on delete set null
);
comment on table mobeye.person is 'Officers and other people, by their login; mobeyectl people import fills it.';
comment on column mobeye.person.login is 'Login to the database, or name that a front end gives for the person.';
comment on column mobeye.person.name is 'Name, as colleagues see it.';
comment on column mobeye.person.team is 'The team that the person is in; null for none.';

-- Devices --------------------------------------------------------------------------------------------------------

create table if not exists mobeye.device (
    device_id text collate "C" primary key check (device_id ~ '^[A-Za-z0-9._:/-]{1,64}$'),
    model text,
    device_group text,
    state text not null default 'stock' check (state in ('stock', 'placed', 'repair', 'retired')),
    heartbeat interval check (heartbeat > '0'),
    grace interval not null default '0' check (grace >= '0'),
    registered_at timestamptz not null default now(),
    note text
);
comment on table mobeye.device is 'Devices that are registered.';
comment on column mobeye.device.device_id is 'As the device names itself in alerts: 1 to 64 of A-Z a-z 0-9 . _ : / -';
comment on column mobeye.device.model is 'Model, as CM4000.';
comment on column mobeye.device.device_group is 'Group, which rules can match.';
comment on column mobeye.device.state is
    'placed while a placement holds, else stock; repair and retired are set by people, and take no new placement.';
comment on column mobeye.device.heartbeat is 'How often it reports at least; null where it is never missed.';
comment on column mobeye.device.grace is 'How much later than its heartbeat is not yet silence.';
comment on column mobeye.device.registered_at is 'Since when it is registered.';
comment on column mobeye.device.note is 'What people want to remember of it.';

create table if not exists mobeye.device_address (
    account text not null check (account ~ '^[0-9A-F]{3,16}$'),
    input integer check (input between 0 and 65535),
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    unique nulls not distinct (account, input)
);
create index if not exists device_address_device on mobeye.device_address (device_id);
comment on table mobeye.device_address is 'How equipment that speaks SIA DC-09 names itself.';
comment on column mobeye.device_address.account is 'Account: 3 to 16 of 0-9 A-F.';
comment on column mobeye.device_address.input is
    'Input (zone); null: every input of the account that has no address of its own.';
comment on column mobeye.device_address.device_id is 'The device that it is.';

create table if not exists mobeye.device_input (
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    input integer not null check (input between 0 and 65535),
    label text not null,
    primary key (device_id, input)
);
comment on table mobeye.device_input is 'What is connected to the inputs of a device.';
comment on column mobeye.device_input.device_id is 'The device.';
comment on column mobeye.device_input.input is 'Number of the input.';
comment on column mobeye.device_input.label is 'What it is, as "back door".';

create table if not exists mobeye.placement (
    placement_id bigint generated always as identity primary key,
    device_id text collate "C" not null references mobeye.device on update cascade on delete cascade,
    during tstzrange not null default tstzrange(now(), null)
        check (not isempty(during) and not lower_inf(during) and lower_inc(during) and not upper_inc(during)),
    geom public.geometry(point, 4326) not null,
    address text,
    bag_id text,
    team text, -- without a foreign key: teams are the owner's, and may come later
    secret boolean not null default false,
    instructions text,
    -- By a hash of the id, since GiST over texts takes seven times as long; check_placement() says it in words.
    constraint placement_overlap exclude using gist (hashtextextended(device_id, 0) with =, during with &&)
);
create index if not exists placement_device on mobeye.placement (device_id, lower(during));
comment on table mobeye.placement is 'Where each device stood, and when: one place at a time.';
comment on column mobeye.placement.placement_id is 'Its number.';
comment on column mobeye.placement.device_id is 'The device.';
comment on column mobeye.placement.during is 'From when (included) until when (excluded); without end: until it is moved.';
comment on column mobeye.placement.geom is 'The place, WGS84.';
comment on column mobeye.placement.address is 'Its address.';
comment on column mobeye.placement.bag_id is 'Its number in the register of addresses and buildings (BAG).';
comment on column mobeye.placement.team is 'The team whose it is, whatever the area; null where the area decides.';
comment on column mobeye.placement.secret is 'Only its team may know the place.';
comment on column mobeye.placement.instructions is 'What a patrol should know before it goes there.';

-- What a device was last heard to say, registered or not. The daemon writes it, at most once a minute a device.
create table if not exists mobeye.device_status (
    device_id text collate "C" primary key,
    registered boolean not null,
    first_received_at timestamptz not null,
    last_received_at timestamptz not null,
    last_occurred_at timestamptz not null,
    endpoint text not null,
    source text not null,
    kind text not null,
    battery_pct integer,
    signal_dbm integer,
    fix public.geometry(point, 4326), -- its last plausible one
    fix_accuracy_m real,
    fix_at timestamptz,
    silent_since timestamptz, -- set by upkeep, cleared by the next alert
    alerts bigint not null default 0
) with (fillfactor = 70);
comment on table mobeye.device_status is
    'What each device, registered or not, was last heard to say; written at most once a minute a device.';
comment on column mobeye.device_status.device_id is 'The device; dc09:ACCOUNT/INPUT where its address is not registered.';
comment on column mobeye.device_status.registered is 'Whether it was registered when it was last heard.';
comment on column mobeye.device_status.first_received_at is 'When it was first heard.';
comment on column mobeye.device_status.last_received_at is 'When it was last heard.';
comment on column mobeye.device_status.last_occurred_at is 'The time that its last alert gave.';
comment on column mobeye.device_status.endpoint is 'The endpoint that its last alert came in by.';
comment on column mobeye.device_status.source is 'The sender of its last alert.';
comment on column mobeye.device_status.kind is 'Kind of its last alert.';
comment on column mobeye.device_status.battery_pct is 'Its last battery level, in percent.';
comment on column mobeye.device_status.signal_dbm is 'Its last signal strength, in dBm.';
comment on column mobeye.device_status.fix is 'The last plausible place that it reported.';
comment on column mobeye.device_status.fix_accuracy_m is 'How far off fix may be, in metres.';
comment on column mobeye.device_status.fix_at is 'When fix was taken.';
comment on column mobeye.device_status.silent_since is 'Since when it is silent; null where it is not.';
comment on column mobeye.device_status.alerts is 'How many alerts of it were stored.';

-- A view, so that a device that was registered after it was last heard is not unknown any more.
create or replace view mobeye.device_unknown as
select s.device_id, s.first_received_at, s.last_received_at, s.kind, s.endpoint, s.source, s.alerts
  from mobeye.device_status s
 where not s.registered
   and not exists (select from mobeye.device d where d.device_id = s.device_id)
   and not exists (select from mobeye.device_address a
                    where 'dc09:' || a.account = split_part(s.device_id, '/', 1)
                      and (a.input is null or a.input::text = split_part(s.device_id, '/', 2)));
comment on view mobeye.device_unknown is 'Senders that reported and are not registered.';
comment on column mobeye.device_unknown.device_id is 'As it names itself; dc09:ACCOUNT/INPUT for SIA DC-09.';
comment on column mobeye.device_unknown.first_received_at is 'When it was first heard.';
comment on column mobeye.device_unknown.last_received_at is 'When it was last heard.';
comment on column mobeye.device_unknown.kind is 'Kind of its last alert.';
comment on column mobeye.device_unknown.endpoint is 'The endpoint that its last alert came in by.';
comment on column mobeye.device_unknown.source is 'The sender of its last alert.';
comment on column mobeye.device_unknown.alerts is 'How many alerts of it were stored.';

-- Areas ----------------------------------------------------------------------------------------------------------

-- The type of geom is left open, since a type is enforced before a trigger can make a multipolygon of a polygon. The
-- check is in the words from which PostGIS tells QGIS the type.
create table if not exists mobeye.area (
    area_id bigint generated always as identity primary key,
    layer text not null check (layer ~ '^[a-z][a-z0-9_-]{0,31}$'),
    code text not null check (code <> '' and length(code) <= 64),
    name text not null,
    vintage integer check (vintage between 1900 and 2999),
    valid tstzrange not null default '(,)',
    geom public.geometry(geometry, 4326) not null,
    constraint enforce_geotype_geom check (public.geometrytype(geom) = 'MULTIPOLYGON'::text),
    unique nulls not distinct (layer, code, vintage)
);
create index if not exists area_geom on mobeye.area using gist (geom);
comment on table mobeye.area is 'Areas on the map, in layers: wijk, buurt, beat, hotspot and the like.';
comment on column mobeye.area.area_id is 'Its number.';
comment on column mobeye.area.layer is 'The layer: a lower-case letter, then at most 31 of a-z 0-9 _ -';
comment on column mobeye.area.code is 'Its code, unique in layer and vintage, as WK030710.';
comment on column mobeye.area.name is 'Its name.';
comment on column mobeye.area.vintage is 'The year from whose 1 January it holds; null: always.';
comment on column mobeye.area.valid is
    'When it holds: from 1 January of vintage (in Amsterdam) until that of the layer''s next one. Kept by triggers.';
comment on column mobeye.area.geom is 'The area, WGS84; what is written here is made a valid multipolygon.';

-- Versions -------------------------------------------------------------------------------------------------------

-- Which devices changed by which version of the registry. A daemon that has read up to version N reads the devices of
-- the versions above it, or all of them where the oldest version here is above N + 1.
create table if not exists mobeye.registry_log (
    entry bigint generated always as identity primary key,
    version bigint, -- null until its transaction commits
    device_id text collate "C" not null,
    xid xid8 not null default pg_current_xact_id(),
    at timestamptz not null default now()
);
create index if not exists registry_log_version on mobeye.registry_log (version);
comment on table mobeye.registry_log is
    'Which devices changed by which version of the registry. Old entries may be deleted, whole versions at a time.';
comment on column mobeye.registry_log.entry is 'Its number.';
comment on column mobeye.registry_log.version is 'Version of the registry (mobeye.counter), given at commit.';
comment on column mobeye.registry_log.device_id is 'The device; both ids where it was given another.';
comment on column mobeye.registry_log.xid is 'The transaction.';
comment on column mobeye.registry_log.at is 'When that began.';

-- A row here is made by the first change of a transaction and taken away at its commit, so that a number is taken once
-- however many rows changed.
create table if not exists mobeye.version_due (
    name text,
    xid xid8 default pg_current_xact_id(),
    primary key (name, xid)
);
comment on table mobeye.version_due is 'Which versions a transaction will take at its commit; empty for everybody else.';
comment on column mobeye.version_due.name is 'The counter.';
comment on column mobeye.version_due.xid is 'The transaction.';

create or replace function mobeye.take_versions() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    due text;
    taken bigint;
begin
    -- All that are due, in one order: two transactions never wait for each other's counters.
    for due in select d.name from mobeye.version_due d where d.xid = pg_current_xact_id() order by d.name loop
        delete from mobeye.version_due d where d.name = due and d.xid = pg_current_xact_id();
        update mobeye.counter c set value = c.value + 1 where c.name = due returning c.value into strict taken;
        if due = 'registry' then
            update mobeye.registry_log set version = taken where version is null and xid = pg_current_xact_id();
        end if;
        perform pg_notify('mobeye_' || due, taken::text);
    end loop;
    return null;
end
$$;
comment on function mobeye.take_versions() is
    'At commit: gives the transaction its versions, and tells the listeners of mobeye_registry and mobeye_areas.';

drop trigger if exists version_at_commit on mobeye.version_due;
create constraint trigger version_at_commit after insert on mobeye.version_due
    deferrable initially deferred for each row execute function mobeye.take_versions();

-- Of a statement, not of each row: an import of 100,000 devices costs one insert here.
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
        insert into mobeye.version_due values ('registry') on conflict do nothing;
    end if;
    return null;
end
$$;
comment on function mobeye.log_registry() is 'Writes down which devices a statement changed; one that changes nothing is none.';

-- Two that change the vintages of a layer at once take turns, or neither would see the other's.
create or replace function mobeye.keep_valid(layers text[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform pg_advisory_xact_lock(1297039941, 3);
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
comment on function mobeye.keep_valid(text[]) is 'Sets from when until when the vintages of the layers hold.';

create or replace function mobeye.vintage_start(vintage integer) returns timestamptz
language sql stable parallel safe
set search_path = pg_catalog, pg_temp
as $$ select make_timestamptz(vintage, 1, 1, 0, 0, 0, 'Europe/Amsterdam') $$;
comment on function mobeye.vintage_start(integer) is 'From when a vintage holds.';

create or replace function mobeye.log_areas() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    changed boolean := true;
    layers text[] := '{}'; -- whose vintages may be others now
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
        insert into mobeye.version_due values ('areas') on conflict do nothing;
    end if;
    if layers <> '{}' then
        perform mobeye.keep_valid(layers);
    end if;
    return null;
end
$$;
comment on function mobeye.log_areas() is 'Notes that a statement changed areas, and keeps right when their vintages hold.';

-- Each of its tables, when and by which function a change is noted.
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
        raise warning 'there is no team "%" yet', team;
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

-- Imports --------------------------------------------------------------------------------------------------------
-- Whoever imports fills a temporary table, asks check_... what is wrong with it, and where nothing is, calls merge_...,
-- all in one transaction. What is the same already is not written, so that it makes no version.

create or replace function mobeye.stage_areas() returns void
language sql
set search_path = pg_catalog, public, pg_temp
as $$
    create temporary table area_import (
        feature integer, -- number in the file, from 1
        line bigint,
        code text,
        name text,
        geom geometry(multipolygon, 4326)
    ) on commit drop
$$;
comment on function mobeye.stage_areas() is 'Makes the temporary table area_import, for one transaction.';

-- What is good after all is mended in area_import, and is there once.
create or replace function mobeye.check_areas()
returns table (feature integer, line bigint, code text, name text, warning boolean, message text)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
declare
    geom geometry;
begin
    create index on pg_temp.area_import (code);
    create index on pg_temp.area_import (feature);
    analyze pg_temp.area_import;
    return query
    select r.feature, r.line, r.code, r.name, r.same,
           case when r.same then format('code: was in feature %s with all the same; it counts once', r.first)
                else format('code: is in feature %s too, with another name or geometry (a code is there once; ogr2ogr '
                            '-dialect sqlite -sql "select code, name, st_union(geometry) from LAYER group by code" '
                            'joins parts)', r.first)
           end
      from (select i.*, first_value(i.feature) over w as first,
                   (i.name, i.geom) = (first_value(i.name) over w, first_value(i.geom) over w) as same
              from pg_temp.area_import i window w as (partition by i.code order by i.feature)) r
     where r.feature <> r.first;
    delete from pg_temp.area_import i using pg_temp.area_import f where f.code = i.code and f.feature < i.feature;

    for feature, line, code, name, geom in
        select i.feature, i.line, i.code, i.name, i.geom from pg_temp.area_import i where not st_isvalid(i.geom)
    loop
        update pg_temp.area_import i set geom = mobeye.mend_area(i.geom) where i.feature = check_areas.feature
        returning not st_isempty(i.geom) into warning;
        message := format('geometry: is invalid (%s)%s', st_isvalidreason(geom),
                          case when warning then ' and was repaired' else ' and no polygon remains of it' end);
        return next;
    end loop;
end
$$;
comment on function mobeye.check_areas() is 'What is wrong with area_import; merge_areas() takes it where all are warnings.';

create or replace function mobeye.merge_areas(layer text, vintage integer)
returns table (areas bigint, added bigint, changed bigint, removed bigint)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
begin
    perform pg_advisory_xact_lock(1297039941, 3);
    delete from mobeye.area a
     where a.layer = merge_areas.layer and a.vintage is not distinct from merge_areas.vintage
       and not exists (select from pg_temp.area_import i where i.code = a.code);
    get diagnostics removed = row_count;
    update mobeye.area a
       set name = i.name, geom = i.geom
      from pg_temp.area_import i
     where a.layer = merge_areas.layer and a.vintage is not distinct from merge_areas.vintage and a.code = i.code
       and (a.name, a.geom) is distinct from (i.name, i.geom);
    get diagnostics changed = row_count;
    insert into mobeye.area (layer, code, name, vintage, geom)
    select merge_areas.layer, i.code, i.name, merge_areas.vintage, i.geom
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
    'Makes the areas of a layer and vintage (null: always) those of area_import; returns how many they are, and of these '
    'which were added, changed and removed.';

create or replace function mobeye.stage_devices() returns void
language sql
set search_path = pg_catalog, pg_temp
as $$
    create temporary table device_import (
        line bigint,
        device_id text collate "C",
        model text,
        "group" text,
        account text,
        input integer,
        heartbeat interval,
        grace interval,
        placed_from timestamptz,
        placed_until timestamptz,
        address text,
        lon float8,
        lat float8,
        rd_x float8, -- EPSG:28992
        rd_y float8,
        team text,
        secret boolean,
        instructions text,
        geom public.geometry(point, 4326), -- set by check_devices(), as is:
        during tstzrange
    ) on commit drop
$$;
comment on function mobeye.stage_devices() is 'Makes the temporary table device_import, for one transaction.';

create or replace function mobeye.locate_devices() returns void
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    create index on pg_temp.device_import (device_id);
    create index on pg_temp.device_import (account);
    update pg_temp.device_import
       set geom = case when lon is not null then st_setsrid(st_makepoint(lon, lat), 4326)
                       else st_transform(st_setsrid(st_makepoint(rd_x, rd_y), 28992), 4326) end
     where lon is not null or rd_x is not null;
    -- Without a start it is where it stands, if that is the place; else it comes there now.
    update pg_temp.device_import i
       set during = tstzrange(
               coalesce(i.placed_from,
                        (select lower(p.during) from mobeye.placement p
                          where p.device_id = i.device_id and lower(p.during) <= now() and p.during @> now()
                            and p.geom = i.geom),
                        now()),
               i.placed_until)
     where i.geom is not null and (i.placed_until is null or i.placed_until > coalesce(i.placed_from, now()));
    analyze pg_temp.device_import;
end
$$;
comment on function mobeye.locate_devices() is 'Sets place and time of the placements in device_import.';

create or replace function mobeye.check_devices() returns table (line bigint, warning boolean, "column" text, message text)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
begin
    perform mobeye.locate_devices();

    return query -- the rows of a device agree
    select r.line, false, r.name, format('device %s has "%s" in line %s and "%s" here (its rows must agree)',
                                         r.device_id, r.first_value, r.first_line, r.value)
      from (select i.line, i.device_id, c.name, c.value, first_value(i.line) over w as first_line,
                   first_value(c.value) over w as first_value
              from pg_temp.device_import i,
                   lateral (values ('model', i.model), ('group', i."group"), ('account', i.account),
                                   ('input', i.input::text), ('heartbeat', i.heartbeat::text),
                                   ('grace', i.grace::text)) as c(name, value)
             where c.value is not null
            window w as (partition by i.device_id, c.name order by i.line)) r
     where r.value <> r.first_value;

    return query -- an address is that of one device
    select i.line, false, 'account'::text, format('account %s%s is that of device %s%s', i.account,
                                                  ' input ' || i.input, o.device_id, ' in line ' || o.line)
      from pg_temp.device_import i
      cross join lateral (
            select f.device_id, f.line from pg_temp.device_import f
             where f.account = i.account and f.input is not distinct from i.input and f.line < i.line
               and f.device_id <> i.device_id
             union all
            select a.device_id, null from mobeye.device_address a
             where a.account = i.account and a.input is not distinct from i.input
               and not exists (select from pg_temp.device_import f where f.device_id = a.device_id)
             limit 1) o
     where i.account is not null;

    return query -- a device is in one place at a time
    select r.line, false, 'placed_from'::text, format('device %s is in another place then, by line %s', r.device_id, r.other)
      from (select i.line, i.device_id, i.during, lag(i.line) over w as other,
                   max(coalesce(upper(i.during), 'infinity')) over (w rows between unbounded preceding and 1 preceding) as until
              from pg_temp.device_import i where i.during is not null
            window w as (partition by i.device_id order by lower(i.during), i.line)) r
     where r.until > lower(r.during);
    return query
    select i.line, false, 'placed_from'::text,
           format('device %s is placed from %s until %s already (end that placement, or correct it where it is: '
                  'mobeyectl device retrieve, QGIS)', i.device_id,
                  to_char(lower(p.during) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                  coalesce(to_char(upper(p.during) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), 'further notice'))
      from pg_temp.device_import i
      join mobeye.placement p on p.device_id = i.device_id and p.during && i.during
     where not exists (select from pg_temp.device_import f
                        where f.device_id = p.device_id and lower(f.during) = lower(p.during))
       and not (upper_inf(p.during) and lower(p.during) < lower(i.during));

    return query
    select i.line, false, 'placed_until'::text, 'is over already, and without placed_from it begins now'
      from pg_temp.device_import i where i.geom is not null and i.during is null;
    return query
    select i.line, false, 'device_id'::text,
           format('device %s is in state "%s", so it cannot be placed (set it to "stock" first)', i.device_id, d.state)
      from pg_temp.device_import i join mobeye.device d using (device_id)
     where d.state in ('repair', 'retired') and (upper_inf(i.during) or upper(i.during) > now());
    return query
    select i.line, true, 'team'::text, format('there is no team "%s" yet (mobeyectl teams import)', i.team)
      from pg_temp.device_import i
     where i.team is not null and not exists (select from mobeye.team t where t.team = i.team);
end
$$;
comment on function mobeye.check_devices() is
    'What is wrong with device_import; merge_devices() takes it where all are warnings.';

create or replace function mobeye.merge_devices(columns text[])
returns table (devices bigint, devices_added bigint, devices_changed bigint, addresses_changed bigint,
               placements_added bigint, placements_changed bigint)
language plpgsql
set search_path = pg_catalog, public, pg_temp
as $$
#variable_conflict use_column
declare
    n bigint;
begin
    select count(distinct device_id) into devices from pg_temp.device_import;

    create temporary table device_merge on commit drop as
    select device_id, min(model) as model, min("group") as "group", min(account) as account, min(input) as input,
           min(heartbeat) as heartbeat, coalesce(min(grace), '0') as grace
      from pg_temp.device_import group by device_id;
    analyze pg_temp.device_merge;
    update mobeye.device d
       set model = case when 'model' = any (columns) then m.model else d.model end,
           device_group = case when 'group' = any (columns) then m."group" else d.device_group end,
           heartbeat = case when 'heartbeat' = any (columns) then m.heartbeat else d.heartbeat end,
           grace = case when 'grace' = any (columns) then m.grace else d.grace end
      from pg_temp.device_merge m
     where d.device_id = m.device_id
       and ('model' = any (columns) and d.model is distinct from m.model
            or 'group' = any (columns) and d.device_group is distinct from m."group"
            or 'heartbeat' = any (columns) and d.heartbeat is distinct from m.heartbeat
            or 'grace' = any (columns) and d.grace <> m.grace);
    get diagnostics devices_changed = row_count;
    insert into mobeye.device (device_id, model, device_group, heartbeat, grace)
    select m.device_id, m.model, m."group", m.heartbeat, m.grace from pg_temp.device_merge m
     where not exists (select from mobeye.device d where d.device_id = m.device_id);
    get diagnostics devices_added = row_count;

    addresses_changed := 0;
    if 'account' = any (columns) then
        delete from mobeye.device_address a using pg_temp.device_merge m
         where a.device_id = m.device_id and (a.account, a.input) is distinct from (m.account, m.input);
        get diagnostics addresses_changed = row_count;
        insert into mobeye.device_address (account, input, device_id)
        select m.account, m.input, m.device_id from pg_temp.device_merge m
         where m.account is not null
           and not exists (select from mobeye.device_address a
                            where a.account = m.account and a.input is not distinct from m.input);
        get diagnostics n = row_count;
        addresses_changed := greatest(addresses_changed, n);
    end if;

    update mobeye.placement p -- left for the next place
       set during = tstzrange(lower(p.during), i.next)
      from (select q.placement_id, min(lower(f.during)) as next
              from mobeye.placement q
              join pg_temp.device_import f on f.device_id = q.device_id and lower(f.during) > lower(q.during)
             where upper_inf(q.during)
               and not exists (select from pg_temp.device_import e
                                where e.device_id = q.device_id and lower(e.during) = lower(q.during))
             group by q.placement_id) i
     where p.placement_id = i.placement_id;
    get diagnostics placements_changed = row_count;
    update mobeye.placement p
       set during = i.during, geom = i.geom,
           address = case when 'address' = any (columns) then i.address else p.address end,
           team = case when 'team' = any (columns) then i.team else p.team end,
           secret = case when 'secret' = any (columns) then coalesce(i.secret, false) else p.secret end,
           instructions = case when 'instructions' = any (columns) then i.instructions else p.instructions end
      from pg_temp.device_import i
     where p.device_id = i.device_id and lower(p.during) = lower(i.during)
       and (p.during <> i.during or p.geom is distinct from i.geom
            or 'address' = any (columns) and p.address is distinct from i.address
            or 'team' = any (columns) and p.team is distinct from i.team
            or 'secret' = any (columns) and p.secret <> coalesce(i.secret, false)
            or 'instructions' = any (columns) and p.instructions is distinct from i.instructions);
    get diagnostics n = row_count;
    placements_changed := placements_changed + n;
    insert into mobeye.placement (device_id, during, geom, address, team, secret, instructions)
    select i.device_id, i.during, i.geom, i.address, i.team, coalesce(i.secret, false), i.instructions
      from pg_temp.device_import i
     where i.during is not null
       and not exists (select from mobeye.placement p
                        where p.device_id = i.device_id and lower(p.during) = lower(i.during));
    get diagnostics placements_added = row_count;
    drop table pg_temp.device_merge;
    return next;
end
$$;
comment on function mobeye.merge_devices(text[]) is
    'Makes devices, addresses and placements those of device_import: what its columns say, empty cells too; what is '
    'missing among the columns stays. Returns how many devices it names, and how many rows were added and changed.';

-- Rights ---------------------------------------------------------------------------------------------------------

grant usage on schema mobeye to mobeye_registry;
grant select, insert, update, delete on mobeye.device, mobeye.device_address, mobeye.device_input, mobeye.placement,
    mobeye.area to mobeye_registry;
grant select on mobeye.counter, mobeye.registry_log, mobeye.team, mobeye.team_area, mobeye.device_status,
    mobeye.device_unknown to mobeye_registry;

grant select on mobeye.counter, mobeye.registry_log, mobeye.device, mobeye.device_address, mobeye.device_input,
    mobeye.placement, mobeye.area, mobeye.team, mobeye.team_area, mobeye.device_unknown to mobeye_ingest;
grant select on mobeye.device_status to mobeye_ingest; -- it writes by mobeye.note_devices()

grant execute on function mobeye.mend_area(public.geometry), mobeye.vintage_start(integer),
    mobeye.is_placed(text, timestamptz) to mobeye_registry;
grant execute on function mobeye.refresh_states(text[]) to mobeye_ingest, mobeye_registry;
grant execute on function
    mobeye.device_place(text, float8, float8, timestamptz, timestamptz, text, text, boolean, text),
    mobeye.device_retrieve(text, timestamptz), mobeye.stage_areas(), mobeye.check_areas(),
    mobeye.merge_areas(text, integer), mobeye.stage_devices(), mobeye.locate_devices(), mobeye.check_devices(),
    mobeye.merge_devices(text[]) to mobeye_registry;

-- How the daemon reads the registry and the areas ---------------------------------------------------------------------

-- What changed since a version, or everything where that is asked for (0), where the database has not come as far (it
-- was restored), or where the log no longer reaches back. One snapshot, since a stable function has that of its caller.
-- The first row is a head: name is 'everything' or 'changes'. Then the rows of one device follow each other, its
-- placements by time: what is 'device' (name: its group), 'gone', 'address' (name: account), 'placement' (name: team)
-- or, where everything is asked for, 'fix'.
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
        select a.device_id, 'address', a.account, a.input, null, null, null, null, null, null
            from mobeye.device_address a where everything or a.device_id = any (changed)
        union all
        select p.device_id, 'placement', p.team, null, p.placement_id, lower(p.during), upper(p.during),
            st_x(p.geom), st_y(p.geom), null
            from mobeye.placement p where everything or p.device_id = any (changed)
        union all
        select s.device_id, 'fix', null, null, null, s.fix_at, null, st_x(s.fix), st_y(s.fix), s.fix_accuracy_m
            from mobeye.device_status s where everything and s.fix is not null and s.fix_at > now() - interval '1 day'
        ) x order by x.device_id collate "C", x.since;
end
$$;
comment on function mobeye.registry_since(bigint) is
    'For the daemon: the devices, addresses and placements that changed since a version; 0: all, with last fixes.';

-- All areas, or one row of nulls; each row has the version.
create or replace function mobeye.areas_now()
returns table (version bigint, layer text, code text, vintage integer, since timestamptz, until timestamptz, polygon bytea)
language sql stable security definer set search_path = pg_catalog, public, pg_temp
begin atomic
    select c.value, a.layer, a.code, a.vintage, lower(a.valid), upper(a.valid), st_asbinary(a.geom, 'NDR')
        from mobeye.counter c left join mobeye.area a on not isempty(a.valid)
        where c.name = 'areas';
end;
comment on function mobeye.areas_now() is 'For the daemon: all areas as WKB, with the version of the areas.';

grant execute on function mobeye.registry_since(bigint), mobeye.areas_now() to mobeye_ingest;
