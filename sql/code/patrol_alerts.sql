-- Alerts and devices as patrols and auditors see them.

-- Not a barrier itself: the views that roles read are. An alert of an incident is visible to those who see the incident, any
-- other alert to the team of its placement, else by its areas. A viewer who sees nothing gets that result without reading any
-- alert.
create or replace view mobeye.alert_seen as
select a.*, x.exact
  from mobeye.alert_decoded as a
 cross join lateral (
       select (select (mobeye.current_viewer()).is_owner)
              or (select v.is_officer and not v.is_auditor from mobeye.current_viewer() as v)
                 and (not a.secret
                      or mobeye.may_see_secret(a.team, a.incident_id, (select mobeye.current_viewer())))
                 -- Not for an alert from elsewhere either: it would reveal the device at the secret place of its incident.
                 and not exists (
                       select from mobeye.incident i
                        where i.incident_id = a.incident_id and i.secret
                          and coalesce((select (mobeye.current_viewer()).team) not in (i.team, i.secret_team), true)
                          and i.assigned_to is distinct from (select (mobeye.current_viewer()).login)) as exact
       offset 0) as x
 where (select (mobeye.current_viewer()).all_teams or (mobeye.current_viewer()).team is not null)
   and ((select (mobeye.current_viewer()).all_teams)
        or case when a.incident_id is null
                then mobeye.can_see(a.team, coalesce(a.areas, '{}'), null, (select mobeye.current_viewer()))
                else (select mobeye.can_see(i.team, i.areas, i.assigned_to, (select mobeye.current_viewer()))
                        from mobeye.incident i where i.incident_id = a.incident_id) end);
comment on view mobeye.alert_seen is 'The alerts that the viewer sees, each with whether the place is exact.';

-- What may have to be hidden is computed: a condition on it is evaluated on what the reader sees, and neither an index nor
-- an estimate nor "rows removed" reveals anything about the rest. A condition on device_id therefore reads all alerts in
-- sight; patrol.alerts_of() uses the index. LIMIT can only use the order that the barrier itself has.
create or replace view patrol.alerts with (security_barrier) as
select case when exact then source end as source, case when exact then event_id end as event_id, instance,
       journal_seq, case when exact then device_id end collate "C" as device_id, endpoint, kind, phase, input, drill,
       occurred_at, received_at, clock_skew,
       case when exact then geom
            when secret then (select p.cell from mobeye.placement p where p.placement_id = a.placement_id)
            else public.st_transform(mobeye.cell(mobeye.rd(geom)), 4326)
       end::public.geometry(point, 4326) as geom,
       case when exact then accuracy_m end as accuracy_m, location_source, flags, wijk_code, buurt_code, rule,
       incident_id,
       case when exact then
            case when secret and location_source <> 'message' and not (select (mobeye.current_viewer()).is_owner)
                 then payload #- '{data,location}' else payload end end as payload,
       case when exact and image_id is not null
            then (select s.bytes from mobeye.snapshot s
                   where s.image_id = a.image_id and s.occurred_at = a.occurred_at) end as image_bytes
  from mobeye.alert_seen as a
 order by received_at desc;
comment on view patrol.alerts is
    'Every accepted alert, once, as far as the reader sees its incident. Secret places of others are coarse: device, source, '
    'payload and the like are null, and geom is the centre of a 125 m cell.';
comment on column patrol.alerts.source is 'The sender; with event_id its identity. Null if coarse.';
comment on column patrol.alerts.event_id is 'The sender''s id of the alert. Null if coarse.';
comment on column patrol.alerts.instance is 'The daemon that accepted it.';
comment on column patrol.alerts.journal_seq is 'Its number in the journal of that daemon: the order of acceptance.';
comment on column patrol.alerts.device_id is 'The device that it is about. Null if coarse.';
comment on column patrol.alerts.endpoint is 'Name of the endpoint that received it.';
comment on column patrol.alerts.kind is
    'intrusion motion panic holdup tamper fire heat cold water camera power battery comms keepalive arm bypass, or '
    'unknown (the sender''s word is in payload).';
comment on column patrol.alerts.phase is 'raise, restore or update.';
comment on column patrol.alerts.input is 'Numbered input of the alarm set; null if it gave none.';
comment on column patrol.alerts.drill is 'Marked by the sender as a drill.';
comment on column patrol.alerts.occurred_at is
    'When it occurred by the sender''s clock; the time of receipt if flags has clock.';
comment on column patrol.alerts.received_at is 'When the daemon received it.';
comment on column patrol.alerts.clock_skew is
    'The sender''s time minus that of receipt; null if it gave no readable time.';
comment on column patrol.alerts.geom is 'Its place, WGS84; null if unknown. If coarse, the centre of its 125 m cell.';
comment on column patrol.alerts.accuracy_m is 'Accuracy of geom in metres; null if unknown or coarse.';
comment on column patrol.alerts.location_source is 'Where geom comes from: message, placement, last_known or none.';
comment on column patrol.alerts.flags is
    'What was odd about it, as words (clock, bad_location, stale_fix ...); empty if nothing was.';
comment on column patrol.alerts.wijk_code is 'District of geom; null if unknown.';
comment on column patrol.alerts.buurt_code is 'Neighbourhood of geom; null if unknown.';
comment on column patrol.alerts.rule is 'Name of the rule that matched it; null if none did.';
comment on column patrol.alerts.incident_id is 'The incident that it joined; null if none, or if that was erased.';
comment on column patrol.alerts.payload is
    'The message as it was received. Null if coarse. A secret alert shows its location only if that is its place: an older one may '
    'be another secret home.';
comment on column patrol.alerts.image_bytes is
    'Size of its image; null if it came without one, if the image was erased, or if coarse.';

-- The offset is an optimisation fence: a condition is evaluated only on what is in sight, and no plan reveals how many other
-- rows match it.
create or replace view patrol.devices with (security_barrier) as
select t.* from (
select d.device_id, d.model, d.device_group, d.state, p.team, coalesce(p.secret, false) as secret,
       case when x.exact then p.address end as address,
       case when x.exact then p.instructions end as instructions,
       case when x.exact then p.geom else public.st_transform(mobeye.cell(mobeye.rd(p.geom)), 4326) end
           ::public.geometry(point, 4326) as geom,
       lower(p.during) as placed_from, upper(p.during) as placed_until, d.heartbeat, d.grace,
       nullif(s.last_received_at, '-infinity') as last_received_at,
       s.battery_pct, s.signal_dbm, s.silent_since,
       (select max(m.until) from mobeye.active_mute m
         where m.device_id = d.device_id and m.placement_id is not distinct from p.placement_id) as muted_until
  from mobeye.current_viewer() as v
 cross join lateral (select v.is_owner or v.is_registrar or v.is_officer and not v.is_auditor as exact) as x
 cross join mobeye.device as d
  left join mobeye.placement as p on p.device_id = d.device_id and p.during @> now()
  left join mobeye.device_status as s on s.device_id = d.device_id
 where v.is_owner or v.is_registrar or p.team = v.team
    or coalesce(p.secret, false) = false and (v.all_teams or p.team is null and v.team is not null)
offset 0) as t;
comment on view patrol.devices is
    'Registered devices and where they are placed now: those of the reader''s team or of no team, of every team for a control '
    'room. Devices at secret placements of other teams are left out.';
comment on column patrol.devices.device_id is 'The device.';
comment on column patrol.devices.model is 'Its model.';
comment on column patrol.devices.device_group is 'Its group, as in rules.';
comment on column patrol.devices.state is 'stock, placed, repair or retired.';
comment on column patrol.devices.team is 'The team of its placement.';
comment on column patrol.devices.secret is 'Whether its place is secret outside that team.';
comment on column patrol.devices.address is 'Address of its placement; null for auditors.';
comment on column patrol.devices.instructions is 'What to know on arrival; null for auditors.';
comment on column patrol.devices.geom is 'Its place, WGS84; for auditors the centre of the 125 m cell.';
comment on column patrol.devices.placed_from is 'Start of its placement; null if it is not placed.';
comment on column patrol.devices.placed_until is 'End of its placement; null if open-ended.';
comment on column patrol.devices.heartbeat is 'How often it should report; null if it need not.';
comment on column patrol.devices.grace is 'How much later than that it may report.';
comment on column patrol.devices.last_received_at is 'When it last reported; null if never.';
comment on column patrol.devices.battery_pct is 'Its battery level in percent, as last reported.';
comment on column patrol.devices.signal_dbm is 'Its signal strength in dBm, as last reported.';
comment on column patrol.devices.silent_since is 'Since when it has been silent; null if it is not.';
comment on column patrol.devices.muted_until is 'End of its mute (of the device, not of an area); null if not muted.';

create or replace function patrol.alerts_of(device text, from_at timestamptz, until_at timestamptz)
returns setof patrol.alerts
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select a.source, a.event_id, a.instance, a.journal_seq, a.device_id, a.endpoint, a.kind, a.phase, a.input, a.drill,
           a.occurred_at, a.received_at, a.clock_skew, a.geom, a.accuracy_m, a.location_source, a.flags, a.wijk_code,
           a.buurt_code, a.rule, a.incident_id,
           case when a.secret and a.location_source <> 'message' and not (select (mobeye.current_viewer()).is_owner)
                then a.payload #- '{data,location}' else a.payload end,
           (select s.bytes from mobeye.snapshot s
             where a.image_id is not null and s.image_id = a.image_id and s.occurred_at = a.occurred_at)
      from mobeye.alert_seen a
     where a.device_id = device and a.occurred_at >= from_at and a.occurred_at < until_at and a.exact
     order by a.occurred_at
$$;
comment on function patrol.alerts_of(text, timestamptz, timestamptz) is
    'The alerts of a device in a period of occurrence (end excluded), as far as the reader sees them exactly, by time.';
