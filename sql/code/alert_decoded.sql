-- Stored alerts in words: the only place that translates the codes of mobeye.alert. The daemon has both in
-- daemon/model/alert.h and alert.c; a test stores one of each.

-- A query that needs no column of the origin does not read it: the planner removes the join.
create or replace view mobeye.alert_decoded as
select ('{alarm,camera,service}'::text[])[a.class + 1] as class,
       a.occurred_at, a.received_at, a.stored_at, a.clock_skew, a.source, a.event_id, o.instance, a.journal_seq,
       o.endpoint, a.device_id,
       ('{unknown,intrusion,motion,panic,holdup,tamper,fire,heat,cold,water,camera,power,battery,comms,keepalive,arm,'
        'bypass}'::text[])[a.kind + 1] as kind,
       ('{raise,restore,update}'::text[])[a.phase + 1] as phase,
       a.input, a.drill,
       case when a.flags = 0 then '{}'::text[]
            else array(select w.word
                         from unnest('{clock,bad_phase,bad_input,bad_location,bad_accuracy_m,bad_fix_time,bad_battery_pct,'
                                     'bad_signal_dbm,bad_text,bad_drill,bad_camera,bad_label,bad_score,bad_box,bad_track,'
                                     'bad_camera_zone,null_island,swapped,outside_bounds,stale_fix,inaccurate,stale,'
                                     'verified,cancel,identity_conflict,bad_image}'::text[])
                              with ordinality as w (word, place)
                        where a.flags >> (w.place::integer - 1) & 1 = 1
                        order by w.place) end as flags,
       a.geom, a.accuracy_m,
       ('{none,message,placement,last_known}'::text[])[a.location_source + 1] as location_source,
       a.wijk_code, a.buurt_code, o.rule, o.rules, a.incident_id, a.payload::jsonb as payload, a.placement_id, a.team,
       a.secret, a.areas, a.image_id
  from mobeye.alert as a
  left join mobeye.alert_origin as o on o.origin = a.origin;
comment on view mobeye.alert_decoded is 'Stored alerts in words.';
