-- What the board shows, as JSON. Each function is for everybody with the right; the board calls them by patrol.board().

-- A function that runs as the owner must check what the person may do: privileges do not.
create or replace function mobeye.require_right(wanted text) returns mobeye.viewer
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.current_viewer();
    may boolean := case wanted when 'act' then v.is_officer
                               when 'look' then v.is_officer or v.is_auditor
                               when 'equipment' then v.is_officer or v.is_auditor or v.is_registrar end;
begin
    perform mobeye.actor();
    if may is not true then
        raise exception 'permission denied for "%"', v.login
            using errcode = 'insufficient_privilege',
                  hint = format('Expected a member of %s.',
                                case wanted when 'act' then 'mobeye_patrol' when 'look' then 'mobeye_patrol or mobeye_auditor'
                                            else 'mobeye_patrol, mobeye_auditor or mobeye_registry' end);
    end if;
    return v;
end
$$;
comment on function mobeye.require_right(text) is
    'The viewer; refused (SQLSTATE 42501) if their own rights do not include this: "act" on incidents, "look" at them, or '
    'look at the "equipment".';

create or replace function mobeye.change_count() returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $$ select c.value from mobeye.counter c where c.name = 'changes' $$;
comment on function mobeye.change_count() is 'The last change_id given out: a screen is current up to here.';

create or replace function patrol.board_me() returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.require_right('equipment');
    o mobeye.viewer := mobeye.officer_viewer();
begin
    return jsonb_build_object(
        'api_version', patrol.api_version(), 'login', v.login,
        'name', coalesce((select p.name from mobeye.person p where p.login = v.login), v.login),
        'team', v.team, 'team_name', (select t.name from mobeye.team t where t.team = v.team), 'all_teams', v.all_teams,
        'officer', v.is_officer, 'auditor', v.is_auditor, 'registrar', v.is_registrar,
        'teams', (select coalesce(jsonb_agg(jsonb_build_object('team', t.team, 'name', t.name) order by t.team), '[]')
                    from mobeye.team t where o.is_officer and (o.all_teams or t.team = o.team)),
        'officers', (select coalesce(jsonb_agg(jsonb_build_object('login', p.login, 'name', p.name, 'team', p.team)
                                               order by p.name, p.login), '[]')
                       from mobeye.person p
                      where o.is_officer and (o.all_teams or p.team = o.team) and mobeye.may_be_given(p)));
end
$$;
comment on function patrol.board_me() is
    'The version of the schema (api_version), and the reader: login, name, team, team_name, all_teams, what they may do '
    '(officer, auditor, registrar), and for officers the teams and the officers that they can give an incident to.';

-- As text: jsonb would cost half as much again for a queue of 500, which every page reads after every change. GeoJSON has
-- no "crs" (RFC 7946); within a string its quotes would be escaped.
create or replace function mobeye.queue_json() returns json
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
begin
    perform mobeye.require_right('look');
    return (select format('{"change_id": %s, "incidents": [%s]}', mobeye.change_count(),
                          string_agg(replace(to_json(q)::text, '"crs":{"type":"name","properties":{"name":"EPSG:4326"}},', ''),
                                     E',\n' order by q.place))
              from patrol.queue q);
end
$$;
comment on function mobeye.queue_json() is 'What patrol.board_queue() returns.';

create or replace function patrol.board_queue() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select mobeye.queue_json()::jsonb $$;
comment on function patrol.board_queue() is 'The rows of patrol.queue, and the change_id up to which they are current.';

create or replace function mobeye.silent_endpoint(incident_id bigint) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select s.instance || '/' || s.endpoint
      from mobeye.endpoint_status s
      join mobeye.incident i on i.incident_key = mobeye.silence_key('endpoint', s.instance || '/' || s.endpoint)
     where i.incident_id = silent_endpoint.incident_id
$$;
comment on function mobeye.silent_endpoint(bigint) is
    'The endpoint, as "instance/name", whose silence a service incident is about; null if it is about a device.';

-- An incident may have 1000 alerts of 64 KiB: as JSON that is more memory than the board has, and the page shows only what the
-- last ones say.
create or replace function mobeye.board_payload_bytes() returns bigint
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select 1048576::bigint $$;
comment on function mobeye.board_payload_bytes() is 'How many bytes of payload the board gets with an incident: those of its latest alerts.';

-- exact: what mobeye.look_at() returned, from which an auditor sees the place; null: as the views show it.
create or replace function mobeye.incident_detail(id bigint, v mobeye.viewer, exact jsonb) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    shown jsonb := (select to_jsonb(i) #- '{geom,crs}' || jsonb_build_object('endpoint', mobeye.silent_endpoint(id))
                      from patrol.incidents i where i.incident_id = id);
    place jsonb;
begin
    if shown is null then
        return null;
    end if;
    shown := shown || coalesce((exact - array['alerts', 'history', 'images']) #- '{geom,crs}', '{}');
    place := case when not (shown ->> 'coarse')::boolean then shown #> '{geom,coordinates}' end;
    return jsonb_build_object(
        'change_id', mobeye.change_count(),
        'incident', shown,
        'reason_required', mobeye.must_give_reason(v) and exact is null,
        'alerts', case when exact is not null then exact -> 'alerts'
                       when mobeye.must_give_reason(v) then '[]' else mobeye.alerts_of(id, v, mobeye.board_payload_bytes()) end,
        'history', coalesce(exact -> 'history',
                            (select coalesce(jsonb_agg(to_jsonb(h) order by h.entry), '[]')
                               from patrol.incident_history h where h.incident_id = id)),
        'images', coalesce(exact -> 'images',
                           (select coalesce(jsonb_agg(to_jsonb(m) order by m.occurred_at, m.image_id), '[]')
                              from patrol.images m where m.incident_id = id)),
        'before', (select coalesce(jsonb_agg(to_jsonb(h) order by h.first_seen desc), '[]')
                     from (select * from patrol.history_at((place ->> 0)::float8, (place ->> 1)::float8, 100) b
                            where place is not null and b.incident_id <> id
                            order by b.first_seen desc limit 20) as h));
end
$$;
comment on function mobeye.incident_detail(bigint, mobeye.viewer, jsonb) is
    'An incident as the viewer sees it, with its alerts, history and images and what happened within 100 m before; null if '
    'they do not see it.';

-- An open page reads its incident again with each change, and now and then while it is on the screen: that is one look.
create or replace function mobeye.looked_lately(id bigint) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from mobeye.incident_history h
                    where h.incident_id = id and h.action = 'look' and h.image_id is null and h.actor = mobeye.actor()
                      and h.at > now() - interval '15 minutes'
                      -- The person to whom it was assigned since may see its secret place exactly.
                      and not exists (select from mobeye.incident i
                                        join mobeye.incident_history s on s.incident_id = i.incident_id
                                       where i.incident_id = id and i.secret and s.action = 'status' and s.entry > h.entry))
$$;
comment on function mobeye.looked_lately(bigint) is
    'Whether the viewer opened an incident in the last 15 minutes, and, if its place is secret, after its last change of status.';

-- Not an advisory lock: any login can take those.
create or replace function mobeye.await_look() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
begin
    perform from mobeye.person p where p.login = mobeye.actor() for no key update;
exception when lock_not_available then
    null; -- for example while the person's team is renamed: better two looks than none
end
$$;
comment on function mobeye.await_look() is
    'Waits for another look of the viewer that is being recorded, for at most a second, and makes their next ones wait for this one.';

create or replace function patrol.board_incident(id bigint, reason text default null) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.require_right('look');
    known bigint := mobeye.change_count(); -- before anything is read: what the person is shown is at least as recent
    looks boolean := reason is not null or not mobeye.must_give_reason(v) and not mobeye.looked_lately(id);
    exact jsonb;
    detail jsonb;
begin
    if looks and reason is null then
        perform mobeye.await_look();
        looks := not mobeye.looked_lately(id);
    end if;
    if looks then
        select to_jsonb(o) into exact
          from mobeye.look_at(id, case when mobeye.must_give_reason(v) then reason else coalesce(nullif(btrim(reason), ''), 'board') end,
                              mobeye.board_payload_bytes()) o;
    end if;
    detail := mobeye.incident_detail(id, v, exact);
    if detail is null then
        raise exception 'incident % does not exist or belongs to another team', coalesce(id::text, 'null')
            using errcode = 'no_data_found', hint = 'patrol.incidents lists the incidents that you see.';
    end if;
    return detail || jsonb_build_object('change_id', known);
end
$$;
comment on function patrol.board_incident(bigint, text) is
    'An incident with its alerts, history and images, and what happened within 100 m before. Records the look: once in 15 '
    'minutes (if the place is secret, also after each change of status), and always if a reason is given. Auditors see the exact place, alerts and images only with a reason '
    '(reason_required).';

create or replace function patrol.board_areas(west float8, south float8, east float8, north float8) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    box public.geometry := public.st_makeenvelope(west, south, east, north, 4326);
    finest float8 := greatest((east - west) / 2000, 0.00001); -- half a pixel of a wall screen
    o mobeye.viewer := mobeye.officer_viewer();
begin
    perform mobeye.require_right('look');
    if (west <= east and south <= north) is not true then
        raise exception 'box west %, south %, east %, north % is not valid', west, south, east, north
            using errcode = 'invalid_parameter_value', hint = 'Expected degrees in the order west, south, east, north.';
    end if;
    return jsonb_build_object('type', 'FeatureCollection', 'features', (
        select coalesce(jsonb_agg(jsonb_build_object(
                   'type', 'Feature',
                   'geometry', public.st_asgeojson(public.st_simplifypreservetopology(a.geom, finest), 6)::jsonb,
                   'properties', jsonb_build_object('layer', a.layer, 'code', a.code, 'name', a.name, 'may_mute', a.may_mute))
                   order by a.layer, a.code), '[]')
          from (select a.*, b.may_mute from mobeye.area a
                 cross join lateral (values (o.is_officer and (o.all_teams or coalesce(a.layer || ':' || a.code = any (o.areas), false)))) b (may_mute)
                 where a.geom operator(public.&&) box and a.valid @> now() order by b.may_mute desc, a.layer, a.code limit 1000) as a));
end
$$;
comment on function patrol.board_areas(float8, float8, float8, float8) is
    'The areas in a box (degrees: west, south, east, north) that are valid now, at most 1000, first those that the reader may mute, simplified to the resolution '
    'of a screen, as a FeatureCollection; may_mute: whether the reader may mute the area.';

create or replace function patrol.board_equipment(q text default null) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v constant mobeye.viewer := mobeye.require_right('equipment');
    wanted text := '%' || replace(replace(replace(nullif(btrim(q), ''), E'\\', E'\\\\'), '%', E'\\%'), '_', E'\\_') || '%';
begin
    return jsonb_build_object(
        'change_id', mobeye.change_count(),
        'incidents', (select coalesce(jsonb_agg(to_jsonb(i) #- '{geom,crs}'
                                                || jsonb_build_object('endpoint', mobeye.silent_endpoint(i.incident_id))
                                                order by i.priority, i.first_seen, i.incident_id), '[]')
                        from patrol.incidents i where i.category = 'service' and i.status <> 'closed'),
        'counts', (select jsonb_build_object('devices', count(*), 'placed', count(*) filter (where d.state = 'placed'),
                                             'silent', count(d.silent_since), 'muted', count(d.muted_until),
                                             'battery_low', count(*) filter (where d.battery_pct <= 20))
                     from patrol.devices d),
        'devices', (select coalesce(jsonb_agg(to_jsonb(d) #- '{geom,crs}' order by d.silent_since, d.battery_pct, d.device_id), '[]')
                      from (select d.*, c.card, c.until as card_until
                              from patrol.devices d
                              left join patrol.device_cards c on c.device_id = d.device_id and (v.is_officer or v.is_registrar)
                             where case when wanted is not null then concat_ws(' ', d.device_id, d.address, d.model) ilike wanted
                                        else d.silent_since is not null or d.muted_until is not null or d.battery_pct <= 20
                                             or c.card is not null end
                             order by d.silent_since, d.battery_pct, d.device_id limit 500) as d),
        'mutes', (select coalesce(jsonb_agg(to_jsonb(m) order by m.until, m.mute_id), '[]')
                    from patrol.mutes m where m.active));
end
$$;
comment on function patrol.board_equipment(text) is
    'The open service incidents (endpoint: the one whose silence it is about), the active mutes, counts of devices, and at most 500 devices: those that are silent or '
    'muted, have 20 % of battery or less or a card (card, card_until; not for auditors), or if q is given those whose name, '
    'address or model contains it.';

create or replace function patrol.board_closed(q text default null, words text default null) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    word text := nullif(btrim(q), '');
    wanted text := '%' || replace(replace(replace(word, E'\\', E'\\\\'), '%', E'\\%'), '_', E'\\_') || '%';
    silences bigint[] := array(
        select i.incident_id from mobeye.endpoint_status s
          join mobeye.incident i on i.incident_key = mobeye.silence_key('endpoint', s.instance || '/' || s.endpoint)
         where s.instance || '/' || s.endpoint ilike wanted);
    o mobeye.viewer := mobeye.officer_viewer();
    officers text[] := array(select p.login from mobeye.person p
                              where o.is_officer and (o.all_teams or p.team = o.team) and p.name ilike wanted); -- as patrol.board_me()
    codes text[] := string_to_array(words, ',');
    last bigint[];
begin
    perform mobeye.require_right('look');
    -- Determines first which they are: what is looked up for each incident shown, such as its latest alert, takes most of the
    -- time (3,300 closed in a day: 917 ms without this, 119 with it).
    last := array(
        select i.incident_id from patrol.incidents i
         where i.status = 'closed'
           and i.closed_at > now() - case when word is null then interval '24 hours' else interval '90 days' end
           and (word is null
                or concat_ws(' ', i.reference, i.address, i.device_id, i.kind, i.outcome, replace(i.outcome, '_', ' '), i.assigned_to,
                             i.wijk_name) ilike wanted
                or i.kind = any (codes) or i.outcome = any (codes)
                or i.assigned_to = any (officers)
                or i.incident_id = any (silences))
         order by i.closed_at desc, i.incident_id desc limit 200);
    return jsonb_build_object('change_id', mobeye.change_count(), 'incidents', (
        select coalesce(jsonb_agg(to_jsonb(i) #- '{geom,crs}' || jsonb_build_object('endpoint', mobeye.silent_endpoint(i.incident_id))
                                  order by i.closed_at desc, i.incident_id desc), '[]')
          from patrol.incidents i where i.incident_id = any (last)));
end
$$;
comment on function patrol.board_closed(text, text) is
    'The incidents that were closed in the last 24 hours; if q is given, those of the last 90 days whose reference, address, '
    'device, kind, outcome, officer (login, or name if the reader may know it), district or silent endpoint contains it, or whose '
    'kind or outcome is one of words (with commas: the codes whose translation contains q); the last 200.';
