-- Statistics of incidents (patrol.figures), which outlast the incidents.

create or replace view mobeye.live_incident_stats as
select date_trunc('month', first_seen at time zone 'Europe/Amsterdam')::date as month,
       coalesce(mobeye.area_code(areas, 'wijk'), '') as wijk_code, category, kind, coalesce(outcome, '') as outcome,
       incident_id, alert_count
  from mobeye.incident
 where not drill and coalesce(outcome, '') not in ('drill', 'merged');
comment on view mobeye.live_incident_stats is
    'How each stored incident counts in the statistics. Drills, and what was merged into another incident, do not count.';

create or replace view patrol.figures with (security_barrier) as
with closed as (
select month, wijk_code, category, kind, outcome, sum(incidents) as incidents, sum(alerts) as alerts
  from (select month, wijk_code, category, kind, outcome, incidents, alerts from mobeye.incident_stats
        union all
        select month, wijk_code, category, kind, outcome, count(*), sum(alert_count) from mobeye.live_incident_stats
         group by month, wijk_code, category, kind, outcome) as erased_and_stored
 where month < date_trunc('month', now() at time zone 'Europe/Amsterdam')::date
 group by month, wijk_code, category, kind, outcome
), without_district as (
select month, case when incidents >= 5 then wijk_code else '' end as wijk_code, category, kind, outcome,
       sum(incidents) as incidents, sum(alerts) as alerts
  from closed group by 1, 2, 3, 4, 5
), without_kind as (
select month, wijk_code, category, case when incidents >= 5 then kind else 'other' end as kind,
       case when incidents >= 5 then outcome else '' end as outcome, sum(incidents) as incidents, sum(alerts) as alerts
  from without_district group by 1, 2, 3, 4, 5
)
select month, nullif(wijk_code, '') as wijk_code, category, kind, nullif(outcome, '') as outcome,
       incidents::bigint as incidents, alerts::bigint as alerts
  from without_kind where incidents >= 5;
comment on view patrol.figures is
    'Incidents of past months by month, district, kind and outcome, erased incidents included, drills and those merged into '
    'another excluded. Cells of fewer than 5 are merged: first without their district, then as kind other without outcome, '
    'else left out.';
comment on column patrol.figures.month is 'First day of the month in which the incident began, local time.';
comment on column patrol.figures.wijk_code is 'District when the incident came; null if unknown, or if there were fewer than 5.';
comment on column patrol.figures.category is 'alarm or service.';
comment on column patrol.figures.kind is 'Kind of the first alert; other: kinds with fewer than 5.';
comment on column patrol.figures.outcome is 'Outcome; null if still open, or if kind is other. unattended is not counted as false_alarm.';
comment on column patrol.figures.incidents is 'Number of incidents.';
comment on column patrol.figures.alerts is 'Number of raises that joined them.';
