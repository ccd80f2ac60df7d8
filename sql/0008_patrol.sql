-- What enforcement sees: the views of patrol. The functions by which they work are in 0009_work.sql.
-- By hand, backwards: drop the views and functions below; then run 0001_alerts.sql again for its patrol.alerts.

set local search_path = pg_catalog, public;
set local role mobeye_owner;

-- ---------------------------------------------------------------------------------------------------------------------
-- Views

-- Does the mute, while it holds, keep the incident out of the queue? Never what is urgent, verified or somebody's; of a
-- device only where it stood then, and not an incident that others joined; of an area only what is the muter's team's, or
-- nobody's.
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
    if i.urgent or i.verified_by is not null or i.assigned_to is not null then
        return false;
    end if;
    if m.area is not null then
        return m.area = any (i.areas) and (m.team is null or i.team is null or i.team = m.team);
    end if;
    return m.device_id = i.device_id and m.placement_id is not distinct from i.placement_id
       and not exists (select from mobeye.incident_thread t
                        where t.incident_id = i.incident_id and t.device_id <> i.device_id);
end
$$;
comment on function mobeye.mute_applies(bigint, bigint) is
    'Whether a mute keeps an incident out of the queue while it holds.';

create or replace view mobeye.active_mute as
select m.* from mobeye.mute m
 where m.until > now() and m.ended_at is null
   and (m.incident_id is null
        or exists (select from mobeye.incident i
                    where i.incident_id = m.incident_id and i.active > 0 and i.status <> 'closed'));
comment on view mobeye.active_mute is 'The mutes that hold now.';

-- Incidents with all that belongs to them and nothing hidden: for the views and functions below, never for a role.
-- What is muted at all is asked once a query. What is secret, and whose, is what was stored with the incident.
create or replace view mobeye.incident_full as
select i.incident_id, i.reference, i.status, i.category, i.priority, i.kind, i.device_id, p.address, p.instructions, i.geom, r.rd,
       i.location_source, i.accuracy_m, a.wijk_code,
       (select w.name from mobeye.area w where w.layer = 'wijk' and w.code = a.wijk_code
         order by w.valid @> i.first_seen desc, w.vintage desc nulls last limit 1) as wijk_name,
       a.buurt_code, i.team, i.rule, i.verified_by, i.alert_count, i.first_seen, i.last_seen, i.restored_at, i.delayed,
       i.drill, m.muted_until, i.overdue_since, i.assigned_to, i.acknowledged_at, i.on_scene_at, i.closed_at, i.outcome, i.previous_id,
       i.external_ref, i.external_system, i.cancelled_at, i.flaps, i.merged_into, i.urgent, i.created_at,
       i.last_received_at, i.areas, i.secret, i.secret_team, i.cell
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
comment on view mobeye.incident_full is 'Incidents with their place, areas, mutes and secrecy; nothing is hidden in it.';

-- As one person sees them. Not a barrier itself: the functions below search it by place, and the views that roles read
-- are. Who looks is asked in sub-selects, once a query: a join would hide the order of an index from LIMIT. Of a barrier,
-- LIMIT knows only the order that it is written with.
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
       select (select (mobeye.viewer()).everything)
              or (select (mobeye.viewer()).officer)
                 and (not f.secret
                      or coalesce((select (mobeye.viewer()).team) in (f.team, f.secret_team), false)
                      or coalesce(f.assigned_to = (select (mobeye.viewer()).login), false)) as exact
       offset 0) as x
 where (select (mobeye.viewer()).all_rows or (mobeye.viewer()).team is not null)
   and ((select (mobeye.viewer()).all_rows) or mobeye.in_sight(f.team, f.areas, f.assigned_to, (select mobeye.viewer())));
comment on view mobeye.incident_seen is 'Incidents that the person sees, each with whether only coarsely and then where.';

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
       case when not coarse then external_system end as external_system, cancelled_at, flaps, merged_into, urgent, created_at, coarse
  from mobeye.incident_seen
 order by incident_id desc;
comment on view patrol.incidents is
    'Incidents that the reader sees: those of its team, and those without a team in its areas or in no team''s areas; of '
    'every team for a control room (person.all_teams) and for auditors. Secret places of others are coarse, and for '
    'auditors every place is.';
comment on column patrol.incidents.incident_id is 'Its number.';
comment on column patrol.incidents.reference is 'Its number for the radio: year of making in Amsterdam, and incident_id.';
comment on column patrol.incidents.status is 'new, acknowledged, assigned, on_scene, closed or reopened.';
comment on column patrol.incidents.category is 'alarm (for the patrol) or service (for who looks after the equipment).';
comment on column patrol.incidents.priority is '1 (most urgent) to 5: the most urgent of its alerts'' rules.';
comment on column patrol.incidents.kind is 'Kind of its first alert.';
comment on column patrol.incidents.device_id is 'Device of its first alert; null where coarse.';
comment on column patrol.incidents.address is 'Address where the device stood; null where unknown or coarse.';
comment on column patrol.incidents.instructions is 'What to know on arrival, from the placement; null where none or coarse.';
comment on column patrol.incidents.geom is 'Its best known place, WGS84; where coarse the centre of its 125 m cell.';
comment on column patrol.incidents.rd_x is 'geom in RD New (EPSG:28992), metres east; null outside its reach.';
comment on column patrol.incidents.rd_y is 'geom in RD New (EPSG:28992), metres north; null outside its reach.';
comment on column patrol.incidents.location_source is 'Where geom is from: message, placement, last_known or none.';
comment on column patrol.incidents.accuracy_m is 'How far off geom may be, in metres; null where unknown or coarse.';
comment on column patrol.incidents.wijk_code is 'District of geom; null where none is known.';
comment on column patrol.incidents.wijk_name is 'Name of that district, of the vintage valid at first_seen.';
comment on column patrol.incidents.buurt_code is 'Neighbourhood of geom; null where none is known.';
comment on column patrol.incidents.team is 'Whose it is: by rule, placement, area or who took it; null: nobody''s yet.';
comment on column patrol.incidents.rule is 'Name of the rule that made it.';
comment on column patrol.incidents.verified_by is 'second_device, second_input or person; null where not verified.';
comment on column patrol.incidents.alert_count is 'Raises that joined it; a camera track counts once.';
comment on column patrol.incidents.first_seen is 'When its first alert occurred.';
comment on column patrol.incidents.last_seen is 'When its last alert occurred.';
comment on column patrol.incidents.restored_at is 'When the last of its causes was restored; null while one is active.';
comment on column patrol.incidents.delayed is 'Its first alert was stored more than 5 minutes after it occurred.';
comment on column patrol.incidents.drill is 'A drill.';
comment on column patrol.incidents.muted_until is 'Kept out of the queue until then; null where not muted.';
comment on column patrol.incidents.overdue_since is 'Unacknowledged for too long, since then; null where not.';
comment on column patrol.incidents.assigned_to is 'The officer who has it.';
comment on column patrol.incidents.acknowledged_at is 'When a person first saw it (again, after it was reopened).';
comment on column patrol.incidents.on_scene_at is 'When somebody arrived; null where nobody is there.';
comment on column patrol.incidents.closed_at is 'When it was closed; null where open.';
comment on column patrol.incidents.outcome is
    'Of a closed one. By people: confirmed, false_alarm, technical, no_trace, drill; by the system: unattended, '
    'restored, merged.';
comment on column patrol.incidents.previous_id is 'The incident of the same cause that a person had closed before; or null.';
comment on column patrol.incidents.external_ref is 'Its number in external_system; null where coarse.';
comment on column patrol.incidents.external_system is 'The other system that it was linked to; null where none or coarse.';
comment on column patrol.incidents.cancelled_at is 'When a user called the alarm off, by the equipment; closes nothing.';
comment on column patrol.incidents.flaps is 'Raises of a cause that had been restored.';
comment on column patrol.incidents.merged_into is 'The incident that took it in; outcome merged.';
comment on column patrol.incidents.urgent is 'Panic or holdup is among its raises: never muted.';
comment on column patrol.incidents.created_at is 'When it was made.';
comment on column patrol.incidents.coarse is 'Its place is secret to the reader: see geom.';

create or replace function mobeye.restored_in_mute(incident_id bigint) returns boolean
language sql stable security definer cost 1000
set search_path = pg_catalog, pg_temp
as $$
    select exists (select from mobeye.incident i
                     join mobeye.mute m on m.device_id = i.device_id or m.area = any (i.areas)
                    where i.incident_id = restored_in_mute.incident_id and i.restored_at is not null
                      and (i.created_at >= m.at or i.incident_id = m.incident_id)
                      and i.last_received_at < least(m.until, m.ended_at)
                      and mobeye.mute_applies(m.mute_id, i.incident_id))
$$;
comment on function mobeye.restored_in_mute(bigint) is
    'Whether an incident began and was restored while a mute held, or was restored while muted until then: it does not '
    'appear when that ends.';

create or replace view patrol.queue with (security_barrier) as
select i.*, row_number() over (order by i.delayed, i.priority, i.verified_by is null, i.first_seen, i.incident_id) as place
  from patrol.incidents as i
 where i.status <> 'closed' and i.category = 'alarm' and i.muted_until is null
   and (i.restored_at is null or not mobeye.restored_in_mute(i.incident_id))
 order by place;
comment on view patrol.queue is
    'Open alarm incidents, not muted, in the order in which a patrol takes them: live before delayed, then priority, then '
    'verified, then oldest. Drills are among them. What began and was restored under a mute is not.';
do $$
declare
    this record;
begin
    for this in
        select a.attname, col_description(a.attrelid, a.attnum) as text from pg_attribute a
         where a.attrelid = 'patrol.incidents'::regclass and a.attnum > 0
    loop
        execute format('comment on column patrol.queue.%I is %L', this.attname, this.text);
    end loop;
end
$$;
comment on column patrol.queue.place is 'Place in the queue of this reader: 1 is next.';

create or replace function mobeye.secret_is_theirs(team text, incident_id bigint, v mobeye.who) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(team = v.team, false)
        or exists (select from mobeye.incident i
                    where i.incident_id = secret_is_theirs.incident_id
                      and (i.team = v.team or i.assigned_to = v.login));
end
$$;
comment on function mobeye.secret_is_theirs(text, bigint, mobeye.who) is
    'Whether somebody may know the place of a secret alert: of its placement''s or its incident''s team, or assigned to.';

-- Alerts as one person sees them, each with whether exactly; not a barrier itself, as incident_seen. One that is in an
-- incident is seen as that is, another by its placement's team, else by its areas. Who sees nothing at all is told so
-- without a look at any.
create or replace view mobeye.alert_seen as
select a.*, x.exact
  from mobeye.alert as a
 cross join lateral (
       select (select (mobeye.viewer()).everything)
              or (select (mobeye.viewer()).officer)
                 and (not a.secret
                      or mobeye.secret_is_theirs(a.team, a.incident_id, (select mobeye.viewer()))) as exact
       offset 0) as x
 where (select (mobeye.viewer()).all_rows or (mobeye.viewer()).team is not null)
   and ((select (mobeye.viewer()).all_rows)
        or case when a.incident_id is null
                then mobeye.in_sight(a.team, coalesce(a.areas, '{}'), null, (select mobeye.viewer()))
                else (select mobeye.in_sight(i.team, i.areas, i.assigned_to, (select mobeye.viewer()))
                        from mobeye.incident i where i.incident_id = a.incident_id) end);
comment on view mobeye.alert_seen is 'Alerts that the person sees, each with whether exactly.';

-- What may have to be hidden is computed: a condition on it is judged on what the reader sees, and tells nothing of the
-- rest by an index, an estimate or "rows removed". So a condition on device_id goes through all alerts in sight:
-- patrol.alerts_of() goes by the index. The columns are those of 0001, which may be run again. LIMIT knows only the
-- order that a barrier is written with.
create or replace view patrol.alerts with (security_barrier) as
select case when exact then source end as source, case when exact then event_id end as event_id, instance,
       journal_seq, case when exact then device_id end collate "C" as device_id, endpoint, kind, phase, input, drill,
       occurred_at, received_at, clock_skew,
       case when exact then geom
            when secret then (select p.cell from mobeye.placement p where p.placement_id = a.placement_id)
            else public.st_transform(mobeye.cell(mobeye.rd(geom)), 4326)
       end::public.geometry(point, 4326) as geom,
       case when exact then accuracy_m end as accuracy_m, location_source, flags, wijk_code, buurt_code, rule,
       incident_id, case when exact then payload end as payload
  from mobeye.alert_seen as a
 order by received_at desc;
comment on view patrol.alerts is
    'Every alert that was accepted, once, as far as the reader sees its incident; of secret places coarse.';
comment on column patrol.alerts.source is 'Who sent it; with event_id its identity. Null where coarse.';
comment on column patrol.alerts.event_id is 'The sender''s id of the alert; null where coarse.';
comment on column patrol.alerts.device_id is 'The device that it is about; null where coarse.';
comment on column patrol.alerts.geom is 'Its place, WGS84; null where none is known; where coarse the centre of its 125 m cell.';
comment on column patrol.alerts.payload is 'The message as it came; null where coarse.';

-- Scalar sub-selects here and in the history: of EXISTS the planner may make a list of all incidents in sight.
create or replace view patrol.changes with (security_barrier) as
select c.change_id, c.at, c.incident_id, c.op, c.status, c.priority, c.category
  from mobeye.change as c
 where c.change_id is not null
   and ((select (mobeye.viewer()).all_rows)
        or (select mobeye.in_sight(i.team, i.areas, i.assigned_to, (select mobeye.viewer()))
                   or c.moved and mobeye.in_sight(c.team_before, i.areas, c.assigned_before, (select mobeye.viewer()))
              from mobeye.incident i where i.incident_id = c.incident_id))
 order by c.change_id;
comment on view patrol.changes is
    'What happened to incidents that the reader sees, in the order of commits: whoever has read up to a change_id has '
    'missed nothing below it. Numbers that are left out belong to what it does not see. An incident of which a change '
    'comes, and which patrol.incidents does not show (any more), has left the reader''s sight.';
comment on column patrol.changes.change_id is 'Rises in the order of commits.';
comment on column patrol.changes.at is 'When it was done.';
comment on column patrol.changes.incident_id is 'The incident.';
comment on column patrol.changes.op is 'new, alert, status, verified, overdue, mute, note or link.';
comment on column patrol.changes.status is 'Status of the incident after it.';
comment on column patrol.changes.priority is 'Its priority after it.';
comment on column patrol.changes.category is 'alarm or service.';

create or replace view patrol.incident_history with (security_barrier) as
select h.entry, h.incident_id, h.at, h.actor, h.via, h.action, h.from_status, h.to_status, h.outcome, h.assigned_to,
       case when (select not s.coarse from mobeye.incident_seen s where s.incident_id = h.incident_id)
            then h.note end as note
  from mobeye.incident_history as h
 where (select (mobeye.viewer()).all_rows)
    or (select mobeye.in_sight(i.team, i.areas, i.assigned_to, (select mobeye.viewer())) from mobeye.incident i
         where i.incident_id = h.incident_id);
comment on view patrol.incident_history is 'What was done to the incidents that the reader sees, and who looked.';
comment on column patrol.incident_history.entry is 'Its number.';
comment on column patrol.incident_history.incident_id is 'The incident.';
comment on column patrol.incident_history.at is 'When it was done.';
comment on column patrol.incident_history.actor is 'Login of the person, or mobeyed for the system.';
comment on column patrol.incident_history.via is 'The login that acted for the person; null where they did themselves.';
comment on column patrol.incident_history.action is 'status, verified, note, link, mute, look, or what else was done.';
comment on column patrol.incident_history.from_status is 'Status before; null where it did not change.';
comment on column patrol.incident_history.to_status is 'Status after; null where it did not change.';
comment on column patrol.incident_history.outcome is 'Outcome with which it was closed.';
comment on column patrol.incident_history.assigned_to is 'Officer to whom it was assigned.';
comment on column patrol.incident_history.note is
    'Note, reason of a look or a mute, number in the other system; null where the incident is coarse to the reader.';

create or replace view patrol.mutes with (security_barrier) as
select m.mute_id, case when x.seen then m.device_id end as device_id,
       split_part(m.area, ':', 1) as layer, substr(m.area, strpos(m.area, ':') + 1) as code, m.at, m.until,
       case when x.seen or m.area is not null then m.reason end as reason,
       m.muted_by, m.ended_at, m.ended_by, m.ended_at is null and m.until > now() as active,
       case when x.seen then m.incident_id end as incident_id
  from mobeye.viewer() as v
 cross join mobeye.mute as m
 cross join lateral (
       select v.everything or v.keeper
              or v.officer and (coalesce(m.team = v.team, false)
                                or not m.secret and (v.all_rows or m.team is null and v.team is not null)) as seen
       offset 0) as x
 where v.all_rows or v.keeper or v.team is not null;
comment on view patrol.mutes is 'Devices and areas that are, or were, kept out of the queue.';
comment on column patrol.mutes.mute_id is 'Its number, for patrol.unmute().';
comment on column patrol.mutes.device_id is 'The device; null for an area, and where the reader does not see it.';
comment on column patrol.mutes.layer is 'Layer of the area; null for a device.';
comment on column patrol.mutes.code is 'Code of the area; null for a device.';
comment on column patrol.mutes.at is 'Since when.';
comment on column patrol.mutes.until is 'Until when at most.';
comment on column patrol.mutes.reason is 'Why; null where the reader does not see the device.';
comment on column patrol.mutes.muted_by is 'Login of who did it.';
comment on column patrol.mutes.ended_at is 'When a person ended it before its time; null where nobody did.';
comment on column patrol.mutes.ended_by is 'Login of that person.';
comment on column patrol.mutes.active is 'It holds now.';
comment on column patrol.mutes.incident_id is 'The incident until whose restoration it holds; null for a time alone.';

-- Fenced (offset 0): a condition is judged on what is in sight alone, and no plan says how many others it fits.
create or replace view patrol.devices with (security_barrier) as
select t.* from (
select d.device_id, d.model, d.device_group, d.state, p.team, coalesce(p.secret, false) as secret,
       case when v.officer or v.keeper then p.address end as address,
       case when v.officer or v.keeper then p.instructions end as instructions,
       case when v.officer or v.keeper then p.geom else public.st_transform(mobeye.cell(mobeye.rd(p.geom)), 4326) end
           ::public.geometry(point, 4326) as geom,
       lower(p.during) as placed_from, upper(p.during) as placed_until, d.heartbeat, d.grace,
       nullif(s.last_received_at, '-infinity') as last_received_at,
       s.battery_pct, s.signal_dbm, s.silent_since,
       (select max(m.until) from mobeye.active_mute m
         where m.device_id = d.device_id and m.placement_id is not distinct from p.placement_id) as muted_until
  from mobeye.viewer() as v
 cross join mobeye.device as d
  left join mobeye.placement as p on p.device_id = d.device_id and p.during @> now()
  left join mobeye.device_status as s on s.device_id = d.device_id
 where v.everything or v.keeper or p.team = v.team
    or coalesce(p.secret, false) = false and (v.all_rows or p.team is null and v.team is not null)
offset 0) as t;
comment on view patrol.devices is
    'Registered devices and where they stand now: those of the reader''s team or of none, of every team for a control '
    'room. Secret ones of others are left out, and where a device stands that is secret to the reader is not shown.';
comment on column patrol.devices.device_id is 'The device.';
comment on column patrol.devices.model is 'Its model.';
comment on column patrol.devices.device_group is 'Its group, as in rules.';
comment on column patrol.devices.state is 'stock, placed, repair or retired.';
comment on column patrol.devices.team is 'Whose it is, by its placement.';
comment on column patrol.devices.secret is 'Where it stands is secret outside that team.';
comment on column patrol.devices.address is 'Address where it stands; null for auditors.';
comment on column patrol.devices.instructions is 'What to know on arrival; null for auditors.';
comment on column patrol.devices.geom is 'Where it stands, WGS84; for auditors the centre of the 125 m cell.';
comment on column patrol.devices.placed_from is 'Since when it stands there; null where it is placed nowhere.';
comment on column patrol.devices.placed_until is 'Until when; null where that is open.';
comment on column patrol.devices.heartbeat is 'How often it should report; null: it need not.';
comment on column patrol.devices.grace is 'How much later than that it may.';
comment on column patrol.devices.last_received_at is 'When it was last heard; null: never.';
comment on column patrol.devices.battery_pct is 'Its battery, as it last said.';
comment on column patrol.devices.signal_dbm is 'Its signal, as it last said.';
comment on column patrol.devices.silent_since is 'Silent since then; null where it is not.';
comment on column patrol.devices.muted_until is 'Muted until then, itself and not its area; null where not.';

create or replace function patrol.alerts_of(device text, from_at timestamptz, until_at timestamptz)
returns setof patrol.alerts
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select a.source, a.event_id, a.instance, a.journal_seq, a.device_id, a.endpoint, a.kind, a.phase, a.input, a.drill,
           a.occurred_at, a.received_at, a.clock_skew, a.geom, a.accuracy_m, a.location_source, a.flags, a.wijk_code,
           a.buurt_code, a.rule, a.incident_id, a.payload
      from mobeye.alert_seen a
     where a.device_id = device and a.occurred_at >= from_at and a.occurred_at < until_at and a.exact
     order by a.occurred_at
$$;
comment on function patrol.alerts_of(text, timestamptz, timestamptz) is
    'The alerts of a device in a time (of occurrence, the end excluded), as far as the reader sees them exactly, by time.';
grant execute on function patrol.alerts_of(text, timestamptz, timestamptz) to mobeye_patrol;

grant select on patrol.alerts, patrol.incidents, patrol.queue, patrol.changes, patrol.incident_history, patrol.mutes,
    patrol.devices to mobeye_patrol, mobeye_auditor;
grant usage on schema patrol to mobeye_registry;
grant select on patrol.devices, patrol.mutes to mobeye_registry;
-- What a view calls, its reader must be allowed to; they cannot be called by name without usage of the schema.
grant execute on function mobeye.viewer(), mobeye.in_sight(text, text[], text, mobeye.who),
    mobeye.rd(public.geometry), mobeye.cell(public.geometry),
    mobeye.restored_in_mute(bigint), mobeye.mute_applies(bigint, bigint),
    mobeye.secret_is_theirs(text, bigint, mobeye.who)
    to mobeye_patrol, mobeye_auditor;
-- The registry has usage of the schema: it could ask those that tell of incidents for any viewer.
grant execute on function mobeye.viewer(), mobeye.rd(public.geometry), mobeye.cell(public.geometry) to mobeye_registry;
