-- Devices: how they were used, what their alarms were, and the cards that false alarms earn.

-- The alarms that count for a device, and who may know about them: device managers, who otherwise see no alarms, get their
-- numbers.
create or replace view mobeye.device_alarm as
select coalesce(case when not starts_with(i.device_id, 'dc09:')
                     then (select p.device_id from mobeye.placement p -- as mobeye.is_of()
                            where p.placement_id = i.device_placement_id
                              and (p.device_id = i.device_id
                                   or exists (select from mobeye.device_renamed r
                                               where r.earlier_id = i.device_id and r.device_id = p.device_id))) end,
                case when exists (select from mobeye.device_renamed r where r.earlier_id = i.device_id)
                     then mobeye.name_holder(i.device_id, i.first_seen) end,
                (select d.device_id from mobeye.device d where d.device_id = i.device_id),
                case when starts_with(i.device_id, 'dc09:') then mobeye.account_holder(i.device_id, i.first_seen) end,
                i.device_id) as device_id,
       i.incident_id, i.first_seen, i.first_seen at time zone 'Europe/Amsterdam' as local_at, i.outcome,
       v.is_registrar or not v.is_officer
           or mobeye.can_see(i.team, i.areas, i.assigned_to, v)
              and (not i.secret or coalesce(v.team in (i.team, i.secret_team), false) or coalesce(i.assigned_to = v.login, false)) as seen
  from mobeye.incident i
 cross join mobeye.officer_viewer() as v
 where i.category = 'alarm' and not i.drill and coalesce(i.outcome, '') not in ('drill', 'merged');
comment on view mobeye.device_alarm is
    'Incidents of category alarm by the device of their first alert, under its present name, without drills and merged ones, and '
    'whether the viewer may count them.';

-- A false alarm less than 3 months after the previous one earns yellow, or red if that one also came so soon after another.
-- Hence a card depends only on the two before it, at most 2 x 92 days earlier: the whole history is never read.
create or replace function mobeye.false_alarms(since timestamptz)
returns table (device_id text, incident_id bigint, first_seen timestamptz, card text, until timestamptz)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select f.device_id, f.incident_id, f.first_seen,
           case when f.local_at < f.before + interval '3 months'
                then case when f.before < f.before_that + interval '3 months' then 'red' else 'yellow' end end,
           (f.local_at + interval '3 months') at time zone 'Europe/Amsterdam'
      from (select a.*, lag(a.local_at) over row as before, lag(a.local_at, 2) over row as before_that
              from mobeye.device_alarm a
             where a.outcome = 'false_alarm' and a.first_seen >= since - interval '190 days'
            window row as (partition by a.device_id order by a.local_at, a.incident_id)) f
     where f.seen and f.first_seen >= since
$$;
comment on function mobeye.false_alarms(timestamptz) is
    'The false alarms since a time that the viewer may count, each with the card that it earned its device and until when that '
    'holds; null: the first of a row.';

create or replace function mobeye.current_cards()
returns table (device_id text, card text, since timestamptz, until timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select l.device_id, l.card, l.first_seen, l.until
      from (select distinct on (f.device_id) f.* from mobeye.false_alarms(now() - interval '93 days') f
             order by f.device_id, f.until desc, f.incident_id desc) l
     where l.card is not null and l.until > now()
$$;
comment on function mobeye.current_cards() is 'The cards that hold now, as patrol.device_cards shows them to the viewer.';

-- A card holds until 3 months after the false alarm that earned it; another one before then earns red (again).
create or replace view patrol.device_cards with (security_barrier) as
select d.device_id, d.model, c.card, c.since, c.until
  from mobeye.current_cards() c
  join mobeye.device d on d.device_id = c.device_id;
comment on view patrol.device_cards is
    'Devices whose false alarms earned a card that still holds: yellow, the second within 3 months; red, another within the 3 '
    'months after that. Officers see cards from false alarms that they see.';
comment on column patrol.device_cards.device_id is 'The device.';
comment on column patrol.device_cards.model is 'Its model.';
comment on column patrol.device_cards.card is 'yellow or red.';
comment on column patrol.device_cards.since is 'When the false alarm occurred that earned it.';
comment on column patrol.device_cards.until is 'Until when it holds: 3 months later.';

-- Analysts get no figures of a single home, or of a few: none of a device with fewer than 5 placements in a part of the period
-- (report_parts()). They know the sums over all devices from the district safety report, so if only one device is left out, one
-- more is.
create or replace function mobeye.devices_left_out(from_day date, until_day date) returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    with part as (
        select p.part_from, tstzrange(mobeye.day_start(p.part_from), mobeye.day_start(p.part_until)) as during
          from mobeye.report_parts(from_day, until_day) p
    ), present as (
        select p.part_from, d.device_id, sum(b.placement) as placements
          from part p
         cross join lateral (select s.device_id, 1 as placement from mobeye.placement s where s.during && p.during and lower(s.during) < now()
                             union all
                             select a.device_id, 0 from mobeye.device_alarm a
                              where a.first_seen >= lower(p.during) and a.first_seen < upper(p.during)) b
          join mobeye.device d on d.device_id = b.device_id
         group by 1, 2
    ), ranked as (
        select r.*, count(*) filter (where r.placements < 5) over (partition by r.part_from) as few,
               row_number() over (partition by r.part_from order by r.placements, r.device_id) as nth
          from present r)
    select distinct r.device_id from ranked r where r.placements < 5 or r.few = 1 and r.nth = 2
$$;
comment on function mobeye.devices_left_out(date, date) is 'The devices whose figures an analyst does not get.';

create or replace function patrol.device_report(from_day date, until_day date)
returns table (device_id text, model text, placements bigint, nights bigint, alarms bigint, outcomes jsonb, false_alarms bigint, card text)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    v constant mobeye.viewer := mobeye.officer_viewer();
    restricted constant boolean := not (v.is_owner or v.is_officer or v.is_registrar);
    day_range tstzrange;
begin
    perform mobeye.check_report_period(from_day, until_day, restricted);
    day_range := tstzrange(from_day::timestamp at time zone 'Europe/Amsterdam', until_day::timestamp at time zone 'Europe/Amsterdam');
    return query
    with stood as (
        select p.device_id, count(*) as placements,
               sum(mobeye.nights(p.during * day_range * tstzrange(null, now())))::bigint as nights
          from mobeye.placement p
         where p.during && day_range and lower(p.during) < now()
           and (not v.is_officer or v.is_registrar or p.team = v.team or not p.secret and (v.all_teams or p.team is null and v.team is not null))
         group by p.device_id
    ), alarm as (
        select a.device_id, count(*) as alarms, count(*) filter (where a.outcome = 'false_alarm') as false_alarms,
               jsonb_build_object('confirmed', count(*) filter (where a.outcome = 'confirmed'),
                                  'false_alarm', count(*) filter (where a.outcome = 'false_alarm'),
                                  'technical', count(*) filter (where a.outcome = 'technical'),
                                  'no_trace', count(*) filter (where a.outcome = 'no_trace'),
                                  'unattended', count(*) filter (where a.outcome = 'unattended'),
                                  'restored', count(*) filter (where a.outcome = 'restored'),
                                  'open', count(*) filter (where a.outcome is null)) as outcomes
          from mobeye.device_alarm a
         where a.seen and day_range @> a.first_seen
         group by a.device_id
    ), earned as (
        select f.device_id, min(f.card) as card -- 'red' < 'yellow'
          from mobeye.false_alarms(lower(day_range)) f where day_range @> f.first_seen
         group by f.device_id
    ), left_out as materialized (
        select o as device_id from mobeye.devices_left_out(from_day, until_day) o where restricted
    ), line as (
        select d.device_id, d.model, coalesce(s.placements, 0) as placements, coalesce(s.nights, 0) as nights, coalesce(a.alarms, 0) as alarms,
               coalesce(a.outcomes, '{"confirmed": 0, "false_alarm": 0, "technical": 0, "no_trace": 0, "unattended": 0, "restored": 0, "open": 0}')
                   as outcomes, coalesce(a.false_alarms, 0) as false_alarms, e.card, o.device_id is not null as hidden
          from mobeye.device d
          left join stood s on s.device_id = d.device_id
          left join alarm a on a.device_id = d.device_id
          left join earned e on e.device_id = d.device_id
          left join left_out o on o.device_id = d.device_id
         where s.placements > 0 or a.alarms > 0
    )
    select l.device_id, l.model, case when not l.hidden then l.placements end, case when not l.hidden then l.nights end,
           case when not l.hidden then l.alarms end, case when not l.hidden then l.outcomes end,
           case when not l.hidden then l.false_alarms end, case when not l.hidden then l.card end
      from line l order by l.device_id;
end
$$;
comment on function patrol.device_report(date, date) is
    'For each device of a period of local days: placements, nights that it stood, alarms (without drills), their outcomes, false '
    'alarms, and the highest card that they earned. Officers get what their team sees. For mobeye_analyst whole months, and no '
    'figure of a device with fewer than 5 placements in a half-year of it, nor of a second one where there is one such.';
