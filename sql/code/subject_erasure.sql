-- A person's request: erasing what is stored.

-- An incident that others began or joined stays, with what belongs to the others. It is not known which home a note is about:
-- the notes since the device joined are erased.
create or replace function mobeye.remove_from_incident(s mobeye.subject_scope, incident_id bigint) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    i mobeye.incident := (select t from mobeye.incident t where t.incident_id = remove_from_incident.incident_id);
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
          into other from mobeye.alert_decoded a
         where a.incident_id = i.incident_id and a.occurred_at between i.first_seen and i.last_seen
           and a.geom is not null
           and not (a.device_id = any (s.names) and mobeye.is_subject(s, a.device_id, a.placement_id, a.occurred_at)
                    and mobeye.is_known_sender(s, a.source, a.input, a.occurred_at))
         order by a.occurred_at limit 1;
        update mobeye.incident t
           set geom = other.geom, accuracy_m = other.accuracy_m,
               location_source = coalesce(other.location_source, 'none'), placement_id = other.placement_id,
               areas = coalesce(other.areas, '{}'), cell = other.cell
         where t.incident_id = i.incident_id;
    end if;
    update mobeye.change c set areas_before = null where c.incident_id = i.incident_id and c.areas_before is not null;
    update mobeye.incident t set extent = box(point(public.st_x(t.geom), public.st_y(t.geom)))
     where t.incident_id = i.incident_id and t.extent is not null;
    if i.device_id = any (s.names)
       and mobeye.is_subject(s, i.device_id, mobeye.stood_at(i), i.first_seen) then
        select o.* into other
          from (select a.device_id, a.kind, a.occurred_at as at, a.placement_id
                  from mobeye.alert_decoded a
                 where a.incident_id = i.incident_id and a.occurred_at between i.first_seen and i.last_seen
                   and not (a.device_id = any (s.names) and mobeye.is_of_request(s, a.device_id, a.placement_id, a.occurred_at)
                            and mobeye.is_known_sender(s, a.source, a.input, a.occurred_at))
                union all
                select c.device_id, i.kind, coalesce(c.since, i.first_seen), null
                  from mobeye.incident_condition c
                 where c.incident_id = i.incident_id
                   and not (c.device_id = any (s.names)
                            and mobeye.is_of_request(s, c.device_id, null, coalesce(c.since, i.first_seen)))) o
         order by o.at limit 1;
        if found then
            update mobeye.incident t
               set device_id = other.device_id, device_placement_id = other.placement_id, kind = other.kind, first_seen = other.at
             where t.incident_id = i.incident_id;
        end if;
    end if;
    with gone as (
        delete from mobeye.incident_condition c
         where c.incident_id = i.incident_id and c.device_id = any (s.names)
           and (c.since is null or s.during @> c.since)
           and mobeye.is_of_request(s, c.device_id, null, coalesce(c.since, i.first_seen))
        returning c.active)
    select count(*) into n from gone where active;
    update mobeye.incident t set active = greatest(t.active - n, 0) where t.incident_id = i.incident_id and n > 0;
end
$$;
comment on function mobeye.remove_from_incident(mobeye.subject_scope, bigint) is
    'Removes a device from an incident that another device began or joined: the place and areas if they are those of the device, '
    'where it lay before, the notes since it joined, and its conditions. If it began it, the one that joined first then did.';

-- A device is assumed to be at its last fix for a day: alerts after the period may still show the home.
create or replace function mobeye.erase_last_known(s mobeye.subject_scope) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
    total bigint;
    joined bigint[];
begin
    with emptied as (
        update mobeye.alert a
           set geom = null, accuracy_m = null, location_source = 0 /* none */, wijk_code = null, buurt_code = null, areas = null
         where a.device_id = any (s.names) and a.location_source = 3 -- last_known
           and a.occurred_at >= upper(s.during) and a.occurred_at < upper(s.during) + interval '25 hours'
           and mobeye.is_held(a.incident_id) is not true
           and mobeye.is_of_request(s, a.device_id, a.placement_id, a.occurred_at)
           and mobeye.is_known_sender(s, a.source, a.input, a.occurred_at)
           and not exists (select from mobeye.alert later
                            where later.device_id = any (s.names) and later.location_source = 1 -- message
                              and later.occurred_at >= upper(s.during) and later.occurred_at < upper(s.during) + interval '50 hours'
                              and later.geom operator(public.=) a.geom)
        returning a.incident_id)
    select count(*), coalesce(array_agg(distinct e.incident_id) filter (where e.incident_id is not null), '{}')
      into total, joined from emptied e;
    update mobeye.incident i
       set geom = null, accuracy_m = null, location_source = 'none', areas = '{}'
     where i.device_id = any (s.names) and i.location_source = 'last_known' and not i.legal_hold
       and i.first_seen >= upper(s.during) and i.first_seen < upper(s.during) + interval '25 hours'
       and mobeye.is_of_request(s, i.device_id, i.placement_id, i.first_seen)
       and not exists (select from mobeye.alert later
                        where later.device_id = any (s.names) and later.location_source = 1 -- message
                          and later.occurred_at >= upper(s.during) and later.occurred_at < upper(s.during) + interval '50 hours'
                          and later.geom operator(public.=) i.geom);
    get diagnostics n = row_count;
    update mobeye.incident i set extent = box(point(public.st_x(i.geom), public.st_y(i.geom)))
     where i.extent is not null and not i.legal_hold
       and (i.incident_id = any (joined)
            or i.device_id = any (s.names)
               and i.first_seen >= upper(s.during) and i.first_seen < upper(s.during) + interval '25 hours'
               and mobeye.is_of_request(s, i.device_id, i.placement_id, i.first_seen));
    update mobeye.change c set areas_before = null
      from mobeye.incident i
     where c.incident_id = i.incident_id and c.areas_before is not null
       and i.device_id = any (s.names) and not i.legal_hold
       and i.first_seen >= upper(s.during) and i.first_seen < upper(s.during) + interval '25 hours'
       and mobeye.is_of_request(s, i.device_id, i.placement_id, i.first_seen);
    return total + n;
end
$$;
comment on function mobeye.erase_last_known(mobeye.subject_scope) is
    'Erases the places of alerts and incidents of the day after the period that come from a fix within it; returns how many '
    'rows it changed.';

-- The identities of quarantined alerts stay stored, or the journal or the sender would bring the alerts back: the one that the
-- daemon stores if no other device's alert has that of the event, and the alert's own, which decides otherwise.
create or replace function mobeye.erase_quarantine(ids bigint[]) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    current integer;
    n bigint;
begin
    -- Locked: the period does not end before this is committed. One that was about to end is not found; then there is a new
    -- one.
    for attempt in 1..10 loop
        select p.period into current from mobeye.identity_period p where p.closed_at is null for share;
        exit when found;
    end loop;
    if current is null then
        raise exception 'mobeye.identity_period has no current period (one whose closed_at is null)' using errcode = 'no_data_found';
    end if;
    with gone as (
        delete from mobeye.quarantine q where q.id = any (ids) returning q.identity, q.event_identity
    ), known as (
        insert into mobeye.alert_identity (id, device, period)
        select g.event_identity, coalesce(nullif(('x' || left(replace(g.identity::text, '-', ''), 16))::bit(64)::bigint, 0), 1), current
          from gone g
         where g.event_identity <> g.identity
           and not exists (select from mobeye.alert_identity a where a.id = g.event_identity)
        union all
        select g.identity, 0, current from gone g where g.identity is not null
        on conflict do nothing
    )
    select count(*) into n from gone;
    return n;
end
$$;
comment on function mobeye.erase_quarantine(bigint[]) is
    'Erases alerts in quarantine, and keeps their identities so that a journal does not bring them back; returns how many.';

-- An alert may be a month late, and wait in the journal of a daemon; a daemon that has been away for longer does not come back.
create or replace function mobeye.alerts_may_follow(until timestamptz) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select now() < until + interval '31 days'
           or exists (select from mobeye.daemon d
                       where d.alive_at > now() - interval '31 days' and d.applied_until < until + interval '31 days')
$$;
comment on function mobeye.alerts_may_follow(timestamptz) is 'Whether alerts from before a time may still be stored.';

-- Without it, a late alert from a secret home would be stored for everybody to see, and the address would no longer lead to it.
create or replace function mobeye.empty_placements(ids bigint[]) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    n bigint;
begin
    perform mobeye.keep_placement_figures(ids);
    update mobeye.placement p
       set address = null, bag_id = null, instructions = null,
           geom = coalesce(p.cell, public.st_snaptogrid(p.geom, 0.002)), -- outside the Netherlands there are no cells
           erased = coalesce(mobeye.erased_reference(lower(trim(p.address))), gen_random_uuid())
     where p.placement_id = any (ids);
    get diagnostics n = row_count;
    return n;
end
$$;
comment on function mobeye.empty_placements(bigint[]) is
    'Keeps only the device, the period, the team, the secrecy, the 125 m cell, and a hash of the address of placements; returns how '
    'many there were.';

create or replace function mobeye.erase_registered(s mobeye.subject_scope) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    held bigint[] := mobeye.subject_held(s);
    n bigint;
    total bigint;
    over bigint[]; -- placements
    awaited bigint[];
begin
    delete from mobeye.mute m
     where m.mute_id in (select t.mute_id from mobeye.subject_mutes(s) t)
       and not exists (select from mobeye.active_mute a where a.mute_id = m.mute_id);
    get diagnostics total = row_count;
    update mobeye.mute m set reason = 'erased'
     where m.mute_id in (select t.mute_id from mobeye.subject_mutes(s) t) and m.reason <> 'erased';
    get diagnostics n = row_count;
    total := total + n;
    over := array(
        select p.placement_id from mobeye.placement p
         where p.placement_id = any (s.placements) and upper(p.during) <= now()
           and not exists (select from mobeye.incident i where i.placement_id = p.placement_id and i.incident_id = any (held))
           and not exists (select from mobeye.subject_alerts(s) a
                            where a.placement_id = p.placement_id and a.incident_id = any (held))
         order by p.placement_id for update);
    awaited := array(select p.placement_id from mobeye.placement p
                      where p.placement_id = any (over) and mobeye.alerts_may_follow(upper(p.during)));
    return total + mobeye.erase_placements(array(select unnest(over) except select unnest(awaited)))
           + mobeye.empty_placements(array(select p.placement_id from mobeye.placement p
                                            where p.placement_id = any (awaited) and p.erased is null));
end
$$;
comment on function mobeye.erase_registered(mobeye.subject_scope) is
    'Erases the mutes and placements of a request that are over, and the reasons of mutes that are active; placements that '
    'alerts may still refer to are emptied. Returns how many rows it erased or changed.';

-- They have no time: it is not known which home they are about.
create or replace function mobeye.erase_labels(device text) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    with labels as (delete from mobeye.device_input i where i.device_id = device returning 1),
         notes as (update mobeye.device d set note = null where d.device_id = device and d.note is not null returning 1)
    select (select count(*) from labels) + (select count(*) from notes)
$$;
comment on function mobeye.erase_labels(text) is 'Erases the labels and the note of a device; returns how many there were.';

-- For the log, so that after a restore exactly this is erased again, whatever the registry of the backup says. If the account
-- of a panel is not registered yet by then, its alerts are stored under the name of the account.
create or replace function mobeye.subject_named(s mobeye.subject_scope) returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with alerts as (
        select a.device_id, a.source, a.input, a.occurred_at from mobeye.subject_alerts(s) a
        union all
        select a.device_id, a.source, a.input, a.occurred_at from mobeye.alert a -- as mobeye.erase_last_known()
         where a.device_id = any (s.names) and a.location_source = 3
           and a.occurred_at >= upper(s.during) and a.occurred_at < upper(s.during) + interval '25 hours'
           and mobeye.is_of_request(s, a.device_id, a.placement_id, a.occurred_at)
           and mobeye.is_known_sender(s, a.source, a.input, a.occurred_at)
    ), named (name, at) as (
        select a.device_id, a.occurred_at from alerts a
        union all
        select a.source || coalesce('/' || a.input, ''), a.occurred_at from alerts a where starts_with(a.source, 'dc09:')
        union all
        select m.device_id, m.occurred_at from mobeye.subject_images(s) m
        union all
        select i.device_id, i.first_seen from mobeye.incident i
         where i.incident_id = any (s.own || s.joined) and i.device_id = any (s.names)
           and mobeye.is_subject(s, i.device_id, mobeye.stood_at(i), i.first_seen)
        union all
        select i.device_id, i.first_seen from mobeye.incident i -- as mobeye.erase_last_known()
         where i.device_id = any (s.names) and i.location_source = 'last_known'
           and i.first_seen >= upper(s.during) and i.first_seen < upper(s.during) + interval '25 hours'
           and mobeye.is_of_request(s, i.device_id, i.placement_id, i.first_seen)
        union all
        select c.device_id, coalesce(c.since, i.first_seen)
          from mobeye.incident_condition c join mobeye.incident i on i.incident_id = c.incident_id
         where c.incident_id = any (s.own || s.joined) and c.device_id = any (s.names)
           and mobeye.is_of_request(s, c.device_id, null, coalesce(c.since, i.first_seen))
        union all
        select m.device_id, m.at from mobeye.subject_mutes(s) m
        union all
        select q.device_id, coalesce(q.received_at, q.quarantined_at) from mobeye.quarantine q
         where q.id = any (mobeye.subject_quarantine(s)) and q.device_id is not null
        union all
        select t.device_id, r.at
          from mobeye.device_status t cross join lateral (values (t.fix_at), (t.last_occurred_at)) as r (at)
         where t.device_id = any (s.names) and s.during @> r.at and mobeye.is_of_request(s, t.device_id, null, r.at)
    )
    select coalesce(jsonb_object_agg(n.name, n.span), '{}')
      from (select named.name, tstzrange(min(named.at), max(named.at), '[]') as span from named
             where named.name is not null and isfinite(named.at) group by 1) n
$$;
comment on function mobeye.subject_named(mobeye.subject_scope) is
    'The names under which anything about a request is stored, or would be without the registry, each with the time of the first and '
    'the last of it.';

-- Until at most five minutes from now: a sender's clock may be that far ahead; what comes later is about another home.
create or replace function mobeye.erase_device(device text, during tstzrange, known jsonb, out n bigint, out remaining text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    until tstzrange := during * tstzrange(null, now() + interval '5 minutes');
    s mobeye.subject_scope := mobeye.subject_scope(device, until, known);
    locked bigint[] := s.own || s.joined;
    held bigint[];
    named jsonb;
    one bigint;
    rows bigint;
begin
    -- From now on no alert joins them, and nobody puts them under a legal hold.
    perform from mobeye.incident i where i.incident_id = any (locked) order by i.incident_id for update;
    s := mobeye.subject_scope(device, until, known);
    -- Incidents that the device began or joined in the meantime stay with their alerts, as if these had come afterwards.
    s.own := array(select t.id from unnest(s.own) as t(id) where t.id = any (locked));
    s.joined := array(select t.id from unnest(s.joined) as t(id) where t.id = any (locked));
    held := mobeye.subject_held(s);
    named := mobeye.subject_named(s);
    n := 0;
    for one in select t.id from unnest(s.joined) as t(id) where t.id <> all (held) order by t.id loop
        perform mobeye.remove_from_incident(s, one);
        n := n + 1;
    end loop;
    n := n + mobeye.erase_quarantine(mobeye.subject_quarantine(s));
    n := n + mobeye.erase_registered(s);
    n := n + mobeye.erase_last_known(s);
    delete from mobeye.snapshot i
     using mobeye.subject_images(s) m
     where i.image_id = m.image_id and i.occurred_at = m.occurred_at
       and (i.incident_id is null or i.incident_id = any (locked) and i.incident_id <> all (held));
    get diagnostics rows = row_count;
    n := n + rows;
    -- As mobeye.subject_alerts(). The identities stay: alerts that a journal still holds are not stored again.
    delete from mobeye.alert a
     where a.device_id = any (s.names)
       and mobeye.is_subject(s, a.device_id, a.placement_id, a.occurred_at)
       and mobeye.is_known_sender(s, a.source, a.input, a.occurred_at)
       and (a.incident_id is null or a.incident_id = any (locked) and a.incident_id <> all (held));
    get diagnostics rows = row_count;
    n := n + rows + mobeye.erase_incidents(array(select t.id from unnest(s.own) as t(id) where t.id <> all (held)), at_request => true)
           + mobeye.forget_fixes(
               array(select t.name from unnest(s.names) as t(name)
                       left join mobeye.device_status d on d.device_id = t.name
                      where mobeye.is_of(s.device_id, t.name, null, coalesce(d.fix_at, now()))
                        and (d.fix_at is null or mobeye.is_known(s, t.name, d.fix_at))), s.during);
    -- The contents of its last alert, which are not counted in addition to the alert; the fact that it reported stays.
    update mobeye.device_status d set source = '', kind = 'unknown', last_occurred_at = '-infinity'
     where d.device_id = any (s.names) and s.during @> d.last_occurred_at and isfinite(d.last_occurred_at)
       and mobeye.is_of_request(s, d.device_id, null, d.last_occurred_at);
    remaining := mobeye.subject_remaining(s);
    if n > 0 then
        n := n + mobeye.erase_labels(s.device_id);
        insert into mobeye.erasure (what, device_id, device_uuid, during, names, n)
        values ('subject', s.device_id, (select d.device_uuid from mobeye.device d where d.device_id = s.device_id), s.during, named,
                erase_device.n);
    end if;
end
$$;
comment on function mobeye.erase_device(text, tstzrange, jsonb) is
    'Erases what was stored about a device in a period, under all its names or the known ones, when the erasure began, and logs '
    'it. Returns how many rows, and what remains and why.';

-- names: an object of each, as mobeye.subject_named(), or null.
create or replace function mobeye.erase_devices(devices text[], periods tstzrange[], names jsonb[],
                                                out n bigint, out remaining text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
    erased record;
begin
    n := 0;
    remaining := '{}';
    for erased in
        select e.* from unnest(devices, periods, names) as d (device_id, during, names)
         cross join lateral mobeye.erase_device(d.device_id, d.during, d.names) e
    loop
        n := n + erased.n;
        remaining := remaining || erased.remaining;
    end loop;
    -- What has a placement belongs to the device that was there.
    remaining := remaining || array(
        select format('%s, which was erased with device %s, is another device''s by the registry; if that is older than the erasure, '
                      'correct it and erase again', k.name, d.device_id)
          from unnest(devices, periods, names) as d (device_id, during, names)
         cross join lateral jsonb_each_text(d.names) as k (name, span)
         where exists (select from mobeye.alert a
                        where a.device_id = k.name and k.span::tstzrange @> a.occurred_at
                          and (a.placement_id is null or starts_with(k.name, 'dc09:'))
                          and not mobeye.is_of(d.device_id, k.name, a.placement_id, a.occurred_at))
            or exists (select from mobeye.incident i
                        where i.device_id = k.name and k.span::tstzrange @> i.first_seen
                          and (mobeye.stood_at(i) is null or starts_with(k.name, 'dc09:'))
                          and not mobeye.is_of(d.device_id, k.name, mobeye.stood_at(i), i.first_seen)))
        || array(select t.line from unnest(devices, names) as d (device_id, names)
                  cross join lateral mobeye.stored_elsewhere(d.device_id, d.names) as t (line));
end
$$;
comment on function mobeye.erase_devices(text[], tstzrange[], jsonb[]) is
    'Erases what is stored about devices, each in a period and under names that it had. Returns how many rows, and what remains '
    'and why.';

-- By their numbers, which stay the same: a rename in progress is waited for, and the new name is read afterwards. An import
-- locks devices before placements, so it is waited for first.
create or replace function mobeye.lock_devices(uuids uuid[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_imports();
    perform from mobeye.device d where d.device_uuid = any (uuids) order by d.device_uuid for update;
end
$$;
comment on function mobeye.lock_devices(uuid[]) is
    'Until the transaction ends nobody imports files, renames these devices, places them, or gives them accounts.';

create or replace function mobeye.subject_erase(address text, device text, from_at timestamptz, until_at timestamptz,
                                                out n bigint, out remaining text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.lock_devices(array(select d.device_uuid from mobeye.subject(address, device, from_at, until_at) s
                                        join mobeye.device d on d.device_id = s.device_id));
    select e.n + b.n, e.remaining || b.remaining into n, remaining
      from (select array_agg(s.device_id) as devices, array_agg(s.during) as periods
              from mobeye.subject(address, device, from_at, until_at) s) as scope
     cross join lateral mobeye.erase_devices(scope.devices, scope.periods, null) e
     cross join lateral mobeye.erase_burglaries_at(case when device is null then address end, from_at, until_at) b;
end
$$;
comment on function mobeye.subject_erase(text, text, timestamptz, timestamptz) is
    'Erases everything that is stored about an address, or about a device in a period (with both: of that device at the '
    'address, and no burglaries). Returns how many rows, and what remains and why.';

create or replace function mobeye.check_logged(line jsonb) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    if line ->> 'burglary' is null and (line ->> 'device_id' is null or line ->> 'during' is null) then
        raise exception 'not an erasure (expected device_id and during, or burglary, as they were printed)'
              using errcode = 'invalid_parameter_value';
    end if;
    if jsonb_typeof(line -> 'names') not in ('object', 'null') then
        raise exception 'names of device % in the log: not an object of each with its times (expected as it was printed)', line ->> 'device_id'
              using errcode = 'invalid_parameter_value';
    end if;
    perform (line ->> 'during')::tstzrange, (line ->> 'burglary')::uuid, (line ->> 'device_uuid')::uuid, (line ->> 'at')::timestamptz;
    perform k.span::tstzrange from jsonb_each_text(nullif(line -> 'names', 'null')) as k (name, span);
end
$$;
comment on function mobeye.check_logged(jsonb) is 'Refuses a line of a log of erasures that does not say what to erase.';

create or replace function mobeye.erase_again(log jsonb, out n bigint, out remaining text[])
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.check_logged(l) from jsonb_array_elements(log) as l;
    perform mobeye.lock_devices(array(select d.device_uuid from jsonb_array_elements(log) as l
                                        join mobeye.device d on d.device_id = mobeye.logged_device(l)));
    select e.n + b.n, scope.unknown || e.remaining || b.remaining into n, remaining
      from (select array_agg(d.device_id) filter (where d.device_id is not null) as devices,
                   array_agg((l ->> 'during')::tstzrange) filter (where d.device_id is not null) as periods,
                   array_agg(nullif(l -> 'names', 'null')) filter (where d.device_id is not null) as names,
                   array_agg((l ->> 'burglary')::uuid) filter (where l ? 'burglary') as burglaries,
                   coalesce(array_agg(format('device %s: its name is that of another device, or of this one registered anew; '
                                             'erase by the address what is stored of the home', l ->> 'device_id'))
                                filter (where l ? 'device_id' and d.device_id is null), '{}') as unknown
              from jsonb_array_elements(log) as l
             cross join lateral (select mobeye.logged_device(l)) as d (device_id)) as scope
     cross join lateral mobeye.erase_devices(scope.devices, scope.periods, scope.names) e
     cross join lateral mobeye.erase_burglaries_again(scope.burglaries) b;
end
$$;
comment on function mobeye.erase_again(jsonb) is
    'Erases again what a log of erasures (device_id, device_uuid, during, names and at, or burglary) lists, after a backup from before '
    'them was restored. Returns how many rows, and what remains and why.';
