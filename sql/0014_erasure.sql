-- A person's request: what is kept of a home, or of a device in a time, exported or erased.
-- By hand, backwards: drop the functions and the type below. What was erased stays erased.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- What a request is about

-- The alerts of a device in a time are found under all names that it had; what one of them is now the name of, is not it.
do $$
begin
    if to_regtype('mobeye.subject_scope') is null then
        create type mobeye.subject_scope as (
            device_id text, during tstzrange, names text[], placements bigint[], own bigint[], joined bigint[]);
    end if;
end
$$;
comment on type mobeye.subject_scope is
    'What a person''s request is about: a device in a time, its names, its placements within the time, the incidents that '
    'it began, and those that it joined.';

create or replace function mobeye.subject(address text, device text, from_at timestamptz, until_at timestamptz)
returns table (device_id text, during tstzrange)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with wanted (device_id) as (
        select coalesce((select d.device_id from mobeye.device d where d.device_id = device),
                        (select r.device_id from mobeye.device_renamed r where r.earlier_id = device
                          order by r.at desc limit 1), device))
    select p.device_id, p.during * tstzrange(from_at, until_at)
      from mobeye.placement p cross join wanted w
     where lower(trim(p.address)) = lower(trim(subject.address))
       and (w.device_id is null or p.device_id = w.device_id)
       and p.during && tstzrange(from_at, until_at)
    union all
    select w.device_id, tstzrange(from_at, until_at)
      from wanted w
     where subject.address is null and w.device_id is not null and from_at is not null and until_at is not null
$$;
comment on function mobeye.subject(text, text, timestamptz, timestamptz) is
    'Which devices, when, a person''s request is about: by the address where they stood, or by the device.';

create or replace function mobeye.subject_alerts(s mobeye.subject_scope) returns setof mobeye.alert
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select a.* from mobeye.alert a
     where a.device_id = any (s.names) and (s.during @> a.occurred_at or a.placement_id = any (s.placements))
       and not exists (select from mobeye.placement p
                        where p.placement_id = a.placement_id and p.device_id <> s.device_id)
$$;
comment on function mobeye.subject_alerts(mobeye.subject_scope) is 'The alerts that a request is about.';

create or replace function mobeye.subject_scope(device text, during tstzrange) returns mobeye.subject_scope
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    s mobeye.subject_scope;
begin
    s.device_id := device;
    s.during := subject_scope.during;
    s.names := array(select mobeye.names_of(device));
    s.placements := array(select p.placement_id from mobeye.placement p
                           where p.device_id = s.device_id and p.during <@ s.during);
    s.own := array(select i.incident_id from mobeye.incident i
                    where i.device_id = any (s.names)
                      and (s.during @> i.first_seen or i.placement_id = any (s.placements)));
    s.joined := array(
        select a.incident_id from mobeye.subject_alerts(s) a where a.incident_id is not null
        union
        select t.incident_id
          from mobeye.incident_thread t
          join mobeye.incident i on i.incident_id = t.incident_id
         where t.device_id = any (s.names)
           and (s.during @> t.since or t.since is null and s.during && tstzrange(i.first_seen, i.last_seen, '[]'))
        union
        select i.incident_id from mobeye.incident i where i.placement_id = any (s.placements)
        except
        select unnest(s.own));
    return s;
end
$$;
comment on function mobeye.subject_scope(text, tstzrange) is 'What a request about a device in a time is about.';

create or replace function mobeye.subject_held(s mobeye.subject_scope) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(select i.incident_id from mobeye.incident i
                  where i.incident_id = any (s.own || s.joined) and i.legal_hold order by i.incident_id)
$$;
comment on function mobeye.subject_held(mobeye.subject_scope) is
    'The incidents of a request that are under a legal hold.';

-- Records that cannot be read have no device: those of the time go too, and until 31 days after it (an alert may be so
-- late) those that have a name of the device in their bytes, or are of the device and of no other placement.
create or replace function mobeye.subject_quarantine(s mobeye.subject_scope) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select q.id
          from mobeye.quarantine q
         cross join lateral (select coalesce(q.received_at, q.quarantined_at) as at) r
         where (q.device_id is null or q.device_id = any (s.names))
           and (s.during @> r.at
                or r.at >= upper(s.during) and r.at < upper(s.during) + interval '31 days'
                   and case when q.device_id is null
                            then exists (select from unnest(s.names) as name
                                          where position(convert_to(name, 'UTF8') in q.record) > 0)
                            else not exists (select from mobeye.placement p
                                              where p.device_id = s.device_id and p.during @> r.at) end))
$$;
comment on function mobeye.subject_quarantine(mobeye.subject_scope) is
    'The numbers of the alerts in quarantine that a request is about.';

create or replace function mobeye.subject_mutes(s mobeye.subject_scope) returns setof mobeye.mute
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select m.* from mobeye.mute m
     where m.placement_id = any (s.placements) or m.device_id = any (s.names) and s.during @> m.at
$$;
comment on function mobeye.subject_mutes(mobeye.subject_scope) is 'The mutes that a request is about.';

-- Of incidents that others began their numbers alone: the rest is about others as well.
create or replace function mobeye.subject_export(address text, device text, from_at timestamptz, until_at timestamptz)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object(
        'device', s.device_id, 'from', lower(s.during), 'until', upper(s.during), 'names', s.names,
        'registered', (select to_jsonb(d) from mobeye.device d where d.device_id = s.device_id),
        'inputs', (select coalesce(jsonb_agg(to_jsonb(n) order by n.input), '[]') from mobeye.device_input n
                    where n.device_id = s.device_id),
        'last_fix', (select to_jsonb(t) from mobeye.device_status t
                      where t.device_id = s.device_id and s.during @> t.fix_at),
        'placements', (select coalesce(jsonb_agg(to_jsonb(p) order by p.during), '[]') from mobeye.placement p
                        where p.device_id = s.device_id and p.during && s.during),
        'mutes', (select coalesce(jsonb_agg(to_jsonb(m) order by m.mute_id), '[]') from mobeye.subject_mutes(s) m),
        'quarantine', (select coalesce(jsonb_agg(to_jsonb(q) order by q.id), '[]') from mobeye.quarantine q
                        where q.id = any (mobeye.subject_quarantine(s))),
        'alerts', (select coalesce(jsonb_agg(to_jsonb(a) order by a.occurred_at), '[]') from mobeye.subject_alerts(s) a),
        'joined_incidents', s.joined,
        'incidents', (select coalesce(jsonb_agg(to_jsonb(i) || jsonb_build_object('history',
                        (select coalesce(jsonb_agg(to_jsonb(h) order by h.entry), '[]') from mobeye.incident_history h
                          where h.incident_id = i.incident_id)) order by i.incident_id), '[]')
                        from mobeye.incident i where i.incident_id = any (s.own)))), '[]')
      from mobeye.subject(address, device, from_at, until_at) w
     cross join lateral mobeye.subject_scope(w.device_id, w.during) s
     where cardinality(s.placements || s.own || s.joined || mobeye.subject_quarantine(s)) > 0
        or exists (select from mobeye.subject_alerts(s)) or exists (select from mobeye.subject_mutes(s))
        or exists (select from mobeye.placement p where p.device_id = s.device_id and p.during && s.during)
        or exists (select from mobeye.device_status t where t.device_id = s.device_id and s.during @> t.fix_at)
$$;
comment on function mobeye.subject_export(text, text, timestamptz, timestamptz) is
    'Everything that is kept about an address, or a device in a time, as JSON; an empty array where nothing is.';

-- ---------------------------------------------------------------------------------------------------------------------
-- Erasing it

-- An incident that others began stays, with what it has of others. Whose home a note is about cannot be told: those from
-- when the device joined on go.
create or replace function mobeye.leave_incident(s mobeye.subject_scope, incident_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := (select t from mobeye.incident t where t.incident_id = leave_incident.incident_id);
    joined_at timestamptz := (select min(least(a.occurred_at, a.received_at)) from mobeye.subject_alerts(s) a
                               where a.incident_id = i.incident_id);
    other record;
    n bigint;
begin
    update mobeye.incident_history h set note = null
     where h.incident_id = i.incident_id and h.note is not null and h.action <> 'verified'
       and (joined_at is null or h.at >= joined_at);
    if i.placement_id = any (s.placements)
       or exists (select from mobeye.subject_alerts(s) a
                   where a.incident_id = i.incident_id and a.geom operator(public.=) i.geom)
       or exists (select from mobeye.placement p
                   where p.placement_id = any (s.placements)
                     and (p.geom operator(public.=) i.geom or p.cell operator(public.=) i.cell)) then
        select a.geom, a.accuracy_m, a.location_source, a.placement_id,
               array_remove(array['buurt:' || a.buurt_code, 'wijk:' || a.wijk_code], null) as areas,
               (select p.cell from mobeye.placement p where p.placement_id = a.placement_id and i.secret) as cell
          into other from mobeye.alert a
         where a.incident_id = i.incident_id and a.occurred_at between i.first_seen and i.last_seen
           and a.geom is not null and a.device_id <> all (s.names)
         order by a.occurred_at limit 1;
        update mobeye.incident t
           set geom = other.geom, accuracy_m = other.accuracy_m,
               location_source = coalesce(other.location_source, 'none'), placement_id = other.placement_id,
               areas = coalesce(other.areas, '{}'), cell = other.cell
         where t.incident_id = i.incident_id;
    end if;
    with gone as (
        delete from mobeye.incident_thread t
         where t.incident_id = i.incident_id and t.device_id = any (s.names)
           and (t.since is null or s.during @> t.since)
        returning t.active)
    select count(*) into n from gone where active;
    update mobeye.incident t set active = greatest(t.active - n, 0) where t.incident_id = i.incident_id and n > 0;
end
$$;
comment on function mobeye.leave_incident(mobeye.subject_scope, bigint) is
    'Takes a device''s part out of an incident that another began: the place and areas where they are its own, the notes '
    'from when it joined on, its conditions.';

-- For a day a device is taken to be where it said last that it was: alerts after the time may show the home still.
create or replace function mobeye.erase_last_known(s mobeye.subject_scope) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
    total bigint;
begin
    update mobeye.alert a
       set geom = null, accuracy_m = null, location_source = 'none', wijk_code = null, buurt_code = null, areas = null
     where a.device_id = any (s.names) and a.location_source = 'last_known'
       and a.occurred_at >= upper(s.during) and a.occurred_at < upper(s.during) + interval '25 hours'
       and mobeye.is_held(a.incident_id) is not true
       and not exists (select from mobeye.alert later
                        where later.device_id = any (s.names) and later.location_source = 'message'
                          and later.occurred_at >= upper(s.during) and later.occurred_at < upper(s.during) + interval '50 hours'
                          and later.geom operator(public.=) a.geom);
    get diagnostics total = row_count;
    update mobeye.incident i
       set geom = null, accuracy_m = null, location_source = 'none', areas = '{}'
     where i.device_id = any (s.names) and i.location_source = 'last_known' and not i.legal_hold
       and i.first_seen >= upper(s.during) and i.first_seen < upper(s.during) + interval '25 hours'
       and not exists (select from mobeye.alert later
                        where later.device_id = any (s.names) and later.location_source = 'message'
                          and later.occurred_at >= upper(s.during) and later.occurred_at < upper(s.during) + interval '50 hours'
                          and later.geom operator(public.=) i.geom);
    get diagnostics n = row_count;
    return total + n;
end
$$;
comment on function mobeye.erase_last_known(mobeye.subject_scope) is
    'Erases where alerts and incidents of the day after were placed by a fix from within the time; returns how many.';

-- The identity of a quarantined alert stays known, of whatever device, or the journal would bring it back.
create or replace function mobeye.erase_quarantine(ids bigint[]) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    with gone as (delete from mobeye.quarantine q where q.id = any (ids) returning q.identity),
         known as (insert into mobeye.alert_identity (id, device) select identity, 0 from gone where identity is not null
                   on conflict do nothing)
    select count(*) from gone
$$;
comment on function mobeye.erase_quarantine(bigint[]) is
    'Erases alerts in quarantine, so that a journal that still holds them does not bring them back; returns how many.';

create or replace function mobeye.erase_registered(s mobeye.subject_scope) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    held bigint[] := mobeye.subject_held(s);
    n bigint;
    total bigint;
begin
    delete from mobeye.mute m
     where m.mute_id in (select t.mute_id from mobeye.subject_mutes(s) t)
       and not exists (select from mobeye.active_mute a where a.mute_id = m.mute_id);
    get diagnostics total = row_count;
    update mobeye.mute m set reason = 'erased'
     where m.mute_id in (select t.mute_id from mobeye.subject_mutes(s) t) and m.reason <> 'erased';
    get diagnostics n = row_count;
    total := total + n;
    delete from mobeye.placement p
     where p.placement_id = any (s.placements) and upper(p.during) <= now()
       and not exists (select from mobeye.incident i where i.placement_id = p.placement_id and i.incident_id = any (held))
       and not exists (select from mobeye.subject_alerts(s) a
                        where a.placement_id = p.placement_id and a.incident_id = any (held));
    get diagnostics n = row_count;
    total := total + n;
    return total;
end
$$;
comment on function mobeye.erase_registered(mobeye.subject_scope) is
    'Erases mutes and placements of a request that are over; of mutes that hold the reason. Returns how many.';

-- They have no time: whose home they are about cannot be told.
create or replace function mobeye.erase_labels(device text) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    with labels as (delete from mobeye.device_input i where i.device_id = device returning 1),
         notes as (update mobeye.device d set note = null where d.device_id = device and d.note is not null returning 1)
    select (select count(*) from labels) + (select count(*) from notes)
$$;
comment on function mobeye.erase_labels(text) is 'Erases the labels and the note of a device; returns how many.';

create or replace function mobeye.subject_left(s mobeye.subject_scope) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select format('incident %s: it is under a legal hold; it, its alerts and its placement stay', h)
          from unnest(mobeye.subject_held(s)) as h
        union all
        select format('placement %s of device %s: %s', p.placement_id, p.device_id,
                      case when upper_inf(p.during) or upper(p.during) > now() then 'the device still stands there'
                           when not p.during <@ s.during then 'it lasts beyond the time that was asked for'
                           else 'an incident under a legal hold names it' end)
          from mobeye.placement p
         where p.device_id = s.device_id and p.during && s.during
        union all
        select format('alerts that %s received after %s are not stored yet; erase again when they are',
                      d.instance, to_char(d.applied_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
          from mobeye.daemon d
         where d.alive_at > now() - interval '1 day'
           and d.applied_until < least(upper(s.during), now() - interval '2 minutes'))
$$;
comment on function mobeye.subject_left(mobeye.subject_scope) is
    'What of a request cannot be erased, or not yet, and why: one line each.';

-- Until five minutes from now at most: by so much a sender's clock may be ahead, and one that comes later is a different device.
create or replace function mobeye.erase_device(device text, during tstzrange, out n bigint, out remaining text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    until tstzrange := during * tstzrange(null, now() + interval '5 minutes');
    s mobeye.subject_scope := mobeye.subject_scope(device, until);
    held bigint[];
    one bigint;
    rows bigint;
begin
    -- From here on no daemon leads another alert to them, and nobody puts them under a hold.
    perform from mobeye.incident i where i.incident_id = any (s.own || s.joined) order by i.incident_id for update;
    s := mobeye.subject_scope(device, until);
    held := mobeye.subject_held(s);
    n := 0;
    for one in select t.id from unnest(s.joined) as t(id) where t.id <> all (held) order by t.id loop
        perform mobeye.leave_incident(s, one);
        n := n + 1;
    end loop;
    n := n + mobeye.erase_quarantine(mobeye.subject_quarantine(s));
    n := n + mobeye.erase_registered(s);
    n := n + mobeye.erase_last_known(s);
    -- As mobeye.subject_alerts(). The identities stay: what a journal still holds of it is not stored again.
    delete from mobeye.alert a
     where a.device_id = any (s.names) and (s.during @> a.occurred_at or a.placement_id = any (s.placements))
       and not exists (select from mobeye.placement p
                        where p.placement_id = a.placement_id and p.device_id <> s.device_id)
       and (a.incident_id is null or a.incident_id <> all (held));
    get diagnostics rows = row_count;
    n := n + rows + mobeye.erase_incidents(array(select t.id from unnest(s.own) as t(id) where t.id <> all (held)))
           + mobeye.forget_fixes(s.names, s.during);
    remaining := mobeye.subject_left(s);
    if n > 0 then
        n := n + mobeye.erase_labels(s.device_id);
        insert into mobeye.erasure (what, device_id, during, n) values ('subject', s.device_id, s.during, erase_device.n);
    end if;
end
$$;
comment on function mobeye.erase_device(text, tstzrange) is
    'Erases what is kept of a device in a time, under all its names, and logs that; returns how many rows, and what remains, and why.';

create or replace function mobeye.subject_erase(address text, device text, from_at timestamptz, until_at timestamptz,
                                                out n bigint, out remaining text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    one record;
begin
    n := 0;
    remaining := '{}';
    for one in
        select e.* from mobeye.subject(address, device, from_at, until_at) s
         cross join lateral mobeye.erase_device(s.device_id, s.during) e
    loop
        n := n + one.n;
        remaining := remaining || one.remaining;
    end loop;
end
$$;
comment on function mobeye.subject_erase(text, text, timestamptz, timestamptz) is
    'Erases everything that is kept about an address, or a device in a time; returns how many rows, and what remains, and why.';

-- After a restore: what had been erased since the backup, as mobeyectl wrote it down, is erased again.
create or replace function mobeye.erase_again(log jsonb, out n bigint, out remaining text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    one record;
begin
    n := 0;
    remaining := '{}';
    for one in
        select e.* from jsonb_array_elements(log) as l
         cross join lateral mobeye.erase_device(l ->> 'device_id', (l ->> 'during')::tstzrange) e
    loop
        n := n + one.n;
        remaining := remaining || one.remaining;
    end loop;
end
$$;
comment on function mobeye.erase_again(jsonb) is
    'Erases again what a log of erasures (device_id and during) lists, after a backup from before them was restored; returns how many rows, and what remains, and why.';
