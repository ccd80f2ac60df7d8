-- How people work: from acknowledging an incident to closing it, mutes, the map, and the look at one incident.
-- By hand, backwards: drop the functions below; then run 0001_alerts.sql again for its patrol.api_version().

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- What they have in common

create or replace function mobeye.actor() returns text
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if exists (select from mobeye.front_end f where f.login = session_user)
       and nullif(current_setting('mobeye.acting_as', true), '') is null
       and (mobeye.viewer()).via is null then
        raise exception 'the front end "%" does not say for whom it acts', session_user
            using errcode = 'invalid_authorization_specification',
                  hint = 'Set mobeye.acting_as to the person''s login before.';
    end if;
    return (mobeye.viewer()).login;
end
$$;
comment on function mobeye.actor() is 'The person to record; refuses a front end that does not say for whom it acts.';

create or replace function mobeye.note_change(incident_id bigint, op text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident;
begin
    select * into strict i from mobeye.incident t where t.incident_id = note_change.incident_id;
    insert into mobeye.change (at, incident_id, op, status, priority, category)
    values (clock_timestamp(), i.incident_id, note_change.op, i.status, i.priority, i.category);
    -- A full queue of notifications would fail the commit, and they are hints only.
    if pg_notification_queue_usage() <= 0.5 then
        perform pg_notify('mobeye_incident',
                          json_build_object('incident_id', i.incident_id, 'op', note_change.op, 'priority', i.priority,
                                            'category', i.category)::text);
    end if;
end
$$;
comment on function mobeye.note_change(bigint, text) is 'Adds to patrol.changes, and notifies who listens to mobeye_incident.';

create or replace function mobeye.remember(
    incident_id bigint, action text, note text default null, from_status text default null,
    to_status text default null, outcome text default null, assigned_to text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    insert into mobeye.incident_history
           (incident_id, at, actor, via, action, from_status, to_status, outcome, assigned_to, note)
    values (incident_id, clock_timestamp(), mobeye.actor(), (mobeye.viewer()).via, action, from_status, to_status,
            outcome, assigned_to, note);
end
$$;
comment on function mobeye.remember(bigint, text, text, text, text, text, text) is
    'Adds what the person does to the history of an incident.';

create or replace function mobeye.reference(incident_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select f.reference from mobeye.incident_full f where f.incident_id = reference.incident_id),
                    reference.incident_id::text)
$$;
comment on function mobeye.reference(bigint) is 'What an incident is called in messages.';

-- A front end that hangs with an incident locked would hold up everybody, the daemon too: such a transaction ends after
-- 10 s.
create or replace function mobeye.lock_incident(id bigint, expected_status text default null) returns mobeye.incident
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    patience interval := current_setting('idle_in_transaction_session_timeout')::interval;
    v mobeye.who := mobeye.viewer();
    i mobeye.incident;
begin
    perform mobeye.actor();
    if expected_status not in (select from_status from mobeye.transition) then
        raise exception 'there is no status "%" to expect', expected_status
            using errcode = 'invalid_parameter_value',
                  hint = 'A status is new, acknowledged, assigned, on_scene, closed or reopened.';
    end if;
    if patience not between '1 ms' and '10 s' then
        perform set_config('idle_in_transaction_session_timeout', '10s', true);
    end if;
    select * into i from mobeye.incident t where t.incident_id = id for update;
    if i.incident_id is null or not mobeye.in_sight(i.team, i.areas, v) then
        raise exception 'there is no incident %, or it is another team''s', coalesce(id::text, 'without a number')
            using errcode = 'no_data_found', hint = 'patrol.incidents lists those that you see.';
    end if;
    if i.status <> expected_status then
        raise exception 'incident % is %, not %', mobeye.reference(id), i.status, expected_status
            using errcode = 'MB001', detail = i.status,
                  hint = 'Somebody changed it meanwhile: look again before you go on.';
    end if;
    return i;
end
$$;
comment on function mobeye.lock_incident(bigint, text) is
    'Locks an incident that the person sees; refuses where its status is not the expected one (SQLSTATE MB001).';

create or replace function mobeye.step(
    id bigint, action text, expected_status text, note text default null, outcome text default null,
    officer text default null) returns text
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := mobeye.lock_incident(id, expected_status);
    target text := (select t.to_status from mobeye.transition t where t.action = step.action and t.from_status = i.status);
    possible text := (select string_agg(t.action, ', ' order by t.action) from mobeye.transition t
                       where t.from_status = i.status);
    at timestamptz := clock_timestamp();
    whose text := (select p.team from mobeye.person p where p.login = coalesce(officer, mobeye.actor()));
begin
    if target is null or action = 'assign' and i.status = target and i.assigned_to = officer then
        raise exception 'incident % is %, so % is not possible', mobeye.reference(id),
            concat_ws(' to ', i.status, case when i.status = 'assigned' then i.assigned_to end), action
            using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                  hint = format('Possible now: %s%s.', possible,
                                case when i.status = 'assigned' then ' (to another)' else '' end);
    end if;
    update mobeye.incident t
       set status = target,
           accepting = t.accepting and target <> 'closed',
           assigned_to = case action when 'assign' then officer when 'release' then null when 'reopen' then null
                                     when 'on_scene' then coalesce(t.assigned_to, mobeye.actor()) else t.assigned_to end,
           team = case when action in ('assign', 'on_scene') then coalesce(t.team, whose) else t.team end,
           acknowledged_at = case target when 'reopened' then null when 'closed' then t.acknowledged_at
                                         else coalesce(t.acknowledged_at, at) end,
           on_scene_at = case target when 'on_scene' then at when 'closed' then t.on_scene_at end,
           closed_at = case target when 'closed' then at end,
           closed_by_person = target = 'closed',
           outcome = step.outcome,
           overdue_since = null,
           merged_into = null
     where t.incident_id = id;
    perform mobeye.remember(id, 'status', note, i.status, target, outcome,
                            case action when 'assign' then officer end);
    perform mobeye.note_change(id, 'status');
    return target;
end
$$;
comment on function mobeye.step(bigint, text, text, text, text, text) is
    'Takes an incident along a transition of mobeye.transition, writes history and changes; returns the new status.';

create or replace function mobeye.given(what text, value text) returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    if value is null or value !~ '\S' or length(value) > 4000 then
        raise exception '% is missing or too long', what
            using errcode = 'invalid_parameter_value', hint = 'It takes 1 to 4000 characters that say something.';
    end if;
    return value;
end
$$;
comment on function mobeye.given(text, text) is 'The text, where it is one; refuses an empty one.';

-- ---------------------------------------------------------------------------------------------------------------------
-- From new to closed

create or replace function patrol.acknowledge(id bigint, expected_status text default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.step(id, 'acknowledge', expected_status) $$;
comment on function patrol.acknowledge(bigint, text) is
    'A person has seen a new or reopened incident. Returns the new status, as all that change one; expected_status, '
    'where given, refuses (SQLSTATE MB001) an incident that has another.';

create or replace function patrol.assign(id bigint, officer text, expected_status text default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.step(id, 'assign', expected_status, officer => mobeye.given('the officer', officer)) $$;
comment on function patrol.assign(bigint, text, text) is
    'Gives an open incident to an officer (login or call sign); one without a team becomes that of the officer.';

create or replace function patrol.release(id bigint, expected_status text default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.step(id, 'release', expected_status) $$;
comment on function patrol.release(bigint, text) is 'Gives an assigned incident back: it is acknowledged again.';

create or replace function patrol.on_scene(id bigint, expected_status text default null) returns text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.step(id, 'on_scene', expected_status) $$;
comment on function patrol.on_scene(bigint, text) is
    'Somebody has arrived. One that was assigned to nobody is assigned to who says so.';

create or replace function patrol.close(
    id bigint, outcome text, note text default null, expected_status text default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if (outcome in ('confirmed', 'false_alarm', 'technical', 'no_trace', 'drill')) is not true then
        raise exception '"%" is no outcome that people give', outcome
            using errcode = 'invalid_parameter_value',
                  hint = 'Outcomes are confirmed, false_alarm, technical, no_trace and drill.';
    end if;
    return mobeye.step(id, 'close', expected_status, note, outcome);
end
$$;
comment on function patrol.close(bigint, text, text, text) is
    'Closes an incident as confirmed, false_alarm, technical, no_trace or drill. Later alerts of its cause make a new '
    'one, except within settle of its rule.';

create or replace function patrol.reopen(id bigint, note text, expected_status text default null) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    status text := mobeye.step(id, 'reopen', expected_status, mobeye.given('the note that says why', note));
begin
    -- A daemon may make the accepting one of this key at the same moment: then that one accepts.
    begin
        update mobeye.incident i set accepting = true
         where i.incident_id = id
           and not exists (select from mobeye.incident o where o.incident_key = i.incident_key and o.accepting);
    exception when unique_violation then
        null;
    end;
    return status;
end
$$;
comment on function patrol.reopen(bigint, text, text) is
    'Opens a closed incident again, as new. It takes alerts again unless another of its cause does by now.';

create or replace function patrol.verify(id bigint, how text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident;
begin
    if how is distinct from 'person' then
        raise exception 'people verify an incident as person, not as "%"', how
            using errcode = 'invalid_parameter_value',
                  hint = 'second_device and second_input are what devices reported, and the system finds them.';
    end if;
    i := mobeye.lock_incident(id);
    if i.status = 'closed' then
        raise exception 'incident % is closed, so it cannot be verified', mobeye.reference(id)
            using errcode = 'object_not_in_prerequisite_state', detail = i.status, hint = 'Reopen it before.';
    end if;
    update mobeye.incident t
       set verified_by = how, priority = least(t.priority, t.verify_priority)
     where t.incident_id = id;
    perform mobeye.remember(id, 'verified', how);
    perform mobeye.note_change(id, 'verified');
    return how;
end
$$;
comment on function patrol.verify(bigint, text) is
    'A person (how: person) has seen or heard that an open incident is real: it goes before others of its priority, and '
    'gets the priority of its rule''s verify_by.';

create or replace function patrol.note(id bigint, text text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_incident(id);
    perform mobeye.remember(id, 'note', mobeye.given('the note', text));
    perform mobeye.note_change(id, 'note');
end
$$;
comment on function patrol.note(bigint, text) is 'Adds a note to the history of an incident, whatever its status.';

create or replace function patrol.link(id bigint, system text, ref text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_incident(id);
    update mobeye.incident t
       set external_system = mobeye.given('the system', system), external_ref = mobeye.given('the number', ref)
     where t.incident_id = id;
    perform mobeye.remember(id, 'link', system || ' ' || ref);
    perform mobeye.note_change(id, 'link');
end
$$;
comment on function patrol.link(bigint, text, text) is
    'Says under which number another system knows an incident; replaces what was linked before, which stays in the history.';

create or replace function patrol.claim_next(team text, officer text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.who := mobeye.viewer();
    theirs mobeye.who;
    patience text;
    next bigint;
    ours bigint;
begin
    perform mobeye.actor(), mobeye.given('the team', team), mobeye.given('the officer', officer);
    if v.team <> claim_next.team and not v.all_rows then
        raise exception 'you are of team "%", and take nothing for "%"', v.team, claim_next.team
            using errcode = 'insufficient_privilege', hint = 'Take the next one of your own team.';
    end if;
    if not exists (select from mobeye.team t where t.team = claim_next.team) and exists (select from mobeye.team) then
        raise exception 'there is no team "%"', claim_next.team
            using errcode = 'invalid_parameter_value',
                  hint = 'Teams: ' || (select string_agg(t.team, ', ' order by t.team) from mobeye.team t) || '.';
    end if;
    theirs.team := claim_next.team;
    theirs.all_rows := false;
    theirs.areas := array(select a.layer || ':' || a.code from mobeye.team_area a where a.team = claim_next.team);
    theirs.team_areas := array(select a.layer || ':' || a.code from mobeye.team_area a);
    -- One that is locked, by another officer or by alerts that join it, is passed over; where nothing else is left, it
    -- is waited for.
    foreach patience in array array['skip', 'wait'] loop
        for next in
            select q.incident_id from patrol.queue q
             where q.status in ('new', 'acknowledged', 'reopened')
               and exists (select from mobeye.incident i
                            where i.incident_id = q.incident_id
                              and mobeye.in_sight(i.team, i.areas, theirs))
             order by q.place
        loop
            -- The lock of one that turns out to be somebody's goes again with the block: who waits for one incident holds
            -- no other, or two officers would wait for each other.
            begin
                ours := null;
                if patience = 'skip' then
                    perform from mobeye.incident i where i.incident_id = next for update skip locked;
                else
                    perform from mobeye.incident i where i.incident_id = next for update;
                end if;
                if found then
                    select i.incident_id into ours from mobeye.incident i
                     where i.incident_id = next and i.status in ('new', 'acknowledged', 'reopened')
                       and mobeye.in_sight(i.team, i.areas, theirs);
                end if;
                if ours is null then
                    raise exception using errcode = 'MB002', message = 'not free';
                end if;
            exception when sqlstate 'MB002' then
                continue;
            end;
            perform mobeye.step(ours, 'assign', null, officer => officer);
            update mobeye.incident i set team = claim_next.team where i.incident_id = ours and i.team is distinct from claim_next.team;
            return ours;
        end loop;
    end loop;
    return null;
end
$$;
comment on function patrol.claim_next(text, text) is
    'Assigns to an officer the first incident of the queue that is nobody''s yet and the team''s, or without a team in its '
    'areas, which it then becomes. Returns its number, null where there is none. No two callers get the same one.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Mutes

create or replace function mobeye.mute_add(device text, area text, until timestamptz, reason text) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    added bigint;
begin
    if (until > at and until <= at + interval '366 days') is not true then
        raise exception 'a mute cannot last until %', coalesce(until::text, 'nobody says when')
            using errcode = 'invalid_parameter_value', hint = 'It needs an end, in the future and within a year.';
    end if;
    insert into mobeye.mute (device_id, area, at, until, reason, muted_by)
    values (device, mute_add.area, at, until, mobeye.given('the reason', reason), mobeye.actor())
    returning mute_id into added;
    perform mobeye.mute_announce(added, 'muted: ' || reason);
    return added;
end
$$;
comment on function mobeye.mute_add(text, text, timestamptz, text) is 'Adds a mute and says so of every open incident under it.';

create or replace function mobeye.mute_announce(mute_id bigint, note text) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    affected bigint;
begin
    for affected in
        select i.incident_id from mobeye.incident i join mobeye.mute m on m.device_id = i.device_id or m.area = any (i.areas)
         where m.mute_id = mute_announce.mute_id and i.status <> 'closed' and not i.urgent
         order by i.incident_id
    loop
        perform mobeye.remember(affected, 'mute', note), mobeye.note_change(affected, 'mute');
    end loop;
end
$$;
comment on function mobeye.mute_announce(bigint, text) is 'History and changes of the open incidents that a mute concerns.';

create or replace function mobeye.check_mute(device text, area text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.who := mobeye.viewer();
    whose text := (select p.team from mobeye.placement p where p.device_id = device and p.during @> now());
begin
    if not v.all_rows and (device is not null and whose <> v.team or device is null and not area = any (v.areas)) then
        raise exception 'the % "%" is not your team''s', case when device is null then 'area' else 'device' end,
            coalesce(device, area)
            using errcode = 'insufficient_privilege',
                  hint = 'A team mutes devices that stand with it or with none, and its own areas.';
    end if;
end
$$;
comment on function mobeye.check_mute(text, text) is 'Refuses to let a team mute, or unmute, what is another''s.';

create or replace function patrol.mute(device text, until timestamptz, reason text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from mobeye.device d where d.device_id = device)
       and not exists (select from mobeye.device_status s where s.device_id = device)
       and not exists (select from mobeye.incident i where i.device_id = device) then
        raise exception 'there is no device "%"', coalesce(device, 'without a name')
            using errcode = 'no_data_found', hint = 'patrol.devices lists those that are registered.';
    end if;
    perform mobeye.check_mute(device, null);
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
    perform mobeye.check_mute(null, layer || ':' || code);
    return mobeye.mute_add(null, layer || ':' || code, until, reason);
end
$$;
comment on function patrol.mute_area(text, text, timestamptz, text) is
    'As patrol.mute(), of all incidents in an area.';

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
    perform mobeye.check_mute(m.device_id, m.area);
    update mobeye.mute t set ended_at = clock_timestamp(), ended_by = mobeye.actor() where t.mute_id = unmute.mute_id;
    perform mobeye.mute_announce(unmute.mute_id, 'unmuted');
end
$$;
comment on function patrol.unmute(bigint) is
    'Ends a mute before its time. What is still active appears in the queue, as when the time is over.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Map, history, detail

-- Searched by the exact place, widened by more than half the diagonal of a cell, and then by the place that is shown: or
-- a secret place could be found by asking for ever smaller boxes.
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
begin
    if (lon between -180 and 180 and lat between -85 and 85 and radius_m between 1 and 5000) is not true then
        raise exception 'there is no history of % m around longitude %, latitude %', radius_m, lon, lat
            using errcode = 'invalid_parameter_value',
                  hint = 'Degrees, longitude first, up to 85 north or south; a radius of 1 to 5000 m.';
    end if;
    middle := public.st_setsrid(public.st_makepoint(lon, lat), 4326)::public.geography;
    around := public.st_expand(middle::public.geometry, (radius_m + 100) / (111000 * cos(radians(lat))),
                               (radius_m + 100) / 111000.0);
    return query
        select s.incident_id, s.reference, round(d.distance)::integer, s.first_seen, s.last_seen, s.category, s.priority,
               s.kind, s.status, s.outcome, s.verified_by, s.alert_count, s.drill, s.team, s.coarse
          from mobeye.incident_seen as s
         cross join lateral (select public.st_distance(s.seen_geom::public.geography, middle) as distance) as d
         where s.geom operator(public.&&) around and d.distance <= radius_m
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
begin
    if (west between -180 and 180 and east between -180 and 180 and west <= east
        and south between -90 and 90 and north between -90 and 90 and south <= north) is not true then
        raise exception 'west %, south %, east %, north % is no box', west, south, east, north
            using errcode = 'invalid_parameter_value', hint = 'Degrees, in this order: west, south, east, north.';
    end if;
    box := public.st_makeenvelope(west, south, east, north, 4326);
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
     where s.status <> 'closed' and s.geom operator(public.&&) public.st_expand(box, 0.005)
       and s.seen_geom operator(public.&&) box;
    return jsonb_build_object('type', 'FeatureCollection', 'features', features);
end
$$;
comment on function patrol.incidents_geojson(float8, float8, float8, float8) is
    'The open incidents that the reader sees in a box (degrees: west, south, east, north), as a FeatureCollection by RFC '
    '7946; secret ones as the centre of their cell.';

create or replace function mobeye.alerts_of(incident_id bigint, my_team text, everything boolean) returns jsonb
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
               || case when everything
                            or not mobeye.alert_hidden(a.device_id, a.occurred_at, a.incident_id, my_team) then
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
comment on function mobeye.alerts_of(bigint, text, boolean) is
    'The last 1000 alerts of an incident, without what is secret to a team.';

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
    if i.incident_id is null or not mobeye.in_sight(i.team, i.areas, v) then
        raise exception 'there is no incident %, or it is another team''s', coalesce(id::text, 'without a number')
            using errcode = 'no_data_found', hint = 'patrol.incidents lists those that you see.';
    end if;
    perform mobeye.remember(id, 'look', reason);
    -- A look whose transaction is taken back stays in the server's log.
    raise log 'mobeyed: % looked at incident %', actor, id;
    seen := v.auditor or coalesce(i.team = v.team or i.placement_team = v.team, false) or not i.secret;
    place := case when seen then i.rd else mobeye.cell(i.rd) end;
    return query
        select i.incident_id, i.reference, i.status, i.category, i.priority, i.kind,
               case when seen then i.device_id end, case when seen then i.address end,
               case when seen then i.instructions end,
               case when seen then i.geom else public.st_transform(place, 4326) end,
               round(public.st_x(place)::numeric, 2)::float8, round(public.st_y(place)::numeric, 2)::float8,
               i.location_source, case when seen then i.accuracy_m end, i.wijk_code, i.wijk_name, i.buurt_code, i.team,
               i.verified_by, i.alert_count, i.first_seen, i.last_seen, i.assigned_to, i.outcome, i.external_ref,
               not seen,
               mobeye.alerts_of(id, v.team, v.auditor),
               (select coalesce(jsonb_agg(to_jsonb(h) - 'incident_id' order by h.entry), '[]')
                  from mobeye.incident_history h where h.incident_id = id and (seen or h.action <> 'note'));
end
$$;
comment on function patrol.open_incident(bigint, text) is
    'The detail of an incident with its alerts (the last 1000) and its history, for a reason; who looked, when and why is '
    'in the history. Auditors see the place exactly here and only here; a secret place stays coarse to other teams.';

create or replace function patrol.api_version() returns integer
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as 'select 2';

grant execute on function
    patrol.acknowledge(bigint, text), patrol.assign(bigint, text, text), patrol.release(bigint, text),
    patrol.on_scene(bigint, text), patrol.close(bigint, text, text, text), patrol.reopen(bigint, text, text),
    patrol.verify(bigint, text), patrol.note(bigint, text), patrol.link(bigint, text, text),
    patrol.claim_next(text, text), patrol.mute(text, timestamptz, text),
    patrol.mute_area(text, text, timestamptz, text), patrol.unmute(bigint) to mobeye_patrol;
grant execute on function patrol.history_at(float8, float8, integer),
    patrol.incidents_geojson(float8, float8, float8, float8), patrol.open_incident(bigint, text)
    to mobeye_patrol, mobeye_auditor;
grant execute on function patrol.api_version() to mobeye_registry;
