-- Ends sessions of people and other programs that hold up the daemons, and of daemons that hang. Requires that the owner may
-- see and signal them (see the first migration); otherwise none is ended, and the daemons wait.

-- A client that hangs while it has an incident or the counter of changes locked would block everybody.
create or replace function mobeye.limit_idle() returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
    if current_setting('idle_in_transaction_session_timeout')::interval not between '1 ms' and '10 s' then
        perform set_config('idle_in_transaction_session_timeout', '10s', true);
    end if;
end
$$;
comment on function mobeye.limit_idle() is 'Ends the transaction of this session if it is left idle for 10 s.';

create or replace function mobeye.is_outside(usesysid oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $$
    select not r.rolsuper and not pg_has_role(r.oid, 'mobeye_owner', 'member')
           and not pg_has_role(r.oid, 'mobeye_ingest', 'member')
      from pg_roles r where r.oid = is_outside.usesysid
$$;
comment on function mobeye.is_outside(oid) is
    'Whether a session of this role may be ended: not that of a superuser, of a member of the owner or of a daemon.';

-- A session that reads alerts locks their partitions until its transaction ends, and dropping them fails until then.
create or replace function mobeye.end_readers(partition regclass, older interval) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
    select count(pg_terminate_backend(a.pid, 5000))
      from pg_stat_activity a
     where a.xact_start < clock_timestamp() - older
       and a.pid in (select l.pid from pg_locks l
                      where l.granted and l.locktype = 'relation'
                        and l.database = (select d.oid from pg_database d where d.datname = current_database())
                        and (l.relation = partition
                             or l.relation in (select i.inhparent from pg_inherits i where i.inhrelid = partition)))
       and (pg_has_role(a.usesysid, 'mobeye_patrol', 'member') or pg_has_role(a.usesysid, 'mobeye_auditor', 'member'))
       and mobeye.is_outside(a.usesysid)
       and pg_has_role('pg_signal_backend', 'usage')
$$;
comment on function mobeye.end_readers(regclass, interval) is
    'Ends the sessions of people whose transaction is older and that hold a lock on a partition or its parent; returns how '
    'many. Not those of superusers, members of the owner, and daemons.';

-- The session at the end of the chain, which does not wait for a lock itself, is the cause. An idle transaction is no longer
-- using its locks, and is ended as soon as a daemon has waited a second; a statement may be about to finish, and gets five,
-- unless it waits for its client or sleeps. A daemon that hangs between statements ends by idle_in_transaction_session_timeout;
-- within one (a COPY) nothing else ends it, and its batch takes less than a minute on any line.
create or replace function mobeye.end_blockers() returns setof text
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
    with recursive daemon as materialized (
        select r.oid from pg_roles r
         where not r.rolsuper and pg_has_role(r.oid, 'mobeye_ingest', 'member')
           and not pg_has_role(r.oid, 'mobeye_owner', 'member')
    ), waiting as materialized (
        select w.pid, (select min(l.waitstart) from pg_locks l where l.pid = w.pid and not l.granted) as since
          from pg_stat_activity w
         where w.wait_event_type = 'Lock' and w.datname = current_database()
           and w.usesysid in (select d.oid from daemon d)
    ), blocking (pid, since) as (
        select b.pid, w.since from waiting w cross join lateral unnest(pg_blocking_pids(w.pid)) as b (pid)
        union
        select b.pid, w.since from blocking w cross join lateral unnest(pg_blocking_pids(w.pid)) as b (pid)
    ), cause as materialized (
        select distinct a.pid, a.usename, a.application_name
          from blocking b
          join pg_stat_activity a on a.pid = b.pid
         where case when mobeye.is_outside(a.usesysid)
                    then b.since < clock_timestamp() - case when a.state = 'active' and coalesce(a.wait_event_type, '') not in ('Client', 'Timeout')
                                                            then interval '5 seconds' else interval '1 second' end
                    else a.usesysid in (select d.oid from daemon d) and a.state = 'active' and a.wait_event_type = 'Client'
                         and a.state_change < clock_timestamp() - interval '60 seconds' end -- those that wait give up earlier, and try again
           and a.wait_event_type is distinct from 'Lock'
           and pg_has_role('pg_signal_backend', 'usage')
    )
    select format('the session of %s (pid %s%s)', c.usename, c.pid, ', ' || quote_literal(nullif(c.application_name, '')))
      from cause c
     where pg_terminate_backend(c.pid)
$$;
comment on function mobeye.end_blockers() is
    'Ends the sessions of people that hold a lock for which a daemon has waited for a second (for five, if a statement is '
    'running), and those of daemons that one waits for while they have been sending for a minute; returns who they were.';
