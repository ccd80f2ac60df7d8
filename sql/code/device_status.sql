-- The last sign of life of each device, as daemons report it.

create or replace function mobeye.store_device_status(
    devices text[], registered boolean[], received timestamptz[], occurred timestamptz[], endpoints text[],
    sources text[], kinds text[], battery_pct integer[], signal_dbm integer[], fix bytea[], fix_accuracy_m real[],
    fix_at timestamptz[], alerts bigint[]) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set enable_seqscan = off -- the table is empty on the first day and large soon after
as $$
declare
    -- At most 10,000 unregistered devices are kept, so that invented names cannot fill the table.
    vacancies bigint := 10000;
    returned record;
begin
    if false = any (registered) then
        vacancies := 10000 - (select count(*) from mobeye.device_status s where not s.registered);
    end if;
    insert into mobeye.device_status as s (
        device_id, registered, first_received_at, last_received_at, last_occurred_at, endpoint, source, kind,
        battery_pct, signal_dbm, fix, fix_accuracy_m, fix_at, alerts)
    select n.device_id, n.registered, n.received, n.received, n.occurred, n.endpoint, n.source, n.kind, n.battery_pct,
           n.signal_dbm, case when n.keeps_fix then public.st_geomfromewkb(n.fix) end,
           case when n.keeps_fix then n.fix_accuracy_m end, case when n.keeps_fix then n.fix_at end, n.alerts
      from (select n.*, count(*) filter (where not n.registered and k.device_id is null) over earlier as newcomers,
                   n.registered or k.device_id is not null as always_stored,
                   not exists (select from mobeye.registry_log l
                                where l.device_id = n.device_id and l.forget @> n.fix_at) as keeps_fix
              from unnest(devices, store_device_status.registered, received, occurred, endpoints, sources, kinds,
                          store_device_status.battery_pct, store_device_status.signal_dbm, store_device_status.fix,
                          store_device_status.fix_accuracy_m, store_device_status.fix_at, store_device_status.alerts)
                   as n (device_id, registered, received, occurred, endpoint, source, kind, battery_pct, signal_dbm,
                         fix, fix_accuracy_m, fix_at, alerts)
              left join mobeye.device_status k on k.device_id = n.device_id
            window earlier as (order by n.device_id)) as n
     where n.always_stored or n.newcomers <= vacancies
     order by n.device_id
        on conflict (device_id) do update
       set registered = excluded.registered, last_received_at = greatest(s.last_received_at, excluded.last_received_at),
           last_occurred_at = excluded.last_occurred_at, endpoint = excluded.endpoint, source = excluded.source,
           kind = excluded.kind, battery_pct = coalesce(excluded.battery_pct, s.battery_pct),
           signal_dbm = coalesce(excluded.signal_dbm, s.signal_dbm), alerts = s.alerts + excluded.alerts,
           (fix, fix_accuracy_m, fix_at) = (
               select f.fix, f.fix_accuracy_m, f.fix_at
                 from (values (excluded.fix, excluded.fix_accuracy_m, excluded.fix_at), (s.fix, s.fix_accuracy_m, s.fix_at))
                      as f (fix, fix_accuracy_m, fix_at)
                order by f.fix_at desc nulls last limit 1);
    for returned in -- in the order in which watch_devices() locks them
        select s.device_id, s.last_received_at from mobeye.device_status s
         where s.device_id = any (devices) and s.silent_since < s.last_received_at
         order by s.device_id for update
    loop
        update mobeye.device_status s set silent_since = null where s.device_id = returned.device_id;
        perform mobeye.end_silence('device', returned.device_id, returned.last_received_at);
    end loop;
end
$$;
comment on function mobeye.store_device_status is 'Stores the last sign of life of devices, registered or not, and ends their silence. The arrays belong together.';
