-- The queue: the incidents that wait for a patrol. Both queries have the same condition.

create or replace view patrol.queue with (security_barrier) as
select i.*, row_number() over (order by i.delayed, i.priority, i.verified_by is null, i.first_seen, i.incident_id) as place
  from patrol.incidents as i
 where i.status <> 'closed' and i.category = 'alarm' and i.muted_until is null
   and (i.restored_at is null or not mobeye.restored_in_mute(i.incident_id))
 order by place;
comment on view patrol.queue is
    'The open alarm incidents that are not muted, in the order in which a patrol takes them: live before delayed, then '
    'priority, then verified, then oldest. Drills are included; incidents that began and were restored under a mute are not.';
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
comment on column patrol.queue.place is 'Position in the queue of this reader: 1 is next.';

create or replace function mobeye.queue_state()
returns table (priority smallint, incidents bigint, overdue bigint, waiting_since timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select i.priority, count(*), count(i.overdue_since),
           min(coalesce(i.reopened_at, i.created_at)) filter (where i.status in ('new', 'reopened'))
      from mobeye.incident_full as i
     where i.status <> 'closed' and i.category = 'alarm' and i.muted_until is null
       and (i.restored_at is null or not mobeye.restored_in_mute(i.incident_id))
     group by i.priority
$$;
comment on function mobeye.queue_state() is
    'The queue of all teams by priority: incidents, those that are overdue, and since when the one that has waited longest '
    'has waited to be acknowledged; null if none waits.';
