-- Incidents by place and by address, and the detail of one incident.

create or replace function mobeye.incidents_in(box public.geometry, v mobeye.viewer, open_only boolean) returns bigint[]
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
        select i.incident_id from mobeye.incident i where v.is_owner and i.secret and i.geom operator(public.&&) box)
$$;
comment on function mobeye.incidents_in(public.geometry, mobeye.viewer, boolean) is
    'The incidents in a box, and some more: secret ones by their cell, and by their place only if the viewer may know it.';

-- An auditor sees places coarsely: the rows that a search reads must not reveal on which side of an edge a place is.
create or replace function mobeye.search_box(box public.geometry, v mobeye.viewer) returns public.geometry
language sql immutable
set search_path = pg_catalog, pg_temp
as $$
    select case when mobeye.must_give_reason(v)
                then public.st_makeenvelope(floor(public.st_xmin(box) * 100) / 100, floor(public.st_ymin(box) * 100) / 100,
                                            ceil(public.st_xmax(box) * 100) / 100, ceil(public.st_ymax(box) * 100) / 100, 4326)
                else box end
$$;
comment on function mobeye.search_box(public.geometry, mobeye.viewer) is
    'The box that is searched for what a viewer may see in a box: for an auditor, widened to hundredths of a degree.';

-- Searches a box that is wider by more than half the diagonal of a cell, and then by the place that is shown: otherwise a
-- secret place could be found with smaller and smaller boxes.
create or replace function patrol.history_at(lon float8, lat float8, radius_m integer)
returns table (incident_id bigint, reference text, distance_m integer, first_seen timestamptz, last_seen timestamptz,
               category text, priority smallint, kind text, status text, outcome text, verified_by text,
               alert_count integer, drill boolean, team text, coarse boolean)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.current_viewer();
    middle public.geography;
    around public.geometry;
    candidates bigint[];
begin
    if (lon between -180 and 180 and lat between -85 and 85 and radius_m between 1 and 5000) is not true then
        raise exception 'radius % m around longitude %, latitude % is not valid', radius_m, lon, lat
            using errcode = 'invalid_parameter_value',
                  hint = 'Expected degrees, longitude first, up to 85 north or south, and a radius of 1 to 5000 m.';
    end if;
    middle := public.st_setsrid(public.st_makepoint(lon, lat), 4326)::public.geography;
    around := public.st_expand(middle::public.geometry, (radius_m + 100) / (111000 * cos(radians(lat))),
                               (radius_m + 100) / 111000.0);
    candidates := mobeye.incidents_in(mobeye.search_box(around, v), v, false);
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
    'The incidents that the reader sees within a distance of a place (degrees; up to 5000 m), newest first; secret ones by '
    'the centre of their cell.';

create or replace function patrol.incidents_geojson(west float8, south float8, east float8, north float8) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v mobeye.viewer := mobeye.current_viewer();
    box public.geometry;
    features jsonb;
    candidates bigint[];
begin
    if (west between -180 and 180 and east between -180 and 180 and west <= east
        and south between -90 and 90 and north between -90 and 90 and south <= north) is not true then
        raise exception 'box west %, south %, east %, north % is not valid', west, south, east, north
            using errcode = 'invalid_parameter_value', hint = 'Expected degrees in the order west, south, east, north.';
    end if;
    box := public.st_makeenvelope(west, south, east, north, 4326);
    candidates := mobeye.incidents_in(mobeye.search_box(public.st_expand(box, 0.005), v), v, true);
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
    'The open incidents that the reader sees in a box (degrees: west, south, east, north), as a FeatureCollection (RFC '
    '7946); secret ones at the centre of their cell.';

create or replace function patrol.incidents_at(address text) returns setof patrol.incidents
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- The number of rows read must not reveal secret placements (see placement_address): whatever the plan, a search by address
-- has all columns of that index in its condition.
set enable_seqscan = off
set plan_cache_mode = force_generic_plan -- one plan for all addresses
as $$
declare
    v mobeye.viewer := mobeye.current_viewer();
    wanted text := lower(address);
    placements bigint[];
    incidents bigint[];
begin
    placements := array(
        select p.placement_id from mobeye.placement p where lower(p.address) = wanted and not p.secret
        union all
        select p.placement_id from mobeye.placement p where lower(p.address) = wanted and p.secret and p.team = v.team
        union all
        select p.placement_id from mobeye.placement p where v.is_owner and lower(p.address) = wanted and p.secret);
    -- All secret incidents of the team are read first, and only then compared: OFFSET keeps the address out of the join.
    incidents := array(
        select i.incident_id from mobeye.incident i where i.placement_id = any (placements)
        union all
        select o.incident_id
          from (select i.incident_id, p.address from mobeye.incident i join mobeye.placement p on p.placement_id = i.placement_id
                 where i.secret and i.team = v.team offset 0) as o
         where lower(o.address) = wanted
        union all
        select o.incident_id
          from (select i.incident_id, p.address from mobeye.incident i join mobeye.placement p on p.placement_id = i.placement_id
                 where i.secret and i.assigned_to = v.login offset 0) as o
         where lower(o.address) = wanted);
    return query
        select s.* from patrol.incidents s where s.incident_id = any (incidents) and not s.coarse
         order by s.incident_id desc;
end
$$;
comment on function patrol.incidents_at(text) is
    'The incidents at an address (in full; case does not matter), newest first, as far as the reader sees them exactly.';

create or replace function mobeye.alerts_of(incident_id bigint, v mobeye.viewer, payload_bytes bigint) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
    from_at timestamptz;
    until_at timestamptz;
    oldest_at timestamptz; -- of those with their payload
    oldest_seq bigint;
begin
    select i.first_seen - coalesce(i.gap, '0'), i.last_seen + coalesce(i.gap, '0') into from_at, until_at
      from mobeye.incident i where i.incident_id = alerts_of.incident_id;
    if payload_bytes is not null then
        select s.occurred_at, s.journal_seq into oldest_at, oldest_seq
          from (select l.occurred_at, l.journal_seq, sum(l.bytes) over (order by l.occurred_at desc, l.journal_seq desc) as bytes
                  from (select a.occurred_at, a.journal_seq, octet_length(a.payload) as bytes from mobeye.alert a
                         where a.incident_id = alerts_of.incident_id and a.occurred_at between from_at and until_at
                         order by a.occurred_at desc, a.journal_seq desc limit 1000) as l) as s
         where s.bytes <= payload_bytes
         order by s.occurred_at, s.journal_seq limit 1;
    end if;
    return (select coalesce(jsonb_agg(l.alert order by l.occurred_at, l.journal_seq), '[]') from (
        select a.occurred_at, a.journal_seq,
               jsonb_build_object(
                   'instance', a.instance, 'journal_seq', a.journal_seq, 'occurred_at', a.occurred_at, 'received_at', a.received_at,
                   'clock_skew', a.clock_skew, 'endpoint', a.endpoint, 'kind', a.kind, 'phase', a.phase, 'input', a.input,
                   'drill', a.drill, 'flags', a.flags, 'rule', a.rule, 'location_source', a.location_source,
                   'wijk_code', a.wijk_code, 'buurt_code', a.buurt_code, 'incident_id', a.incident_id,
                   'source', case when x.exact then a.source end, 'event_id', case when x.exact then a.event_id end,
                   'device_id', case when x.exact then a.device_id end, 'payload', case when x.exact and (payload_bytes is null or (a.occurred_at, a.journal_seq) >= (oldest_at, oldest_seq))
                                   then case when a.secret and a.location_source <> 'message' and not v.is_owner and not v.is_auditor
                                             then a.payload #- '{data,location}' else a.payload end end,
                   'accuracy_m', case when x.exact then a.accuracy_m end,
                   'geom', public.st_asgeojson(case when x.exact then a.geom end, 7)::jsonb,
                   'image_bytes', case when x.exact and a.image_id is not null then (
                                      select s.bytes from mobeye.snapshot s
                                       where s.image_id = a.image_id and s.occurred_at = a.occurred_at) end) as alert
          from mobeye.alert_decoded a
         cross join lateral (
               select v.is_auditor
                      or (not a.secret or mobeye.may_see_secret(a.team, a.incident_id, v))
                         and exists (select from mobeye.incident i
                                      where i.incident_id = alerts_of.incident_id
                                        and (not i.secret or coalesce(v.team in (i.team, i.secret_team) or i.assigned_to = v.login, false)))
                      as exact) as x
         where a.incident_id = alerts_of.incident_id and a.occurred_at between from_at and until_at
         order by a.occurred_at desc, a.journal_seq desc
         limit 1000) as l);
end
$$;
comment on function mobeye.alerts_of(bigint, mobeye.viewer, bigint) is
    'The last 1000 alerts of an incident, with the columns of patrol.alerts; null is what is secret to the viewer. An auditor sees '
    'everything. payload_bytes: of the latest alone the payload, as many as have so many bytes together (null: of all).';

create or replace function mobeye.look_at(id bigint, reason text, payload_bytes bigint)
returns table (incident_id bigint, reference text, status text, category text, priority smallint, kind text,
               device_id text, address text, instructions text, geom public.geometry, rd_x float8, rd_y float8,
               location_source text, accuracy_m real, wijk_code text, wijk_name text, buurt_code text, team text,
               verified_by text, alert_count integer, first_seen timestamptz, last_seen timestamptz,
               assigned_to text, outcome text, external_ref text, coarse boolean, alerts jsonb, history jsonb,
               image_id uuid, images jsonb)
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    v mobeye.viewer := mobeye.current_viewer();
    actor text := mobeye.actor();
    i mobeye.incident_full;
    seen boolean;
    place public.geometry;
begin
    perform mobeye.require_text('the reason', reason);
    select * into i from mobeye.incident_full f where f.incident_id = id;
    if i.incident_id is null or not mobeye.can_see(i.team, i.areas, i.assigned_to, v) then
        raise exception 'incident % does not exist or belongs to another team', coalesce(id::text, 'null')
            using errcode = 'no_data_found', hint = 'patrol.incidents lists the incidents that you see.';
    end if;
    perform mobeye.add_history(id, 'look', reason);
    -- The server's log records a look even if its transaction is rolled back.
    raise log 'mobeyed: % looked at incident %', actor, id;
    seen := mobeye.sees_exactly(i, v);
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
               mobeye.alerts_of(id, v, payload_bytes),
               (select coalesce(jsonb_agg(to_jsonb(h)
                                          || case when seen then '{}' else '{"note": null, "image_id": null}'::jsonb end
                                          order by h.entry), '[]')
                  from mobeye.incident_history h where h.incident_id = id),
               case when seen then i.image_id end, case when seen then mobeye.images_of(id) else '[]' end;
end
$$;
comment on function mobeye.look_at(bigint, text, bigint) is 'patrol.open_incident(); payload_bytes: see alerts_of().';

create or replace function patrol.open_incident(id bigint, reason text)
returns table (incident_id bigint, reference text, status text, category text, priority smallint, kind text,
               device_id text, address text, instructions text, geom public.geometry, rd_x float8, rd_y float8,
               location_source text, accuracy_m real, wijk_code text, wijk_name text, buurt_code text, team text,
               verified_by text, alert_count integer, first_seen timestamptz, last_seen timestamptz,
               assigned_to text, outcome text, external_ref text, coarse boolean, alerts jsonb, history jsonb,
               image_id uuid, images jsonb)
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select * from mobeye.look_at(id, reason, null) $$;
comment on function patrol.open_incident(bigint, text) is
    'The detail of an incident with its last 1000 alerts, its history and its images. The look, its time and reason are recorded in the '
    'history. Auditors see the exact place only here; a secret place stays coarse to other teams.';
