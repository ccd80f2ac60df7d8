-- Mutes, the map, what happened at a place, and the look at one incident.
-- By hand, backwards: drop the functions below; then run 0001_alerts.sql again for its patrol.api_version().

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- Mutes

-- A mute ends with the placement, and where the equipment is moved it says nothing of the next home.
create or replace function mobeye.mute_add(device text, area text, until timestamptz, reason text,
                                           incident_id bigint default null) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    p mobeye.placement;
    added bigint;
begin
    if (until > at and until <= at + interval '366 days') is not true then
        raise exception 'a mute cannot last until %', coalesce(until::text, 'an unknown time')
            using errcode = 'invalid_parameter_value', hint = 'It needs an end, in the future and within a year.';
    end if;
    select * into p from mobeye.placement t where t.device_id = device and t.during @> now();
    insert into mobeye.mute (device_id, area, at, until, reason, muted_by, placement_id, team, secret, incident_id)
    values (device, mute_add.area, at, least(until, upper(p.during)), mobeye.given('the reason', reason), mobeye.actor(),
            p.placement_id, case when device is null then (mobeye.viewer()).team else p.team end,
            coalesce(p.secret, false), mute_add.incident_id)
    returning mute_id into added;
    perform mobeye.mute_announce(added, 'muted: ' || reason);
    return added;
end
$$;
comment on function mobeye.mute_add(text, text, timestamptz, text, bigint) is
    'Adds a mute and says so of every open incident under it.';

create or replace function mobeye.mute_announce(mute_id bigint, note text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    affected bigint;
begin
    for affected in
        select i.incident_id from mobeye.incident i join mobeye.mute m on m.device_id = i.device_id or m.area = any (i.areas)
         where m.mute_id = mute_announce.mute_id and i.status <> 'closed'
           and mobeye.mute_applies(m.mute_id, i.incident_id)
         order by i.incident_id
    loop
        perform mobeye.note_change(affected, 'mute');
        perform mobeye.remember(affected, 'mute', note);
    end loop;
end
$$;
comment on function mobeye.mute_announce(bigint, text) is 'History and changes of the open incidents that a mute concerns.';

create or replace function mobeye.check_mute(device text, area text, whose text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.who := mobeye.viewer();
begin
    if not v.all_rows
       and (v.team is null or device is not null and whose <> v.team
            or device is null and not area = any (v.areas) and whose is distinct from v.team) then
        raise exception 'the % "%" is not your team''s', case when device is null then 'area' else 'device' end,
            coalesce(device, area)
            using errcode = 'insufficient_privilege',
                  hint = 'A team mutes devices that stand with it or with none, and its own areas.';
    end if;
end
$$;
comment on function mobeye.check_mute(text, text, text) is
    'Refuses to let a team mute, or unmute, what is another''s; whose: the device''s team, or the mute''s.';

create or replace function patrol.mute(device text, until timestamptz, reason text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.who := mobeye.viewer();
    p mobeye.placement;
begin
    perform mobeye.check_mute(device, null, null);
    select * into p from mobeye.placement t where t.device_id = device and t.during @> now();
    -- Of a home that is secret to the person not even that the device is there.
    if p.secret and not v.everything and not coalesce(p.team = v.team, false)
       or not exists (select from mobeye.device d where d.device_id = device)
          and not exists (select from mobeye.device_status s where s.device_id = device)
          and not exists (select from mobeye.incident i where i.device_id = device and not i.secret) then
        raise exception 'there is no device "%"', coalesce(device, 'without a name')
            using errcode = 'no_data_found', hint = 'patrol.devices lists those that are registered.';
    end if;
    perform mobeye.check_mute(device, null, p.team);
    return mobeye.mute_add(device, null, until, reason);
end
$$;
comment on function patrol.mute(text, timestamptz, text) is
    'Keeps the incidents of a device out of the queue for a time: what it reports is stored and grouped all the same. '
    'Panic and holdup are never muted. Returns the number of the mute.';

create or replace function patrol.mute_area(layer text, code text, until timestamptz, reason text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from mobeye.area a where a.layer = mute_area.layer and a.code = mute_area.code) then
        raise exception 'there is no area "%" in layer "%"', code, layer
            using errcode = 'no_data_found',
                  hint = coalesce('Layers: ' || (select string_agg(distinct a.layer, ', ') from mobeye.area a) || '.',
                                  'No areas have been imported.');
    end if;
    perform mobeye.check_mute(null, layer || ':' || code, '');
    return mobeye.mute_add(null, layer || ':' || code, until, reason);
end
$$;
comment on function patrol.mute_area(text, text, timestamptz, text) is
    'As patrol.mute(), of all incidents in an area.';

create or replace function patrol.mute_until_restored(id bigint, at_most timestamptz, reason text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := mobeye.lock_incident(id);
begin
    if i.urgent or i.verified_by is not null or i.assigned_to is not null then
        raise exception 'incident % is %, so it cannot be muted', mobeye.reference(id),
            case when i.urgent then 'a panic or holdup alarm' when i.verified_by is not null then 'verified'
                 else 'assigned to ' || i.assigned_to end
            using errcode = 'object_not_in_prerequisite_state', detail = i.status;
    end if;
    if i.device_id is null or i.active = 0 or i.status = 'closed' then
        raise exception 'incident % has nothing active, so there is nothing to wait for', mobeye.reference(id)
            using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                  hint = 'patrol.mute() mutes a device for a time.';
    end if;
    perform mobeye.check_mute(i.device_id, null, (select p.team from mobeye.placement p
                                                   where p.device_id = i.device_id and p.during @> now()));
    return mobeye.mute_add(i.device_id, null, at_most, reason, id);
end
$$;
comment on function patrol.mute_until_restored(bigint, timestamptz, text) is
    'Mutes the device of an incident until everything active in that incident is restored, at the latest at_most; what is '
    'active then enters the queue again. Never for panic, holdup, what is verified or somebody''s. Returns the number of '
    'the mute.';

create or replace function patrol.unmute(mute_id bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    m mobeye.mute;
begin
    select * into m from mobeye.mute t where t.mute_id = unmute.mute_id for update;
    if m.mute_id is null or m.ended_at is not null or m.until <= clock_timestamp() then
        raise exception 'there is no mute % that holds', coalesce(mute_id::text, 'without a number')
            using errcode = 'no_data_found', hint = 'patrol.mutes lists those that are active.';
    end if;
    perform mobeye.check_mute(m.device_id, m.area, m.team);
    update mobeye.mute t set ended_at = clock_timestamp(), ended_by = mobeye.actor() where t.mute_id = unmute.mute_id;
    perform mobeye.mute_announce(unmute.mute_id, 'unmuted');
end
$$;
comment on function patrol.unmute(bigint) is
    'Ends a mute before its time. What is still active appears in the queue, as when the time is over.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Map, history, detail

create index if not exists incident_secret on mobeye.incident (team, placement_id) where secret;
create index if not exists incident_secret_team on mobeye.incident (secret_team) where secret;
create index if not exists incident_secret_officer on mobeye.incident (assigned_to) where secret and assigned_to is not null;

create or replace function mobeye.incidents_in(box public.geometry, v mobeye.who, open_only boolean) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select i.incident_id from mobeye.incident i
         where not i.secret and i.geom operator(public.&&) box and (not open_only or i.status <> 'closed')
        union all
        select i.incident_id from mobeye.incident i
         where i.cell operator(public.&&) box and (not open_only or i.status <> 'closed')
        union all
        select i.incident_id from mobeye.incident i where i.secret and i.team = v.team and i.geom operator(public.&&) box
        union all
        select i.incident_id from mobeye.incident i where i.secret and i.secret_team = v.team and i.geom operator(public.&&) box
        union all
        select i.incident_id from mobeye.incident i where i.secret and i.assigned_to = v.login and i.geom operator(public.&&) box
        union all
        select i.incident_id from mobeye.incident i where v.everything and i.secret and i.geom operator(public.&&) box)
$$;
comment on function mobeye.incidents_in(public.geometry, mobeye.who, boolean) is
    'The incidents in a box, and more: secret ones by their cell, and by their place only where that may be known.';

-- Searched in a box that is wider by more than half the diagonal of a cell, and then by the place that is shown: or a
-- secret place could be found by asking for ever smaller boxes.
create or replace function patrol.history_at(lon float8, lat float8, radius_m integer)
returns table (incident_id bigint, reference text, distance_m integer, first_seen timestamptz, last_seen timestamptz,
               category text, priority smallint, kind text, status text, outcome text, verified_by text,
               alert_count integer, drill boolean, team text, coarse boolean)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    middle public.geography;
    around public.geometry;
    candidates bigint[];
begin
    if (lon between -180 and 180 and lat between -85 and 85 and radius_m between 1 and 5000) is not true then
        raise exception 'there is no history of % m around longitude %, latitude %', radius_m, lon, lat
            using errcode = 'invalid_parameter_value',
                  hint = 'Degrees, longitude first, up to 85 north or south; a radius of 1 to 5000 m.';
    end if;
    middle := public.st_setsrid(public.st_makepoint(lon, lat), 4326)::public.geography;
    around := public.st_expand(middle::public.geometry, (radius_m + 100) / (111000 * cos(radians(lat))),
                               (radius_m + 100) / 111000.0);
    candidates := mobeye.incidents_in(around, mobeye.viewer(), false);
    return query
        select s.incident_id, s.reference, round(d.distance)::integer, s.first_seen, s.last_seen, s.category, s.priority,
               s.kind, s.status, s.outcome, s.verified_by, s.alert_count, s.drill, s.team, s.coarse
          from mobeye.incident_seen as s
         cross join lateral (select public.st_distance(s.seen_geom::public.geography, middle) as distance) as d
         where s.incident_id = any (candidates) and d.distance <= radius_m
         order by s.first_seen desc, s.incident_id desc;
end
$$;
comment on function patrol.history_at(float8, float8, integer) is
    'Incidents that the reader sees within a distance of a place (degrees, metres up to 5000), newest first; secret ones '
    'by the centre of their cell.';

create or replace function patrol.incidents_geojson(west float8, south float8, east float8, north float8) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    box public.geometry;
    features jsonb;
    candidates bigint[];
begin
    if (west between -180 and 180 and east between -180 and 180 and west <= east
        and south between -90 and 90 and north between -90 and 90 and south <= north) is not true then
        raise exception 'west %, south %, east %, north % is no box', west, south, east, north
            using errcode = 'invalid_parameter_value', hint = 'Degrees, in this order: west, south, east, north.';
    end if;
    box := public.st_makeenvelope(west, south, east, north, 4326);
    candidates := mobeye.incidents_in(public.st_expand(box, 0.005), mobeye.viewer(), true);
    select coalesce(jsonb_agg(
               jsonb_build_object(
                   'type', 'Feature', 'id', s.incident_id,
                   'geometry', jsonb_build_object(
                       'type', 'Point',
                       'coordinates', jsonb_build_array(round(public.st_x(s.seen_geom)::numeric, 7),
                                                        round(public.st_y(s.seen_geom)::numeric, 7))),
                   'properties', jsonb_build_object(
                       'incident_id', s.incident_id, 'reference', s.reference, 'status', s.status,
                       'category', s.category, 'priority', s.priority, 'kind', s.kind,
                       'address', case when not s.coarse then s.address end,
                       'device_id', case when not s.coarse then s.device_id end,
                       'accuracy_m', case when not s.coarse then s.accuracy_m end,
                       'location_source', s.location_source, 'coarse', s.coarse, 'team', s.team,
                       'wijk_code', s.wijk_code, 'verified_by', s.verified_by, 'alert_count', s.alert_count,
                       'first_seen', s.first_seen, 'last_seen', s.last_seen, 'delayed', s.delayed, 'drill', s.drill,
                       'muted_until', s.muted_until, 'overdue_since', s.overdue_since, 'assigned_to', s.assigned_to))
               order by s.incident_id), '[]')
      into features
      from mobeye.incident_seen as s
     where s.incident_id = any (candidates)
       and s.status <> 'closed' and s.seen_geom operator(public.&&) box;
    return jsonb_build_object('type', 'FeatureCollection', 'features', features);
end
$$;
comment on function patrol.incidents_geojson(float8, float8, float8, float8) is
    'The open incidents that the reader sees in a box (degrees: west, south, east, north), as a FeatureCollection by RFC '
    '7946; secret ones as the centre of their cell.';

-- Of secret placements only those are touched whose address the reader may know: not even the time that this takes, or the
-- rows that it reads, tells of others.
create index if not exists placement_address on mobeye.placement (lower(address), secret, team);

create or replace function patrol.incidents_at(address text) returns setof patrol.incidents
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off
as $$
declare
    v mobeye.who := mobeye.viewer();
    wanted text := lower(address);
    placements bigint[];
    incidents bigint[];
begin
    placements := array(
        select p.placement_id from mobeye.placement p where lower(p.address) = wanted and not p.secret
        union all
        select p.placement_id from mobeye.placement p
         where lower(p.address) = wanted and p.secret and (v.everything or p.team = v.team));
    incidents := array(
        select i.incident_id from mobeye.incident i where i.placement_id = any (placements)
        union all
        select i.incident_id from mobeye.incident i join mobeye.placement p on p.placement_id = i.placement_id
         where i.secret and i.team = v.team and lower(p.address) = wanted
        union all
        select i.incident_id from mobeye.incident i join mobeye.placement p on p.placement_id = i.placement_id
         where i.secret and i.assigned_to = v.login and lower(p.address) = wanted);
    return query
        select s.* from patrol.incidents s where s.incident_id = any (incidents) and not s.coarse
         order by s.incident_id desc;
end
$$;
comment on function patrol.incidents_at(text) is
    'The incidents at an address (the whole of it, upper or lower case), newest first, as far as the reader sees them exactly.';

create or replace function mobeye.alerts_of(incident_id bigint, v mobeye.who) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    from_at timestamptz;
    until_at timestamptz;
begin
    select i.first_seen - coalesce(i.gap, '0'), i.last_seen + coalesce(i.gap, '0') into from_at, until_at
      from mobeye.incident i where i.incident_id = alerts_of.incident_id;
    return (select coalesce(jsonb_agg(l.alert order by l.occurred_at, l.journal_seq), '[]') from (
        select a.occurred_at, a.journal_seq,
               jsonb_build_object(
                   'occurred_at', a.occurred_at, 'received_at', a.received_at, 'endpoint', a.endpoint, 'kind', a.kind,
                   'phase', a.phase, 'input', a.input, 'flags', a.flags, 'rule', a.rule,
                   'location_source', a.location_source)
               || case when v.auditor
                            or not a.secret or mobeye.secret_is_theirs(a.team, a.incident_id, v) then
                   jsonb_build_object(
                       'source', a.source, 'event_id', a.event_id, 'device_id', a.device_id, 'payload', a.payload,
                       'accuracy_m', a.accuracy_m, 'geometry', public.st_asgeojson(a.geom, 7)::jsonb)
                  else '{}' end as alert
          from mobeye.alert a
         where a.incident_id = alerts_of.incident_id and a.occurred_at between from_at and until_at
         order by a.occurred_at desc, a.journal_seq desc
         limit 1000) as l);
end
$$;
comment on function mobeye.alerts_of(bigint, mobeye.who) is
    'The last 1000 alerts of an incident, without what is secret to the person; an auditor sees everything.';

create or replace function patrol.open_incident(id bigint, reason text)
returns table (incident_id bigint, reference text, status text, category text, priority smallint, kind text,
               device_id text, address text, instructions text, geom public.geometry, rd_x float8, rd_y float8,
               location_source text, accuracy_m real, wijk_code text, wijk_name text, buurt_code text, team text,
               verified_by text, alert_count integer, first_seen timestamptz, last_seen timestamptz,
               assigned_to text, outcome text, external_ref text, coarse boolean, alerts jsonb, history jsonb)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v mobeye.who := mobeye.viewer();
    actor text := mobeye.actor();
    i mobeye.incident_full;
    seen boolean;
    place public.geometry;
begin
    perform mobeye.given('the reason', reason);
    select * into i from mobeye.incident_full f where f.incident_id = id;
    if i.incident_id is null or not mobeye.in_sight(i.team, i.areas, i.assigned_to, v) then
        raise exception 'there is no incident %, or it is another team''s', coalesce(id::text, 'without a number')
            using errcode = 'no_data_found', hint = 'patrol.incidents lists those that you see.';
    end if;
    perform mobeye.remember(id, 'look', reason);
    -- A look whose transaction is taken back stays in the server's log.
    raise log 'mobeyed: % looked at incident %', actor, id;
    seen := v.auditor or not i.secret or coalesce(v.team in (i.team, i.secret_team) or i.assigned_to = v.login, false);
    place := case when seen then i.rd else public.st_transform(i.cell, 28992) end;
    return query
        select i.incident_id, i.reference, i.status, i.category, i.priority, i.kind,
               case when seen then i.device_id end, case when seen then i.address end,
               case when seen then i.instructions end,
               case when seen then i.geom else public.st_transform(place, 4326) end,
               round(public.st_x(place)::numeric, 2)::float8, round(public.st_y(place)::numeric, 2)::float8,
               i.location_source, case when seen then i.accuracy_m end, i.wijk_code, i.wijk_name, i.buurt_code, i.team,
               i.verified_by, i.alert_count, i.first_seen, i.last_seen, i.assigned_to, i.outcome,
               case when seen then i.external_ref end,
               not seen,
               mobeye.alerts_of(id, v),
               (select coalesce(jsonb_agg(to_jsonb(h) - 'incident_id'
                                          || case when seen then '{}' else '{"note": null}'::jsonb end
                                          order by h.entry), '[]')
                  from mobeye.incident_history h where h.incident_id = id);
end
$$;
comment on function patrol.open_incident(bigint, text) is
    'The detail of an incident with its alerts (the last 1000) and its history, for a reason; who looked, when and why is '
    'in the history. Auditors see the place exactly here and only here; a secret place stays coarse to other teams.';

create or replace function patrol.api_version() returns integer
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as 'select 2';

grant execute on function patrol.mute(text, timestamptz, text),
    patrol.mute_area(text, text, timestamptz, text), patrol.mute_until_restored(bigint, timestamptz, text),
    patrol.unmute(bigint) to mobeye_patrol;
grant execute on function patrol.incidents_at(text) to mobeye_patrol;
grant execute on function patrol.history_at(float8, float8, integer),
    patrol.incidents_geojson(float8, float8, float8, float8), patrol.open_incident(bigint, text)
    to mobeye_patrol, mobeye_auditor;
grant execute on function patrol.api_version() to mobeye_registry;
