-- Incidents as patrols and auditors see them.

-- The payload is as the sender wrote it: values of the wrong type or out of range are left out.
create or replace function mobeye.seen_by_camera(camera jsonb) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select nullif(concat_ws(', ',
        nullif(concat_ws(' ', left(camera ->> 'label', 64),
                         case when jsonb_typeof(camera -> 'score') = 'number'
                              then case when (camera ->> 'score')::numeric between 0 and 1
                                        then round((camera ->> 'score')::numeric * 100) || ' %' end end), ''),
        left(camera ->> 'camera_zone', 64)), '')
$$;
comment on function mobeye.seen_by_camera(jsonb) is
    'What a camera recognised, with its score and zone, such as "person 87 %, oprit"; null if it does not say.';

create or replace function mobeye.camera_said(camera jsonb) returns jsonb
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select nullif(jsonb_strip_nulls(jsonb_build_object(
               'label', case when jsonb_typeof(camera -> 'label') = 'string' then left(camera ->> 'label', 64) end,
               'score', case when jsonb_path_match(camera, '$.score >= 0 && $.score <= 1', silent => true) then camera -> 'score' end,
               'camera_zone', case when jsonb_typeof(camera -> 'camera_zone') = 'string' then left(camera ->> 'camera_zone', 64) end)), '{}')
$$;
comment on function mobeye.camera_said(jsonb) is
    'The same as JSON, for those who translate it: label, score and camera_zone, those that are there.';

create or replace function mobeye.shortened(text text) returns text
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as $$ select case when length(text) > 500 then left(text, 499) || '…' else text end $$;
comment on function mobeye.shortened(text) is 'A text for a list: at most 500 characters, with an ellipsis where it was longer.';

-- For views that have established that the reader sees the incident exactly. The latest alert is looked up by the devices of
-- the incident, through their index; nothing is stored with the incident, which is kept longer than its alerts.
create or replace function mobeye.latest_alert(incident_id bigint) returns text[]
language plpgsql stable security definer cost 1000
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan -- planning for every partition takes ten times as long as the look-ups
as $$
declare
    devices text[];
    first_at timestamptz;
    last_at timestamptz;
    since timestamptz;
    found text[];
begin
    select array(select i.device_id union
                 select c.device_id from mobeye.incident_condition c where c.incident_id = i.incident_id),
           i.first_seen, i.last_seen
      into devices, first_at, last_at
      from mobeye.incident i
     where i.incident_id = latest_alert.incident_id
       -- Device managers can call this by name.
       and (not (select v.is_registrar from mobeye.current_viewer() as v)
            or exists (select from mobeye.incident_seen s where s.incident_id = i.incident_id and not s.coarse));
    -- The latest one occurred at last_seen. Without it, for example after its erasure, each device's alerts are read back to
    -- its own latest in the incident: if it has moved on to other incidents, that may be everything that it has sent since. The
    -- times are variables here, so that the partitions of other times are left out before the query starts.
    foreach since in array array[last_at, first_at] loop
        select array[mobeye.shortened(coalesce(a.payload #>> '{data,text}', a.payload #>> '{event,text}',
                                               (select e.value ->> 'value' from jsonb_array_elements(a.payload -> 'extended') as e
                                                 where e.value ->> 'id' = 'I' limit 1),
                                               mobeye.seen_by_camera(a.payload #> '{data,camera}'))),
                     (select n.label from mobeye.device_input n where n.device_id = a.device_id and n.input = a.input),
                     mobeye.camera_said(a.payload #> '{data,camera}')::text]
          into found
          from unnest(devices) as d (device_id)
         cross join lateral (
               select a.occurred_at, a.journal_seq, a.device_id, a.input, a.payload::jsonb as payload from mobeye.alert a
                where a.device_id = d.device_id and a.occurred_at between since and last_at
                  and a.incident_id = latest_alert.incident_id
                order by a.occurred_at desc, a.journal_seq desc limit 1) as a
         order by a.occurred_at desc, a.journal_seq desc
         limit 1;
        exit when found is not null;
    end loop;
    return found;
end
$$;
comment on function mobeye.latest_alert(bigint) is
    'The text, the label of the input, and what the camera said (camera_said()) of the latest alert of an incident, each null if '
    'missing. Null if the reader may not see it.';

-- Everything that belongs to an incident, with nothing hidden: for the views and functions below, never for a role. Whether
-- anything is muted at all is looked up once per query. Secrecy and its team are what was stored with the incident.
create or replace view mobeye.incident_full as
select i.incident_id, i.reference, i.status, i.category, i.priority, i.kind, i.device_id, p.address, p.instructions, i.geom, r.rd,
       i.location_source, i.accuracy_m, a.wijk_code,
       (select w.name from mobeye.area w where w.layer = 'wijk' and w.code = a.wijk_code
         order by w.valid @> i.first_seen desc, w.vintage desc nulls last limit 1) as wijk_name,
       a.buurt_code, i.team, i.rule, i.verified_by, i.alert_count, i.first_seen, i.last_seen, i.restored_at, i.delayed,
       i.drill, m.muted_until, i.overdue_since, i.assigned_to, i.acknowledged_at, i.on_scene_at, i.closed_at, i.outcome, i.previous_id,
       i.external_ref, i.external_system, i.cancelled_at, i.flaps, i.merged_into, i.urgent, i.created_at,
       i.last_received_at, i.areas, i.secret, i.secret_team, i.cell, i.reopened_at, i.overdue_step,
       -- Its alerts, and so their images, are within these times.
       (select s.image_id from mobeye.snapshot s
         where s.incident_id = i.incident_id and s.occurred_at between i.first_seen and i.last_seen
         order by s.score desc nulls last, s.occurred_at desc, s.image_id limit 1) as image_id
  from mobeye.incident i
  left join lateral (select p.address, p.instructions from mobeye.placement p
                      where p.placement_id = i.placement_id offset 0) as p on true
 cross join lateral (select max(substr(area, 6)) filter (where area like 'wijk:%') as wijk_code,
                            max(substr(area, 7)) filter (where area like 'buurt:%') as buurt_code
                       from unnest(i.areas) as area offset 0) as a
 cross join lateral (select mobeye.rd(i.geom) as rd offset 0) as r
 cross join lateral (
       select case when i.device_id = any ((select array_agg(m.device_id) from mobeye.active_mute m)::text[])
                        or i.areas && (select array_agg(m.area) from mobeye.active_mute m)
                   then (select max(m.until) from mobeye.active_mute m
                          where (m.area = any (i.areas) or m.device_id = i.device_id)
                            and mobeye.mute_applies(m.mute_id, i.incident_id)) end as muted_until
       offset 0) as m;
comment on view mobeye.incident_full is 'Incidents with their place, areas, mutes and secrecy; nothing is hidden.';

-- Not a barrier itself: the functions of incident_search.sql search it by place, and the views that roles read are barriers.
-- The viewer is looked up in scalar sub-selects, once per query: a join would hide the order of an index from LIMIT, which
-- can only use the order that the barrier itself has.
create or replace view mobeye.incident_seen as
select f.*, not x.exact as coarse,
       case when x.exact then f.geom
            when f.secret then f.cell
            else public.st_transform(mobeye.cell(f.rd), 4326) end as seen_geom,
       case when x.exact then f.rd
            when f.secret then public.st_transform(f.cell, 28992)
            else mobeye.cell(f.rd) end as seen_rd
  from mobeye.incident_full as f
 cross join lateral (
       select (select (mobeye.current_viewer()).is_owner)
              or (select v.is_officer and not v.is_auditor from mobeye.current_viewer() as v)
                 and (not f.secret
                      or coalesce((select (mobeye.current_viewer()).team) in (f.team, f.secret_team), false)
                      or coalesce(f.assigned_to = (select (mobeye.current_viewer()).login), false))
              or f.category = 'service' and (select (mobeye.current_viewer()).is_registrar) as exact
       offset 0) as x
 where (select (mobeye.current_viewer()).all_teams or (mobeye.current_viewer()).team is not null
               or (mobeye.current_viewer()).is_registrar)
   and ((select (mobeye.current_viewer()).all_teams) or mobeye.can_see(f.team, f.areas, f.assigned_to, (select mobeye.current_viewer()))
        or f.category = 'service' and (select (mobeye.current_viewer()).is_registrar));
comment on view mobeye.incident_seen is 'The incidents that the viewer sees, each with whether it is coarse and the place to show.';

create or replace view patrol.incidents with (security_barrier) as
select incident_id, reference, status, category, priority, kind,
       case when not coarse then device_id end as device_id,
       case when not coarse then address end as address,
       case when not coarse then instructions end as instructions,
       seen_geom::public.geometry(point, 4326) as geom,
       round(public.st_x(seen_rd)::numeric, 2)::float8 as rd_x, round(public.st_y(seen_rd)::numeric, 2)::float8 as rd_y,
       location_source,
       case when not coarse then accuracy_m end as accuracy_m,
       wijk_code, wijk_name, buurt_code, team, rule, verified_by, alert_count, first_seen, last_seen, restored_at,
       delayed, drill, muted_until, overdue_since, assigned_to, acknowledged_at, on_scene_at, closed_at, outcome,
       previous_id, case when not coarse then external_ref end as external_ref,
       case when not coarse then external_system end as external_system, cancelled_at, flaps, merged_into, urgent, created_at,
       reopened_at, overdue_step, l.latest[1] as text, l.latest[2] as input_label, coarse,
       case when not coarse then image_id end as image_id, l.latest[3]::jsonb as camera,
       (select true from mobeye.person p where p.login = i.assigned_to) is null and assigned_to is not null as assigned_to_patrol
  from mobeye.incident_seen as i
 -- Looked up once for these columns, and not at all by a query that names none of them.
 cross join lateral (select case when not i.coarse then mobeye.latest_alert(i.incident_id) end as latest offset 0) as l
 order by incident_id desc;
comment on view patrol.incidents is
    'The incidents that the reader sees: those of the reader''s team, and those without a team in its areas or in no team''s '
    'areas; of every team for a control room (person.all_teams) and for auditors; those of category service for '
    'mobeye_registry. Secret places of others are coarse; for '
    'auditors, all places are.';
comment on column patrol.incidents.incident_id is 'Its number.';
comment on column patrol.incidents.reference is 'Its number for the radio: year of creation in Amsterdam, and incident_id.';
comment on column patrol.incidents.status is 'new, acknowledged, assigned, on_scene, closed or reopened.';
comment on column patrol.incidents.category is 'alarm (for the patrol) or service (for the people who maintain the equipment).';
comment on column patrol.incidents.priority is '1 (most urgent) to 5: the most urgent of the rules of its alerts.';
comment on column patrol.incidents.kind is 'Kind of its first alert.';
comment on column patrol.incidents.device_id is 'Device of its first alert; null if coarse.';
comment on column patrol.incidents.address is 'Address where the device was placed; null if unknown or coarse.';
comment on column patrol.incidents.instructions is 'What to know on arrival, from the placement; null if there is nothing, or if coarse.';
comment on column patrol.incidents.geom is 'Its best known place, WGS84; if coarse, the centre of its 125 m cell.';
comment on column patrol.incidents.rd_x is 'geom in RD New (EPSG:28992), metres east; null outside the Netherlands.';
comment on column patrol.incidents.rd_y is 'geom in RD New (EPSG:28992), metres north; null outside the Netherlands.';
comment on column patrol.incidents.location_source is 'Where geom comes from: message, placement, last_known or none.';
comment on column patrol.incidents.accuracy_m is 'Accuracy of geom in metres; null if unknown or coarse.';
comment on column patrol.incidents.wijk_code is 'District of geom; null if unknown.';
comment on column patrol.incidents.wijk_name is 'Name of that district, of the vintage valid at first_seen.';
comment on column patrol.incidents.buurt_code is 'Neighbourhood of geom; null if unknown.';
comment on column patrol.incidents.team is 'Its team: by rule, placement, area, or the officer who took it; null if it has none yet.';
comment on column patrol.incidents.rule is 'Name of the rule that created it.';
comment on column patrol.incidents.verified_by is 'second_device, second_input or person; null if not verified.';
comment on column patrol.incidents.alert_count is 'Raises that joined it; a camera track counts once.';
comment on column patrol.incidents.first_seen is 'When its first alert occurred.';
comment on column patrol.incidents.last_seen is 'When its last alert occurred.';
comment on column patrol.incidents.restored_at is 'When the last of its conditions was restored; null while one is active.';
comment on column patrol.incidents.delayed is 'Its first alert was stored more than 5 minutes after it occurred.';
comment on column patrol.incidents.drill is 'A drill.';
comment on column patrol.incidents.muted_until is 'Kept out of the queue until then; null if not muted.';
comment on column patrol.incidents.overdue_since is 'Since when it has been unacknowledged for too long; null if it is not.';
comment on column patrol.incidents.assigned_to is 'The officer to whom it is assigned.';
comment on column patrol.incidents.acknowledged_at is 'When a person first acknowledged it (since it was last reopened).';
comment on column patrol.incidents.on_scene_at is 'When an officer arrived; null if nobody is on the scene.';
comment on column patrol.incidents.closed_at is 'When it was closed; null if open.';
comment on column patrol.incidents.outcome is
    'Outcome of a closed incident. By people: confirmed, false_alarm, technical, no_trace, drill; by the system: '
    'unattended, restored, merged.';
comment on column patrol.incidents.previous_id is 'The earlier incident of the same key that a person had closed; null if none.';
comment on column patrol.incidents.external_ref is 'Its number in external_system; null if coarse.';
comment on column patrol.incidents.external_system is 'The other system that it is linked to; null if none, or if coarse.';
comment on column patrol.incidents.cancelled_at is 'When a user cancelled the alarm at the equipment; does not close the incident.';
comment on column patrol.incidents.flaps is 'Raises of a condition that had been restored.';
comment on column patrol.incidents.merged_into is 'The incident that it was merged into (outcome merged).';
comment on column patrol.incidents.urgent is 'A panic or holdup is among its raises: never muted.';
comment on column patrol.incidents.created_at is 'When it was created.';
comment on column patrol.incidents.reopened_at is 'When it was last reopened; null if it never was.';
comment on column patrol.incidents.overdue_step is
    'How many steps of "overdue" in its rule have passed without anybody acknowledging it; 0 if none.';
comment on column patrol.incidents.text is
    'Text of its latest alert (at most 500 characters), or what its camera recognised, with its score and zone; null if neither, or if coarse. Like input_label looked up for each row: name the columns '
    'that you need where you read many incidents.';
comment on column patrol.incidents.input_label is
    'What is connected to the input of its latest alert, as registered; null if unknown or coarse.';
comment on column patrol.incidents.coarse is 'Whether its place is hidden from the reader: see geom.';
comment on column patrol.incidents.image_id is
    'Its best image: of the highest score, then the latest; null if it has none, or if coarse. See patrol.images.';
comment on column patrol.incidents.camera is
    'What the camera recognised by its latest alert: label, score, camera_zone. Null if that is not of a camera, or if coarse.';
comment on column patrol.incidents.assigned_to_patrol is
    'Whether assigned_to is not the login of a registered person, but the name of a patrol, or a mistake.';

-- Scalar sub-selects here and in the history: the planner may turn EXISTS into a list of all incidents in sight.
create or replace view patrol.changes with (security_barrier) as
select c.change_id, c.at, c.incident_id, c.op, c.status, c.priority, c.category
  from mobeye.change as c
 where c.change_id is not null
   and ((select (mobeye.current_viewer()).all_teams)
        or c.category = 'service' and (select (mobeye.current_viewer()).is_registrar)
        or (select mobeye.can_see(i.team, i.areas, i.assigned_to, (select mobeye.current_viewer()))
                   or c.moved and mobeye.can_see(c.team_before, c.areas_before, c.assigned_before, (select mobeye.current_viewer()))
              from mobeye.incident i where i.incident_id = c.incident_id))
 order by c.change_id;
comment on view patrol.changes is
    'What happened to the incidents that the reader sees, in commit order: a reader that has seen a change_id has missed '
    'nothing below it. Missing numbers belong to incidents that the reader does not see. An incident that has a change '
    'here, but is not in patrol.incidents, has left the reader''s sight.';
comment on column patrol.changes.change_id is 'Rises in commit order.';
comment on column patrol.changes.at is 'When it happened.';
comment on column patrol.changes.incident_id is 'The incident.';
comment on column patrol.changes.op is 'new, alert, status, verified, overdue, mute, note or link.';
comment on column patrol.changes.status is 'Status of the incident after the change.';
comment on column patrol.changes.priority is 'Priority of the incident after the change.';
comment on column patrol.changes.category is 'alarm or service.';

create or replace view patrol.incident_history with (security_barrier) as
select h.entry, h.incident_id, h.at, h.actor, h.via, h.action, h.from_status, h.to_status, h.outcome, h.assigned_to,
       case when (select not s.coarse from mobeye.incident_seen s where s.incident_id = h.incident_id)
            then h.note end as note,
       case when (select not s.coarse from mobeye.incident_seen s where s.incident_id = h.incident_id)
            then h.image_id end as image_id
  from mobeye.incident_history as h
 where (select (mobeye.current_viewer()).all_teams)
    or (select mobeye.can_see(i.team, i.areas, i.assigned_to, (select mobeye.current_viewer()))
               or i.category = 'service' and (select (mobeye.current_viewer()).is_registrar) from mobeye.incident i
         where i.incident_id = h.incident_id);
comment on view patrol.incident_history is 'What was done to the incidents that the reader sees, by whom, and who looked at them.';
comment on column patrol.incident_history.entry is 'Its number.';
comment on column patrol.incident_history.incident_id is 'The incident.';
comment on column patrol.incident_history.at is 'When it happened.';
comment on column patrol.incident_history.actor is 'Login of the person; mobeyed for the system.';
comment on column patrol.incident_history.via is 'The login that acted for the person; null if the person acted directly.';
comment on column patrol.incident_history.action is 'status, verified, note, link, mute, look, hold, release_hold, reveal or hide.';
comment on column patrol.incident_history.from_status is 'Status before; null if it did not change.';
comment on column patrol.incident_history.to_status is 'Status after; null if it did not change.';
comment on column patrol.incident_history.outcome is 'Outcome with which it was closed.';
comment on column patrol.incident_history.assigned_to is 'Officer to whom it was assigned.';
comment on column patrol.incident_history.note is
    'Note, reason of a look or a mute, or number in the other system; null if the incident is coarse to the reader.';
comment on column patrol.incident_history.image_id is
    'The image that was looked at; null if it was the incident, or if that is coarse to the reader.';

create or replace function patrol.api_version() returns integer
language sql immutable parallel safe
set search_path = pg_catalog, pg_temp
as 'select 4';
comment on function patrol.api_version() is
    'Version of the schema patrol. It rises by one with each release that adds something; nothing is ever renamed or removed.';
