-- Mutes: devices and areas whose incidents are kept out of the queue for a time.

create or replace function mobeye.is_mutable(i mobeye.incident) returns boolean
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return not i.urgent and i.verified_by is null and i.assigned_to is null;
end
$$;
comment on function mobeye.is_mutable(mobeye.incident) is
    'Whether an incident may be muted: not if a panic or holdup joined, nor if it is verified or assigned.';

-- Another device may provide the better place. The incident of a silence has no device_placement_id.
create or replace function mobeye.stood_at(i mobeye.incident) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(i.device_placement_id, (select p.placement_id from mobeye.placement p
                                             where p.placement_id = i.placement_id
                                               and i.device_id in (select mobeye.names_of(p.device_id))))
$$;
comment on function mobeye.stood_at(mobeye.incident) is 'The placement of the device with which an incident began; null if it stood nowhere.';

-- By where each device was then; a mute ends with its placement.
create or replace function mobeye.devices_muted(i mobeye.incident, from_at timestamptz, until_at timestamptz) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return not exists (
        select from (select i.device_id, coalesce(i.device_placement_id, mobeye.stood_at(i)) as placement_id
                     union all
                     select c.device_id, (select p.placement_id from mobeye.placement p
                                           where p.device_id = c.device_id and p.during @> c.since)
                       from mobeye.incident_condition c
                      where c.incident_id = i.incident_id and c.device_id <> i.device_id) as d
         where ((select range_agg(tstzrange(m.at, least(m.until, m.ended_at), '[]')) from mobeye.mute m
                  where m.device_id = d.device_id and m.placement_id is not distinct from d.placement_id
                    and m.at <= least(m.until, m.ended_at)
                    and (m.at > greatest(i.released_at, i.reopened_at)) is not false)
                @> tstzrange(least(from_at, until_at), until_at, '[]')) is not true);
end
$$;
comment on function mobeye.devices_muted(mobeye.incident, timestamptz, timestamptz) is
    'Whether each of the devices of an incident was muted all the time between two, by mutes that still apply to the incident.';

-- A mute of a device applies only at the placement where it was muted, and to an incident that other devices joined only if
-- they are muted too (or, if it is over, were when it ended), or were when the incident was restored; a mute of an area only
-- to incidents of the team of the person who muted it, or of no team. An incident that a person has released or reopened since
-- stays in the queue.
create or replace function mobeye.mute_covers(m mobeye.mute, i mobeye.incident) returns boolean
language plpgsql stable cost 1000
set search_path = pg_catalog, pg_temp
as $$
declare
    latest timestamptz := least(clock_timestamp(), m.until, m.ended_at);
begin
    if not mobeye.is_mutable(i) or m.at <= greatest(i.released_at, i.reopened_at) then
        return false;
    end if;
    if m.area is not null then
        return m.area = any (i.areas) and (m.team is null or i.team is null or i.team = m.team);
    end if;
    if m.device_id <> i.device_id and not exists (select from mobeye.incident_condition c
                                                   where c.incident_id = i.incident_id and c.device_id = m.device_id) then
        return false;
    end if;
    return mobeye.devices_muted(i, latest, latest)
        or i.restored_at is not null and i.restore_received_at >= m.at
           and mobeye.devices_muted(i, i.restore_received_at, i.restore_received_at);
end
$$;
comment on function mobeye.mute_covers(mobeye.mute, mobeye.incident) is
    'Whether a mute keeps an incident out of the queue while it is active.';

create or replace function mobeye.was_muted(i mobeye.incident, since timestamptz) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from mobeye.mute m
                    where least(m.until, m.ended_at) > since
                      and (m.area = any (i.areas)
                           or m.device_id = any (i.device_id || array(select c.device_id from mobeye.incident_condition c
                                                                       where c.incident_id = i.incident_id)))
                      and mobeye.mute_covers(m, i))
$$;
comment on function mobeye.was_muted(mobeye.incident, timestamptz) is
    'Whether a mute that is active or ended after a time kept an incident out of the queue.';

create or replace function mobeye.muted_since(i mobeye.incident, from_at timestamptz, until_at timestamptz) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return mobeye.is_mutable(i)
       and (mobeye.devices_muted(i, from_at, until_at)
            or exists (select from mobeye.mute m
                        where m.area = any (coalesce(i.areas_throughout, i.areas)) and m.at <= least(m.until, m.ended_at)
                          and mobeye.mute_covers(m, i)
                        group by m.area
                       having range_agg(tstzrange(m.at, least(m.until, m.ended_at), '[]')) @> tstzrange(least(from_at, until_at), until_at, '[]')));
end
$$;
comment on function mobeye.muted_since(mobeye.incident, timestamptz, timestamptz) is
    'Whether each of the devices of an incident, or an area that it did not leave, was muted all the time between two.';

create or replace function mobeye.mute_applies(mute_id bigint, incident_id bigint) returns boolean
language plpgsql stable security definer cost 1000
set search_path = pg_catalog, pg_temp
as $$
declare
    m mobeye.mute;
    i mobeye.incident;
begin
    select * into m from mobeye.mute t where t.mute_id = mute_applies.mute_id;
    select * into i from mobeye.incident t where t.incident_id = mute_applies.incident_id;
    return mobeye.mute_covers(m, i) and not mobeye.is_closed_to_viewer(i);
end
$$;
comment on function mobeye.mute_applies(bigint, bigint) is
    'The same by numbers, for views; false for a device manager who does not see the incident.';

create or replace view mobeye.active_mute as
select m.* from mobeye.mute m
 where m.until > now() and m.ended_at is null
   and (m.incident_id is null
        or exists (select from mobeye.incident i
                    where i.incident_id = m.incident_id and i.active > 0 and i.status <> 'closed'));
comment on view mobeye.active_mute is 'The mutes that are active now.';

create or replace function mobeye.restored_in_mute(incident_id bigint) returns boolean
language plpgsql stable security definer cost 1000
set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (select from mobeye.incident i
                     join mobeye.mute m on m.device_id = i.device_id or m.area = any (i.areas)
                    where i.incident_id = restored_in_mute.incident_id and i.restored_at is not null and i.status = 'new'
                      and (i.first_received_at >= m.at or i.incident_id = m.incident_id)
                      and i.restore_received_at >= m.at and i.restore_received_at < least(m.until, m.ended_at)
                      and mobeye.mute_covers(m, i) and not mobeye.is_closed_to_viewer(i)
                      -- What began elsewhere was in the queue.
                      and (m.area = any (coalesce(i.areas_throughout, i.areas))
                           or m.area is null and mobeye.devices_muted(i, case i.incident_id when m.incident_id then m.at else i.first_received_at end,
                                                   i.restore_received_at))
                      and not exists (select from mobeye.incident_history h
                                       where h.incident_id = i.incident_id and h.actor <> 'mobeyed' and h.action not in ('look', 'mute', 'hold', 'release_hold', 'reveal')));
end
$$;
comment on function mobeye.restored_in_mute(bigint) is
    'Whether an incident began and was restored while its devices, or an area that it did not leave, were muted all the time, or was restored while it '
    'was muted until then: it does not appear when the mute ends. Not one that a person worked on, more than to look at it or to mute it.';

create or replace view patrol.mutes with (security_barrier) as
select m.mute_id, case when x.seen then m.device_id end as device_id,
       split_part(m.area, ':', 1) as layer, substr(m.area, strpos(m.area, ':') + 1) as code, m.at, m.until,
       case when x.seen or m.area is not null then m.reason end as reason,
       m.muted_by, m.ended_at, m.ended_by, m.ended_at is null and m.until > now() as active,
       case when x.seen then m.incident_id end as incident_id
  from mobeye.current_viewer() as v
 cross join mobeye.mute as m
 cross join lateral (
       select v.is_owner or v.is_registrar
              or v.is_officer and not v.is_auditor
                 and (coalesce(m.team = v.team, false)
                      or not m.secret and (v.all_teams or m.team is null and v.team is not null)) as seen
       offset 0) as x
 where v.all_teams or v.is_registrar or v.team is not null;
comment on view patrol.mutes is 'Devices and areas that are or were kept out of the queue.';
comment on column patrol.mutes.mute_id is 'Its number, for patrol.unmute().';
comment on column patrol.mutes.device_id is 'The device; null for an area, and if the reader may not see it.';
comment on column patrol.mutes.layer is 'Layer of the area; null for a device.';
comment on column patrol.mutes.code is 'Code of the area; null for a device.';
comment on column patrol.mutes.at is 'Start of the mute.';
comment on column patrol.mutes.until is 'Latest end of the mute.';
comment on column patrol.mutes.reason is 'The reason; null if the reader may not see the device.';
comment on column patrol.mutes.muted_by is 'Login of the person who muted it.';
comment on column patrol.mutes.ended_at is 'When a person ended it before its time; null if nobody did.';
comment on column patrol.mutes.ended_by is 'Login of that person.';
comment on column patrol.mutes.active is 'Whether it is active now.';
comment on column patrol.mutes.incident_id is 'The incident whose restoration ends it; null for a mute for a time.';

-- A mute ends with the placement: when a device is moved, it does not apply to the next home.
create or replace function mobeye.add_mute(device text, area text, until timestamptz, reason text,
                                           incident_id bigint default null) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    at timestamptz := clock_timestamp();
    i mobeye.incident;
    p mobeye.placement;
    added bigint;
begin
    if (until > at and until <= at + interval '366 days') is not true then
        raise exception 'mute: %', coalesce('end ' || until || ' is not valid', 'the end is missing')
            using errcode = 'invalid_parameter_value', hint = 'Expected an end in the future, within a year.';
    end if;
    if add_mute.incident_id is null then
        select * into p from mobeye.placement t where t.device_id = device and t.during @> now();
    else
        select * into i from mobeye.incident t where t.incident_id = add_mute.incident_id;
        select * into p from mobeye.placement t where t.placement_id = mobeye.stood_at(i);
    end if;
    insert into mobeye.mute (device_id, area, at, until, reason, muted_by, placement_id, team, secret, incident_id)
    values (device, add_mute.area, at, least(until, upper(p.during)), mobeye.require_text('the reason', reason), mobeye.actor(),
            p.placement_id,
            case when device is null then (mobeye.current_viewer()).team
                 when i.secret and p.secret is not true then i.secret_team
                 else p.team end,
            coalesce(p.secret or i.secret, false), add_mute.incident_id)
    returning mute_id into added;
    perform mobeye.announce_mute(added, 'muted');
    return added;
end
$$;
comment on function mobeye.add_mute(text, text, timestamptz, text, bigint) is
    'Adds a mute, of an area, of a device where it is now, or of the device and placement of an incident, and records it for '
    'every open incident that it applies to.';

create or replace function mobeye.muted_incidents(mute_id bigint) returns setof bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select i.incident_id
      from mobeye.mute m
      join mobeye.incident i
        on m.device_id = i.device_id or m.area = any (i.areas)
           or exists (select from mobeye.incident_condition c
                       where c.incident_id = i.incident_id and c.device_id = m.device_id)
     where m.mute_id = muted_incidents.mute_id and i.status <> 'closed'
       and mobeye.mute_covers(m, i)
     order by i.incident_id
$$;
comment on function mobeye.muted_incidents(bigint) is 'The open incidents that a mute applies to.';

-- The reason may name the home. The history of an incident that its device merely joined is read by other teams too.
create or replace function mobeye.announce_mute(mute_id bigint, note text, actor text default null) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    affected bigint[] := array(select mobeye.muted_incidents(mute_id));
    by_viewer boolean := actor is null;
    via_login text := case when by_viewer then (mobeye.current_viewer()).via end;
begin
    actor := coalesce(actor, mobeye.actor());
    with announced as (
        insert into mobeye.change (at, incident_id, op, status, priority, category)
        select clock_timestamp(), i.incident_id, 'mute', i.status, i.priority, i.category
          from mobeye.incident i where i.incident_id = any (affected) order by i.incident_id
        returning incident_id, entry)
    insert into mobeye.incident_history (incident_id, at, actor, via, action, note, last_change)
    select i.incident_id, clock_timestamp(), announce_mute.actor, via_login, 'mute',
           case when announce_mute.note = 'muted' and (m.device_id is null or m.device_id = i.device_id or m.team = i.team)
                then announce_mute.note || ': ' || m.reason else announce_mute.note end,
           case when by_viewer then a.entry end
      from announced a
      join mobeye.incident i on i.incident_id = a.incident_id
      join mobeye.mute m on m.mute_id = announce_mute.mute_id
     order by a.entry;
    perform mobeye.notify_incidents(affected, array_fill('mute'::text, array[cardinality(affected)]));
end
$$;
comment on function mobeye.announce_mute(bigint, text, text) is
    'Adds the beginning (note: muted) or end of a mute to the changes and the history of every open incident that it applies to; '
    'the reason with the beginning, unless the incident is of another device and another team.';

create or replace function mobeye.check_mute(what text, area text, whose text) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.officer_viewer();
begin
    if not v.all_teams
       and (v.team is null or area is null and whose <> v.team
            or area is not null and not area = any (v.areas) and whose is distinct from v.team) then
        raise exception '% does not belong to your team', what
            using errcode = 'insufficient_privilege',
                  hint = 'A team may mute devices placed with it or with no team, and its own areas.';
    end if;
end
$$;
comment on function mobeye.check_mute(text, text, text) is
    'Refuses to mute or unmute what belongs to another team. what: what the person named, for the message; area: null for a '
    'device; whose: the team of the device, or of the mute.';

create or replace function patrol.mute(device text, until timestamptz, reason text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan -- one plan for all names
as $$
declare
    v mobeye.viewer := mobeye.current_viewer();
    hidden boolean;
    known boolean;
begin
    perform mobeye.check_mute(format('device "%s"', device), null, null);
    -- A home that is secret to the person must not be revealed by the existence of its device either, nor by the number of rows
    -- read: whatever the name, all devices are read, and no incidents by a hidden name.
    hidden := device = any (array(select p.device_id from mobeye.placement p
                                   where p.during @> now() and p.secret and not v.is_owner and coalesce(p.team <> v.team, true)));
    known := device = any (array(select d.device_id from mobeye.device d union all select s.device_id from mobeye.device_status s));
    perform from mobeye.incident i where i.device_id = case when hidden then '' else device end and not i.secret limit 1;
    if hidden or not (found or coalesce(known, false)) then
        raise exception 'device "%" does not exist', coalesce(device, '')
            using errcode = 'no_data_found', hint = 'patrol.devices lists the registered devices.';
    end if;
    perform mobeye.check_mute(format('device "%s"', device), null, (select p.team from mobeye.placement p
                                                                     where p.device_id = device and p.during @> now()));
    return mobeye.add_mute(device, null, until, reason);
end
$$;
comment on function patrol.mute(text, timestamptz, text) is
    'Keeps the incidents of a device out of the queue for a time; its alerts are still stored and grouped. Panic and '
    'holdup are never muted. Returns the number of the mute.';

create or replace function patrol.mute_area(layer text, code text, until timestamptz, reason text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    if not exists (select from mobeye.area a where a.layer = mute_area.layer and a.code = mute_area.code) then
        raise exception 'area "%" does not exist in layer "%"', code, layer
            using errcode = 'no_data_found',
                  hint = coalesce('Layers: ' || (select string_agg(distinct a.layer, ', ') from mobeye.area a) || '.',
                                  'No areas have been imported.');
    end if;
    perform mobeye.check_mute(format('area "%s:%s"', layer, code), layer || ':' || code, '');
    return mobeye.add_mute(null, layer || ':' || code, until, reason);
end
$$;
comment on function patrol.mute_area(text, text, timestamptz, text) is
    'As patrol.mute(), for all incidents in an area.';

create or replace function patrol.mute_until_restored(id bigint, at_most timestamptz, reason text) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := mobeye.lock_incident(id);
    p mobeye.placement;
    added bigint;
    put_back text;
begin
    if not mobeye.is_mutable(i) then
        raise exception 'incident %: cannot be muted, it is %', mobeye.reference(id),
            case when i.urgent then 'a panic or holdup alarm' when i.verified_by is not null then 'verified'
                 else 'assigned to ' || i.assigned_to end
            using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                  hint = 'Panic and holdup, and what is verified or assigned, always stay in the queue.';
    end if;
    if i.device_id is null or i.active = 0 or i.status = 'closed' then
        raise exception 'incident %: no condition is active, so there is nothing to wait for', mobeye.reference(id)
            using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                  hint = 'Use patrol.mute() to mute a device for a time.';
    end if;
    select * into p from mobeye.placement t where t.placement_id = mobeye.stood_at(i);
    -- The person may not know which device it is.
    perform mobeye.check_mute(format('the device of incident %s', mobeye.reference(id)), null, p.team);
    if mobeye.stood_at(i) is not null and (p.during @> now() and i.device_id in (select mobeye.names_of(p.device_id))) is not true
       or mobeye.stood_at(i) is null
          and exists (select from mobeye.placement t where t.device_id = i.device_id and t.during @> now()) then
        raise exception 'incident %: its device does not stand where the incident is', mobeye.reference(id)
            using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                  hint = 'Close the incident; patrol.mute() mutes the device where it stands now.';
    end if;
    added := mobeye.add_mute(i.device_id, null, at_most, reason, id);
    if not mobeye.mute_applies(added, id) then
        put_back := case when i.reopened_at = greatest(i.released_at, i.reopened_at) then 'reopened' else 'released' end;
        i.released_at := null;
        i.reopened_at := null;
        if mobeye.devices_muted(i, clock_timestamp(), clock_timestamp()) then
            raise exception 'incident %: another device joined it, which was muted before it was %', mobeye.reference(id), put_back
                using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                      hint = 'End that mute and mute the device again: a mute from before does not apply to the incident.';
        end if;
        raise exception 'incident %: another device joined it, which is not muted', mobeye.reference(id)
            using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                  hint = 'It is muted while each of its devices is: patrol.mute() mutes one for a time.';
    end if;
    return added;
end
$$;
comment on function patrol.mute_until_restored(bigint, timestamptz, text) is
    'Mutes the device of an incident until every condition of that incident is restored or has gone on to another incident, or '
    'it is closed, until at_most at the latest; an incident still active then enters the queue again. Refused for panic and '
    'holdup, for verified or assigned incidents, and where another device joined that is not muted. Returns the number of the mute.';

-- The screen may predate a move of the device: the people of its next home have not asked for this. Checked afterwards, so that
-- a device of which the person may not know is refused as one that does not exist.
create or replace function mobeye.mute_at_incident(id bigint, device text, until timestamptz, reason text) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := mobeye.lock_incident(id);
    added bigint := patrol.mute(device, until, reason);
begin
    if not exists (select from mobeye.mute m where m.mute_id = added and m.device_id = i.device_id
                                               and m.placement_id is not distinct from mobeye.stood_at(i)) then
        raise exception 'incident %: its device does not stand where the incident is, or has another name now',
                        mobeye.reference(id)
            using errcode = 'object_not_in_prerequisite_state', detail = i.status,
                  hint = 'Close the incident; patrol.mute() mutes the device as it is called, and where it stands, now.';
    end if;
    return added;
end
$$;
comment on function mobeye.mute_at_incident(bigint, text, timestamptz, text) is
    'patrol.mute() for the device of an incident, as long as it stands where the incident is.';

create or replace function patrol.unmute(mute_id bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    m mobeye.mute;
begin
    select * into m from mobeye.mute t where t.mute_id = unmute.mute_id for update;
    if m.mute_id is null or m.ended_at is not null or m.until <= clock_timestamp() then
        raise exception 'mute % does not exist or is over', coalesce(mute_id::text, 'null')
            using errcode = 'no_data_found', hint = 'patrol.mutes lists the active mutes.';
    end if;
    perform mobeye.check_mute(format('mute %s', mute_id), m.area, m.team); -- the device may be hidden: see patrol.mutes
    update mobeye.mute t set ended_at = clock_timestamp(), ended_by = mobeye.actor() where t.mute_id = unmute.mute_id;
    perform mobeye.announce_mute(unmute.mute_id, 'unmuted');
end
$$;
comment on function patrol.unmute(bigint) is
    'Ends a mute before its time. Incidents that are still active appear in the queue, as when the time is over.';

-- A session that has locked a mute is about to end it.
create or replace function mobeye.end_mutes_of(incidents bigint[], unmuted timestamptz[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    update mobeye.mute m set until = greatest(n.ends, m.at + interval '1 microsecond')
      from (select t.mute_id, o.ends
              from unnest(incidents, unmuted) as o (id, ends)
              join mobeye.mute t on t.incident_id = o.id
             where t.until > o.ends for update of t skip locked) as n
     where m.mute_id = n.mute_id;
end
$$;
comment on function mobeye.end_mutes_of(bigint[], timestamptz[]) is
    'Ends the mutes until incidents are restored, of each incident: what is received from unmuted on is not muted, whenever it '
    'is stored.';

create or replace function mobeye.end_mutes() returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ended record;
    n bigint := 0;
begin
    for ended in
        select m.mute_id, m.ended_at from mobeye.mute m
         where not m.over and not exists (select from mobeye.active_mute a where a.mute_id = m.mute_id)
         order by m.mute_id for update of m skip locked
    loop
        update mobeye.mute m set over = true, until = least(m.until, clock_timestamp()) where m.mute_id = ended.mute_id;
        if ended.ended_at is null then -- otherwise patrol.unmute() has announced it
            perform mobeye.announce_mute(ended.mute_id, 'mute ended', 'mobeyed');
            n := n + 1;
        end if;
    end loop;
    return n;
end
$$;
comment on function mobeye.end_mutes() is
    'Announces, for each open incident under a mute whose time is over, that it is back; returns how many mutes ended.';

create or replace function mobeye.end_placement_mutes() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ends timestamptz := now(); -- of a deleted placement
begin
    if tg_op = 'UPDATE' then
        ends := upper(new.during);
    end if;
    update mobeye.mute m set until = greatest(ends, m.at + interval '1 microsecond')
     where m.placement_id = old.placement_id and m.ended_at is null and m.until > ends;
    return null;
end
$$;
comment on function mobeye.end_placement_mutes() is 'Ends the mutes of a placement when it ends.';

create or replace trigger end_mutes_update after update of during on mobeye.placement
    for each row when (not upper_inf(new.during)) execute function mobeye.end_placement_mutes();

create or replace trigger end_mutes_delete after delete on mobeye.placement
    for each row execute function mobeye.end_placement_mutes();
