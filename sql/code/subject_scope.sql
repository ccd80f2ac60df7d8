-- A person's request: what is stored about a home, or about a device in a period.

create or replace function mobeye.registered_as(device text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select coalesce((select d.device_id from mobeye.device d where d.device_id = device),
                    (select r.device_id from mobeye.device_renamed r where r.earlier_id = device order by r.at desc limit 1),
                    device)
$$;
comment on function mobeye.registered_as(text) is
    'The name under which a device is registered now, given that name or one that it had.';

-- Only by the name if it was not registered by then: the device that gave that up first afterwards, else the one that has it
-- now.
create or replace function mobeye.logged_device(line jsonb) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select case when l.uuid is null
                then coalesce((select r.device_id from mobeye.device_renamed r
                                where r.earlier_id = l.device and r.at > l.at order by r.at, r.device_id limit 1), l.device)
                else coalesce((select d.device_id from mobeye.device d where d.device_uuid = l.uuid),
                              case when not exists (select from mobeye.device d where d.device_id = l.device) then l.device end) end
      from (select line ->> 'device_id' as device, (line ->> 'device_uuid')::uuid as uuid, (line ->> 'at')::timestamptz as at) l
$$;
comment on function mobeye.logged_device(jsonb) is
    'The present name of the device that a line of the log of erasures is about; the name of then if no device is registered as that, '
    'and null if another one is.';

create or replace function mobeye.subject(address text, device text, from_at timestamptz, until_at timestamptz)
returns table (device_id text, during tstzrange)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with wanted (device_id) as (
        select mobeye.registered_as(device))
    select p.device_id, p.during * tstzrange(from_at, until_at)
      from mobeye.placement p cross join wanted w
     where (lower(trim(p.address)) = lower(trim(subject.address))
            or p.erased = mobeye.erased_reference(lower(trim(subject.address))))
       and (w.device_id is null or p.device_id = w.device_id)
       and p.during && tstzrange(from_at, until_at)
    union all
    select w.device_id, tstzrange(from_at, until_at)
      from wanted w
     where subject.address is null and w.device_id is not null and from_at is not null and until_at is not null
$$;
comment on function mobeye.subject(text, text, timestamptz, timestamptz) is
    'The devices and periods that a request is about: by the address where they were placed, or by the device.';

-- After a restore the registry does not know who had a name since the backup; the log of an erasure does. Only what came by an account may
-- be stored under another name than before: the present one.
create or replace function mobeye.is_known(s mobeye.subject_scope, name text, at timestamptz) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select s.known is null
        or exists (select from jsonb_each_text(s.known) k (key, span)
                    where (k.key = is_known.name or is_known.name = s.device_id and starts_with(k.key, 'dc09:'))
                      and k.span::tstzrange @> is_known.at)
$$;
comment on function mobeye.is_known(mobeye.subject_scope, text, timestamptz) is
    'Whether the log of an erasure, if the names of a request are of one, has this name, or for the present one an account, at that time.';

create or replace function mobeye.is_known_sender(s mobeye.subject_scope, source text, input integer, at timestamptz) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select s.known is null or not starts_with(is_known_sender.source, 'dc09:')
        or (s.known ->> (is_known_sender.source || coalesce('/' || is_known_sender.input, '')))::tstzrange @> is_known_sender.at is true
$$;
comment on function mobeye.is_known_sender(mobeye.subject_scope, text, integer, timestamptz) is
    'Whether the log of an erasure, if the names of a request are of one, has the account by which an alert came, if it did, at that time.';

create or replace function mobeye.is_of_request(s mobeye.subject_scope, name text, placement_id bigint, at timestamptz) returns boolean
language sql stable cost 1000
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.is_known(s, name, at) and mobeye.is_of(s.device_id, name, is_of_request.placement_id, at)
$$;
comment on function mobeye.is_of_request(mobeye.subject_scope, text, bigint, timestamptz) is
    'Whether what was stored under one of the names of a request is about its device: by the registry and, if the names are those of '
    'the log of an erasure, by the time of what was erased under that name.';

-- Under the name of an account the placement decides nothing: while the account was mistyped as that of a secret home, what
-- somebody else sent was hidden with that home's alerts.
create or replace function mobeye.is_subject(s mobeye.subject_scope, name text, placement_id bigint, at timestamptz) returns boolean
language sql stable cost 1000
set search_path = pg_catalog, pg_temp
as $$
    select is_subject.placement_id = any (s.placements) and mobeye.is_known(s, name, at)
           and (not starts_with(name, 'dc09:') or name = s.device_id or mobeye.account_holder(name, is_subject.at) is null)
        or s.during @> at and mobeye.is_of_request(s, name, is_subject.placement_id, at)
$$;
comment on function mobeye.is_subject(mobeye.subject_scope, text, bigint, timestamptz) is
    'Whether what was stored under one of the names of a device is about the home or device of a request.';

create or replace function mobeye.subject_alerts(s mobeye.subject_scope) returns setof mobeye.alert_decoded
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select a.* from mobeye.alert_decoded a
     where a.device_id = any (s.names)
       and mobeye.is_subject(s, a.device_id, a.placement_id, a.occurred_at)
       and mobeye.is_known_sender(s, a.source, a.input, a.occurred_at)
$$;
comment on function mobeye.subject_alerts(mobeye.subject_scope) is 'The alerts that a request is about.';

create or replace function mobeye.subject_images(s mobeye.subject_scope)
returns table (image_id uuid, device_id text, occurred_at timestamptz, incident_id bigint, media_type text, width integer,
               height integer, bytes integer, sha256 text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select i.image_id, i.device_id, i.occurred_at, i.incident_id, i.media_type, i.width, i.height, i.bytes,
           encode(i.sha256, 'hex')
      from mobeye.snapshot i
     where i.device_id = any (s.names)
       and mobeye.is_subject(s, i.device_id, i.placement_id, i.occurred_at)
$$;
comment on function mobeye.subject_images(mobeye.subject_scope) is
    'The images that a request is about, without their pixels: mobeyectl subject export --images writes those.';

create or replace function mobeye.subject_scope(device text, during tstzrange, known jsonb default null,
                                                others mobeye.subject_scope[] default '{}')
returns mobeye.subject_scope
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    s mobeye.subject_scope;
    shared bigint[];
begin
    s.device_id := device;
    s.during := subject_scope.during;
    s.known := subject_scope.known;
    s.names := case when s.known is null then array(select mobeye.names_of(device))
                    else array(select device union select jsonb_object_keys(s.known)) end;
    s.placements := array(select p.placement_id from mobeye.placement p
                           where p.device_id = s.device_id and p.during <@ s.during);
    s.own := array(select i.incident_id from mobeye.incident i
                    where i.device_id = any (s.names)
                      and mobeye.is_subject(s, i.device_id, mobeye.stood_at(i), i.first_seen));
    s.joined := array(
        select a.incident_id from mobeye.subject_alerts(s) a where a.incident_id is not null
        union
        select m.incident_id from mobeye.subject_images(s) m where m.incident_id is not null -- its alert may be past its retention
        union
        select c.incident_id
          from mobeye.incident_condition c
          join mobeye.incident i on i.incident_id = c.incident_id
         where c.device_id = any (s.names)
           and (s.during @> c.since or c.since is null and s.during && tstzrange(i.first_seen, i.last_seen, '[]'))
           and mobeye.is_of_request(s, c.device_id, null, coalesce(c.since, i.first_seen))
        union
        select i.incident_id from mobeye.incident i
         where i.placement_id = any (s.placements)
           and (not starts_with(i.device_id, 'dc09:') or mobeye.is_of_request(s, i.device_id, i.placement_id, i.first_seen))
        except
        select unnest(s.own));
    shared := array(
        select i.incident_id from mobeye.incident i
         where i.incident_id = any (s.own)
           and (exists (select from mobeye.incident_condition c
                         where c.incident_id = i.incident_id
                           and not exists (
                               select from unnest(others || s) o
                                where c.device_id = any (o.names)
                                  and (o.device_id = s.device_id or o.during @> coalesce(c.since, i.first_seen))
                                  and mobeye.is_of_request(o, c.device_id, null, coalesce(c.since, i.first_seen))))
                or exists (select from mobeye.alert a
                            where a.incident_id = i.incident_id and a.occurred_at between i.first_seen and i.last_seen
                              and not exists (
                                  select from unnest(others || s) o
                                   where a.device_id = any (o.names)
                                     and mobeye.is_known_sender(o, a.source, a.input, a.occurred_at)
                                     and (coalesce(a.placement_id = any (o.placements), false)
                                          or (o.device_id = s.device_id or o.during @> a.occurred_at)
                                             and mobeye.is_of_request(o, a.device_id, a.placement_id, a.occurred_at))))));
    s.own := array(select unnest(s.own) except select unnest(shared));
    s.joined := s.joined || shared;
    return s;
end
$$;
comment on function mobeye.subject_scope(text, tstzrange, jsonb, mobeye.subject_scope[]) is
    'The scope of a request about a device in a period; known: its names, each with its times, by the log of an erasure, which also limit '
    'what is found in the period; others: those of '
    'the devices of the same request, whose incidents are not shared with anybody.';

create or replace function mobeye.subject_held(s mobeye.subject_scope) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(select i.incident_id from mobeye.incident i
                  where i.incident_id = any (s.own || s.joined) and i.legal_hold order by i.incident_id)
$$;
comment on function mobeye.subject_held(mobeye.subject_scope) is
    'The incidents of a request that are under a legal hold.';

-- Records that cannot be read have no device: those of the period belong to it. For 31 days after the period (an alert may
-- be that late), so do those that contain a name of the device, and those of the device outside any placement.
create or replace function mobeye.subject_quarantine(s mobeye.subject_scope) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select q.id
          from mobeye.quarantine q
         cross join lateral (select coalesce(q.received_at, q.quarantined_at) as at) r
         where (q.device_id is null or q.device_id = any (s.names) and mobeye.is_of_request(s, q.device_id, null, r.at))
           and (s.during @> r.at
                or r.at >= upper(s.during) and r.at < upper(s.during) + interval '31 days'
                   and case when q.device_id is null
                            then exists (select from unnest(s.names) as name
                                          where position(convert_to(name, 'UTF8') in q.record) > 0)
                            else not exists (select from mobeye.placement p
                                              where p.device_id = s.device_id and p.during @> r.at) end))
$$;
comment on function mobeye.subject_quarantine(mobeye.subject_scope) is
    'The ids of the alerts in quarantine that a request is about.';

create or replace function mobeye.subject_mutes(s mobeye.subject_scope) returns setof mobeye.mute
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select m.* from mobeye.mute m
     where m.placement_id = any (s.placements)
        or m.device_id = any (s.names) and s.during @> m.at and mobeye.is_of_request(s, m.device_id, m.placement_id, m.at)
$$;
comment on function mobeye.subject_mutes(mobeye.subject_scope) is 'The mutes that a request is about.';

-- For incidents that others began or joined only their numbers: the rest concerns others as well.
create or replace function mobeye.subject_devices(address text, device text, from_at timestamptz, until_at timestamptz)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with wanted as materialized (
        select w.device_id, w.during, mobeye.subject_scope(w.device_id, w.during) as scope
          from mobeye.subject(address, device, from_at, until_at) w)
    select coalesce(jsonb_agg(jsonb_build_object(
        'device', s.device_id, 'from', lower(s.during), 'until', upper(s.during), 'names', s.names,
        'registered', (select to_jsonb(d) from mobeye.device d where d.device_id = s.device_id),
        'inputs', (select coalesce(jsonb_agg(to_jsonb(n) order by n.input), '[]') from mobeye.device_input n
                    where n.device_id = s.device_id),
        -- What it last reported, and since when and how often it has reported, may concern another home.
        'last_fix', (select jsonb_build_object('fix', t.fix, 'fix_accuracy_m', t.fix_accuracy_m, 'fix_at', t.fix_at)
                            || case when s.during @> t.last_occurred_at then to_jsonb(t) - '{first_received_at,alerts}'::text[] else '{}' end
                       from mobeye.device_status t where t.device_id = s.device_id and s.during @> t.fix_at),
        'placements', (select coalesce(jsonb_agg(to_jsonb(p) order by p.during), '[]') from mobeye.placement p
                        where p.device_id = s.device_id and p.during && s.during),
        -- Of what was hidden under the name of an account, not for whose home: the account may have been mistyped there.
        'mutes', (select coalesce(jsonb_agg(to_jsonb(m) - case when m.secret and starts_with(m.device_id, 'dc09:') then '{team}'::text[]
                                                               else '{}' end order by m.mute_id), '[]')
                    from mobeye.subject_mutes(s) m),
        'quarantine', (select coalesce(jsonb_agg(to_jsonb(q) order by q.id), '[]') from mobeye.quarantine q
                        where q.id = any (mobeye.subject_quarantine(s))),
        'alerts', (select coalesce(jsonb_agg(to_jsonb(a) - case when starts_with(a.device_id, 'dc09:') and a.placement_id <> all (own.placements)
                                                                then '{team,placement_id,areas,wijk_code,buurt_code}'::text[]
                                                                else '{}' end order by a.occurred_at), '[]')
                     from mobeye.subject_alerts(s) a),
        'images', (select coalesce(jsonb_agg(to_jsonb(m) order by m.occurred_at), '[]') from mobeye.subject_images(s) m),
        'joined_incidents', s.joined,
        -- Not if other devices raised something in it, nor if it hides the home of one.
        'incidents', (select coalesce(jsonb_agg(to_jsonb(i) - '{extent,cell,secret_team}'::text[]
                        - case when i.secret and starts_with(i.device_id, 'dc09:') and (i.placement_id = any (own.placements)) is not true
                               then '{areas,areas_throughout}'::text[] else '{}' end || jsonb_build_object('history',
                        (select coalesce(jsonb_agg(to_jsonb(h) order by h.entry), '[]') from mobeye.incident_history h
                          where h.incident_id = i.incident_id)) order by i.incident_id), '[]')
                        from mobeye.incident i where i.incident_id = any (s.own)))), '[]')
      from wanted w
     cross join lateral mobeye.subject_scope(w.device_id, w.during, null, array(select o.scope from wanted o)) s
     cross join lateral (select array(select p.placement_id from mobeye.placement p where p.device_id = s.device_id) as placements) own
     -- What an erasure leaves of a placement is not a reason: nothing is known about the home.
     where cardinality(s.own || s.joined || mobeye.subject_quarantine(s)) > 0
        or exists (select from mobeye.subject_alerts(s)) or exists (select from mobeye.subject_mutes(s))
        or exists (select from mobeye.placement p where p.device_id = s.device_id and p.during && s.during and p.erased is null)
        or exists (select from mobeye.device_status t where t.device_id = s.device_id and s.during @> t.fix_at)
$$;
comment on function mobeye.subject_devices(text, text, timestamptz, timestamptz) is
    'Everything that is stored about the devices of a request, an object each.';

create or replace function mobeye.subject_export(address text, device text, from_at timestamptz, until_at timestamptz)
returns jsonb
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select mobeye.subject_devices(address, device, from_at, until_at)
           || coalesce((select jsonb_build_array(jsonb_build_object('burglaries', jsonb_agg(to_jsonb(b) order by b.burglary_id)))
                          from mobeye.subject_burglaries(case when device is null then address end, from_at, until_at) b
                        having count(*) > 0), '[]')
$$;
comment on function mobeye.subject_export(text, text, timestamptz, timestamptz) is
    'Everything that is stored about an address, or about a device in a period, as JSON; an empty array if nothing is.';

create or replace function mobeye.subject_remaining(s mobeye.subject_scope) returns text[]
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select array(
        select format('incident %s: under a legal hold; the incident, its alerts, images and placement stay', h)
          from unnest(mobeye.subject_held(s)) as h
        union all
        select format('placement %s of device %s: %s', p.placement_id, p.device_id,
                      case when upper_inf(p.during) or upper(p.during) > now() then 'the device is still there'
                           when not p.during <@ s.during then 'it extends beyond the requested period'
                           else 'an incident under a legal hold refers to it' end)
          from mobeye.placement p
         where p.device_id = s.device_id and p.during && s.during and p.erased is null
        union all
        -- A daemon that has been away for longer than a month does not come back with its journal.
        select format(case when d.alive_at > now() - interval '5 minutes'
                           then 'alerts that %s received after %s are not stored yet; erase again once they are'
                           else '%s last reported at %3$s; if its journal has alerts received after %2$s, erase again once they are stored'
                      end, d.instance, to_char(d.applied_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                      to_char(d.alive_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))
          from mobeye.daemon d
         where d.alive_at > now() - interval '31 days'
           and d.applied_until < least(upper(s.during), now() - interval '2 minutes'))
$$;
comment on function mobeye.subject_remaining(mobeye.subject_scope) is
    'What cannot be erased for a request, or not yet, and why: one line each.';

-- Where the registry of a backup gives an account, or the name of a set, to another device, what came by it is stored as that one's. What
-- that one sent itself in between is not to be erased with it, as far as that can be told: by the account.
create or replace function mobeye.stored_elsewhere(device text, known jsonb) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with stored as (
        select k.name, a.device_id, a.occurred_at, a.source || coalesce('/' || a.input, '') = k.name as its
          from jsonb_each_text(known) as k (name, span)
          join mobeye.address_holder h on h.account = ltrim(substr(split_part(k.name, '/', 1), 6), '0') and h.device_id <> device
          join mobeye.alert a on a.device_id = h.device_id and k.span::tstzrange @> a.occurred_at
         where starts_with(k.name, 'dc09:')
        union all
        select k.name, p.device_id, a.occurred_at, true
          from jsonb_each_text(known) as k (name, span)
          join mobeye.alert a on a.device_id = k.name and k.span::tstzrange @> a.occurred_at
          join mobeye.placement p on p.placement_id = a.placement_id and p.device_id <> device
         where not starts_with(k.name, 'dc09:') and k.name not in (select mobeye.names_of(device))
           and not mobeye.is_of(device, k.name, a.placement_id, a.occurred_at)
    ), run as (
        select t.*, count(*) filter (where not t.its) over (partition by t.name, t.device_id order by t.occurred_at) as n from stored t)
    select format('%s, which was erased with device %s, is stored as device %s; if it is not about that one, erase it with '
                  '--device %3$s --from %s --until %s', r.name, device, r.device_id,
                  to_char(min(r.occurred_at) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                  to_char((max(r.occurred_at) + interval '1 microsecond') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
      from run r
     where r.its
     group by r.name, r.device_id, r.n
     order by r.name, r.device_id, r.n
$$;
comment on function mobeye.stored_elsewhere(text, jsonb) is
    'What is stored as another device''s though it came by an account or name, and at a time, that the log of an erasure lists: one line '
    'for all between which that one sent nothing else.';
