-- Who sees how much of what: each person, each object of schema patrol, each kind of row, from one table of data. An object
-- that the table does not name fails the test.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null
select mobeye.premake_partitions() \g /dev/null

-- ---------------------------------------------------------------------------------------------------------------------
-- The rows. Each kind has a device at its own home, an incident, an alert of it and one without an incident, a note, a change,
-- and a mute (of an earlier placement, or nothing would be in the queue).

create temporary table kind (place integer primary key, name text, team text, area text, secret boolean, columns jsonb, id bigint, mute_id bigint);
insert into kind values
    (1, 'own', 'noord', 'WK1', false, '{}'),
    (2, 'own, closed', 'noord', 'WK1', false, '{"status": "closed", "outcome": "no_trace"}'),
    (3, 'own, service', 'noord', 'WK1', false, '{"category": "service", "kind": "battery"}'),
    (4, 'own, a drill', 'noord', 'WK1', false, '{"drill": true}'),
    (5, 'own, secret', 'noord', 'WK1', true, '{}'),
    (6, 'another team''s', 'zuid', 'WK2', false, '{}'),
    (7, 'another team''s, secret', 'zuid', 'WK2', true, '{}'),
    (8, 'another team''s, secret, assigned to t_jan', 'zuid', 'WK2', true, '{"status": "assigned", "assigned_to": "t_jan"}'),
    (9, 'nobody''s, in own area', null, 'WK1', false, '{}'),
    (10, 'nobody''s, in own area, secret', null, 'WK1', true, '{}'),
    (11, 'nobody''s, in another team''s area', null, 'WK2', false, '{}'),
    (12, 'nobody''s, in another team''s area, secret', null, 'WK2', true, '{}');

create function device(place integer) returns text language sql as $$ select 'dev-k' || lpad(place::text, 2, '0') $$;
-- No two in one cell, none near the centre of its cell.
create function home(place integer) returns geometry language sql as $$
    select st_transform(st_setsrid(st_makepoint(155000 + place * 250 + 17.31, 463000 + place * 125 + 21.43), 28992), 4326)
$$;
insert into mobeye.device (device_id, state) select device(place), 'placed' from kind;
insert into mobeye.placement (device_id, during, geom, address, team, secret, instructions)
select device(place), '[2020-01-01,)', home(place), 'adres-' || device(place), team, secret, 'achterom-' || device(place) from kind;
update kind set id = make(jsonb_build_object('device_id', device(place), 'team', team, 'areas', array['wijk:' || area], 'accuracy_m', 7000.25 + place,
                                             'external_system', 'ams', 'external_ref', 'ref-' || device(place)) || columns);
insert into mobeye.alert_decoded (class, occurred_at, received_at, source, event_id, instance, journal_seq, endpoint, device_id, kind, phase, drill, flags, geom,
                          accuracy_m, location_source, incident_id, placement_id, team, secret, areas, payload)
select 'alarm', i.first_seen, now(), 'bron-' || device(place), 'event-' || device(place), 'i', place + m * 100, 'e', device(place), 'motion', 'raise', false, '{}',
       i.geom, 7000.25 + place, 'placement', case m when 0 then i.incident_id end, i.placement_id, k.team, k.secret,
       case when m = 1 and k.team is null then i.areas end, jsonb_build_object('data', jsonb_build_object('text', 'tekst-' || device(place)))
  from kind k join mobeye.incident i on incident_id = id cross join generate_series(0, 1) as m;
create function image(place integer) returns uuid language sql as $$ select md5('beeld-' || place)::uuid $$;
insert into mobeye.snapshot (image_id, occurred_at, device_id, placement_id, incident_id, media_type, image)
select image(place), i.first_seen, device(place), i.placement_id, id, 'image/jpeg', convert_to('pixels-' || device(place), 'UTF8')
  from kind k join mobeye.incident i on incident_id = id;
insert into mobeye.incident_history (incident_id, actor, action, note) select id, 't_x', 'note', 'notitie-' || device(place) from kind;
insert into mobeye.change (change_id, incident_id, op, status, priority, category) select place, id, 'note', 'new', 2, coalesce(columns ->> 'category', 'alarm') from kind;
with m as (
    insert into mobeye.mute (device_id, placement_id, team, secret, incident_id, at, until, reason, muted_by)
    select device_id, -placement_id, team, secret, (select id from kind where device(place) = device_id), now() - interval '1 hour', now() + interval '1 hour', 'reden-' || device_id, 't_x'
      from mobeye.placement where device_id like 'dev-k%' returning mute_id, device_id)
update kind set mute_id = m.mute_id from m where m.device_id = device(place);
update mobeye.counter set value = 1000 where name = 'changes';

-- What a reader to whom a row is coarse must not find in it in any form: texts with the device's name, the accuracy, the place
-- in degrees (4 digits) and in metres.
create temporary table hidden as
select place, unnest(array[device(place), image(place)::text, (7000.25 + place)::text, trunc(st_x(home(place))::numeric, 4)::text,
                           trunc(st_y(home(place))::numeric, 4)::text, trunc(st_x(st_transform(home(place), 28992)))::text || '.',
                           trunc(st_y(st_transform(home(place), 28992)))::text || '.']) as text
  from kind;

-- ---------------------------------------------------------------------------------------------------------------------
-- The objects, by how they are queried. A query for one kind names it: {id} {device} {mute}, {lon} {lat} its home. The query
-- returns rows; whose they are is read from them (incident_id, mute_id, journal_seq), except where each kind is asked for.

create temporary table asked (object text, each boolean, query text);
insert into asked values
    ('alerts', false, 'select to_jsonb(t) from patrol.alerts t'),
    ('images', false, 'select to_jsonb(t) from patrol.images t'),
    ('open_image', true, 'select to_jsonb(convert_from(patrol.open_image(''{image}'', ''proef''), ''UTF8''))'),
    ('incidents', false, 'select to_jsonb(t) from patrol.incidents t'),
    ('queue', false, 'select to_jsonb(t) from patrol.queue t'),
    ('changes', false, 'select to_jsonb(t) from patrol.changes t'),
    ('incident_history', false, 'select to_jsonb(t) from patrol.incident_history t'),
    ('mutes', false, 'select to_jsonb(t) from patrol.mutes t'),
    ('devices', true, 'select to_jsonb(t) - ''device_id'' from patrol.devices t where device_id = ''{device}'''),
    ('alerts_of', true, 'select to_jsonb(t) from patrol.alerts_of(''{device}'', ''2020-01-01'', ''2100-01-01'') t'),
    ('history_at', false, 'select to_jsonb(t) from patrol.history_at(5.4, 52.16, 5000) t'),
    ('incidents_at', true, 'select to_jsonb(t) from patrol.incidents_at(''ADRES-{device}'') t'),
    -- That it is found exactly there reveals where it is.
    ('history_at, at home', true, 'select to_jsonb(t) || ''{"at": "{device}"}'' from patrol.history_at({lon}, {lat}, 3) t'),
    ('incidents_geojson', false, 'select jsonb_path_query(patrol.incidents_geojson(5, 52, 6, 53), ''$.features[*]'')'),
    ('incidents_geojson, at home', true, 'select jsonb_path_query(patrol.incidents_geojson({lon} - 1e-5, {lat} - 1e-5, {lon} + 1e-5, {lat} + 1e-5), ''$.features[*]'')'),
    ('open_incident', true, 'select to_jsonb(t) from patrol.open_incident({id}, ''proef'') t'),
    ('acknowledge', true, 'select to_jsonb(patrol.acknowledge({id}))'),
    ('assign', true, 'select to_jsonb(patrol.assign({id}, ''t_fee''))'),
    ('release', true, 'select to_jsonb(patrol.release({id}))'),
    ('on_scene', true, 'select to_jsonb(patrol.on_scene({id}))'),
    ('close', true, 'select to_jsonb(patrol.close({id}, ''drill''))'),
    ('reopen', true, 'select to_jsonb(patrol.reopen({id}, ''x''))'),
    ('verify', true, 'select to_jsonb(patrol.verify({id}, ''person''))'),
    ('note', true, 'select to_jsonb(patrol.note({id}, ''x'')::text)'),
    ('link', true, 'select to_jsonb(patrol.link({id}, ''x'', ''y'')::text)'),
    ('mute_until_restored', true, 'select to_jsonb(patrol.mute_until_restored({id}, now() + interval ''1 day'', ''x''))'),
    ('claim_next', false, 'select jsonb_build_object(''incident_id'', t) from claim_all() t'),
    ('mute', true, 'select to_jsonb(patrol.mute(''{device}'', now() + interval ''1 day'', ''x''))'),
    ('unmute', true, 'select to_jsonb(patrol.unmute({mute})::text)'),
    -- These return nothing about one kind; what they return is searched for anything hidden.
    ('mute_area', null, 'select to_jsonb(patrol.mute_area(''wijk'', ''WK1'', now() + interval ''1 day'', ''x''))'),
    ('figures', null, 'select to_jsonb(t) from patrol.figures t'),
    ('add_measure', null, 'select to_jsonb(patrol.add_measure(''tent'', ''wijk'', ''WK1'', now(), null, 1, ''x''))'),
    ('burglaries', null, 'select to_jsonb(t) from patrol.burglaries t'),
    ('teams', null, 'select to_jsonb(t) from patrol.teams t'),
    ('unknown_areas', null, 'select to_jsonb(t) from patrol.unknown_areas(''wijk'', ''{WK1}'') t'),
    ('wijk_report', null, 'select patrol.wijk_report(''2020-01-01'', ''2029-01-01'')'),
    ('wijk_report_html', null, 'select to_jsonb(patrol.wijk_report_html(''2020-01-01'', ''2029-01-01''))'),
    ('wijk_report_rows', null, 'select to_jsonb(t) from patrol.wijk_report_rows(''2020-01-01'', ''2029-01-01'') t'),
    ('device_cards', null, 'select to_jsonb(t) from patrol.device_cards t'),
    ('device_report', true, 'select to_jsonb(t) - ''device_id'' from patrol.device_report(''2020-01-01'', ''2039-01-01'') t where device_id = ''{device}'''),
    ('hotspots', null, 'select patrol.hotspots(''2020-01-01'', ''2039-01-01'')'),
    ('near_repeat', null, 'select patrol.near_repeat(''2020-01-01'', ''2039-01-01'', ''alarms'', simulations => 1)'),
    ('board_queue', false, 'select jsonb_array_elements(patrol.board_queue() -> ''incidents'')'),
    ('board_closed', false, 'select jsonb_array_elements(patrol.board_closed() -> ''incidents'')'),
    ('board_incident', true, 'select patrol.board_incident({id}) #- ''{before}'''),
    ('board_act', true, 'select patrol.board_act({id}, ''open'', ''{"reason": "proef"}'') #- ''{before}'''),
    ('board_next', false, 'select patrol.board_next(''{"team": "noord"}'') -> ''incident'''),
    ('board_mute', true, 'select patrol.board_mute(jsonb_build_object(''device'', ''{device}'', ''until'', now() + interval ''1 day'', ''reason'', ''x''))'),
    ('board_unmute', true, 'select patrol.board_unmute(jsonb_build_object(''mute_id'', {mute}))'),
    ('board_equipment', null, 'select patrol.board_equipment() -> ''counts'''),
    ('board_areas', null, 'select patrol.board_areas(5, 52, 6, 53)'),
    ('board_me', null, 'select patrol.board_me()'),
    ('board', null, 'select to_jsonb(t) from patrol.board(''t_jan'', ''queue'', null, null) t'),
    ('board_changes', null, 'select to_jsonb(t) from patrol.board_changes(array[''t_jan''], 0) t'),
    ('board_image', null, 'select to_jsonb(t) from patrol.board_image(''t_jan'', ''00000000-0000-0000-0000-000000000000'', ''x'') t'),
    ('api_version', null, 'select to_jsonb(patrol.api_version())'),
    ('last_change', null, 'select to_jsonb(patrol.last_change())'),
    ('number_changes', null, 'select to_jsonb(patrol.number_changes())');
grant select on asked to public;

-- Everything in the queue for noord, one after the other.
create function claim_all() returns table (incident_id bigint) language plpgsql as $$
begin
    loop
        incident_id := patrol.claim_next('noord', 'wagen 1');
        exit when incident_id is null;
        return next;
    end loop;
end
$$;

create temporary table found (object text, who text, seen text);
create function whose(r jsonb) returns integer language sql as $$
    select k.place from kind k
     where k.id = coalesce(r ->> 'incident_id', r ->> 'id')::bigint
        or r ->> 'incident_id' is null and (k.mute_id = (r ->> 'mute_id')::bigint or k.place = (r ->> 'journal_seq')::bigint % 100)
$$;
-- 'e': what is hidden of the kind is in the rows; 'c': there are rows; '.': there are none.
create function level(rows jsonb[], of_kind integer) returns text language sql as $$
    select case when not exists (select from unnest(rows)) then '.'
                when exists (select from unnest(rows) as r join hidden h on strpos(r::text, h.text) > 0 where h.place = of_kind) then 'e'
                else 'c' end
$$;
-- What a query returns to a person: rows, or P0002 for none, 'x' for 42501 and 28000. An error that names the state of a thing
-- reveals that it exists, and counts as a row.
create function rows_of(who text, query text, out rows jsonb[], out refused boolean) language plpgsql as $$
declare
    message text; detail text; hint text;
begin
    refused := false;
    begin
        perform set_config('mobeye.acting_as', split_part(who, ' for ', 2), true),
                set_config('session_authorization', split_part(who, ' for ', 1), true);
        execute format('select coalesce(array_agg(r), ''{}'') from (%s) as q(r)', query) into rows;
        raise exception using errcode = 'MBOK0';
    exception
        when sqlstate 'MBOK0' then null; -- nothing that it did stays
        when no_data_found then rows := '{}';
        when insufficient_privilege or invalid_authorization_specification then rows := '{}'; refused := true;
        when object_not_in_prerequisite_state then
            get stacked diagnostics message = message_text, detail = pg_exception_detail, hint = pg_exception_hint;
            rows := array[jsonb_build_object('message', message, 'detail', detail, 'hint', hint)];
    end;
end
$$;
create function filled(query text, k kind) returns text language sql as $$
    select replace(replace(replace(replace(replace(replace(query, '{image}', image(k.place)::text), '{id}', k.id::text), '{device}', device(k.place)), '{mute}', k.mute_id::text),
                           '{lon}', st_x(home(k.place))::text), '{lat}', st_y(home(k.place))::text)
$$;
create function seen(who text, q asked) returns text language plpgsql as $$
declare
    k kind;
    got record;
    result text := '';
begin
    if q.each then
        for k in select * from kind order by place loop
            got := rows_of(who, filled(q.query, k));
            result := result || case when got.refused then 'x' else level(got.rows, k.place) end;
        end loop;
        return case when result ~ '^x+$' then 'x' else result end;
    end if;
    got := rows_of(who, q.query);
    if got.refused then
        return 'x';
    end if;
    if q.each is null then
        return case when exists (select from unnest(got.rows) as r join hidden h on strpos(r::text, h.text) > 0) then 'e' else 'c' end;
    end if;
    if exists (select from unnest(got.rows) as r where whose(r) is null) then
        return 'whose is ' || (select r::text from unnest(got.rows) as r where whose(r) is null limit 1);
    end if;
    -- What is hidden of one kind must not be in the rows of another either.
    return (select string_agg(level(array(select r from unnest(got.rows) as r where whose(r) = n.place), n.place), '' order by n.place) from kind n);
end
$$;
create temporary table who as
select * from unnest(array['t_jan', 't_piet', 't_fee', 't_leeg', 't_gast', 't_desk', 't_desk for t_jan', 't_desk for t_leeg', 't_anna', 't_ans', 't_rik', 't_baas', 'mobeye_ingest', 't_niemand']) as who;
insert into found select q.object, w.who, seen(w.who, q) from asked q, who w;

-- ---------------------------------------------------------------------------------------------------------------------
-- The table: a letter a kind, in the order of the kinds (own: open, closed, service, drill, secret; another team's: open,
-- secret, secret and assigned to t_jan; nobody's in own area: open, secret; in the other's: open, secret).
-- e: what is hidden of it is shown; c: a row without that; '.': none, or it does not exist; x: refused; a single letter: for
-- all.

create temporary table expected (object text, who text[], seen text);
insert into expected
select unnest(objects), who, seen from (values
    ('{alerts,incidents,incident_history}'::text[],
     '{t_jan,t_desk for t_jan}'::text[],               'eeeee..eec..'),
    ('{alerts,incidents,incident_history}', '{t_piet}', '.....eee..ec'),
    ('{alerts,incidents,incident_history}', '{t_fee}', 'eeeececcecec'),
    ('{alerts,incidents,incident_history}', '{t_anna}', 'cccccccccccc'),
    ('{alerts,incidents,incident_history}', '{t_baas}', 'eeeeeeeeeeee'),

    -- A device manager: what is wrong with the equipment.
    ('{incidents,incident_history}', '{t_rik}',        '..e.........'),
    ('{changes}', '{t_rik}',                           '..c.........'),

    ('{queue}', '{t_jan,t_desk for t_jan}',            'e..ee..eec..'),
    ('{queue}', '{t_piet}',                            '.....eee..ec'),
    ('{queue}', '{t_fee}',                             'e..ececcecec'),
    ('{queue}', '{t_anna}',                            'c..ccccccccc'),
    ('{queue}', '{t_baas}',                            'e..eeeeeeeee'),

    ('{incidents_geojson}', '{t_jan,t_desk for t_jan}', 'e.eee..eec..'),
    ('{incidents_geojson}', '{t_piet}',                '.....eee..ec'),
    ('{incidents_geojson}', '{t_fee}',                 'e.eececcecec'),
    ('{incidents_geojson}', '{t_anna}',                'c.cccccccccc'),
    ('{incidents_geojson}', '{t_baas}',                'e.eeeeeeeeee'),
    ('{"incidents_geojson, at home"}', '{t_jan,t_desk for t_jan}', 'e.eee..ee...'),
    ('{"incidents_geojson, at home"}', '{t_piet}',     '.....eee..e.'),
    ('{"incidents_geojson, at home"}', '{t_fee}',      'e.ee.e..e.e.'),
    ('{"incidents_geojson, at home"}', '{t_anna}',     '............'),
    ('{"incidents_geojson, at home"}', '{t_baas}',     'e.eeeeeeeeee'),

    ('{"history_at, at home",alerts_of,incidents_at}', '{t_jan,t_desk for t_jan}', 'eeeee..ee...'),
    ('{"history_at, at home",alerts_of,incidents_at}', '{t_piet}',  '.....eee..e.'),
    ('{"history_at, at home",alerts_of,incidents_at}', '{t_fee}',   'eeee.e..e.e.'),
    ('{"history_at, at home",alerts_of,incidents_at}', '{t_baas}',  'eeeeeeeeeeee'),
    ('{"history_at, at home"}', '{t_anna}',            '............'),
    ('{alerts_of,incidents_at}', '{t_anna}',                        'x'),

    ('{images,open_image}', '{t_jan,t_desk for t_jan}', 'eeeee..ee...'),
    ('{images,open_image}', '{t_piet}',                '.....eee..e.'),
    ('{images,open_image}', '{t_fee}',                 'eeee.e..e.e.'),
    ('{images}', '{t_anna}',                           '............'),
    ('{open_image}', '{t_anna}',                       'eeeeeeeeeeee'),
    ('{images,open_image}', '{t_baas}',                'eeeeeeeeeeee'),

    ('{open_incident}', '{t_jan,t_desk for t_jan}',    'eeeee..eec..'),
    ('{open_incident}', '{t_piet}',                    '.....eee..ec'),
    ('{open_incident}', '{t_fee}',                     'eeeececcecec'),
    ('{open_incident}', '{t_anna,t_baas}',             'eeeeeeeeeeee'),

    ('{devices}', '{t_jan,t_desk for t_jan}',          'eeeee...e.e.'),
    ('{devices}', '{t_piet}',                          '.....eeee.e.'),
    ('{devices}', '{t_fee}',                           'eeee.e..e.e.'),
    ('{devices}', '{t_anna}',                          'cccc.c..c.c.'),
    ('{mutes}', '{t_jan,t_desk for t_jan}',            'eeeeecccecec'),
    ('{mutes}', '{t_piet}',                            'ccccceeeecec'),
    ('{mutes}', '{t_fee}',                             'eeeececcecec'),
    ('{mutes}', '{t_anna}',                            'cccccccccccc'),
    ('{devices,mutes}', '{t_rik,t_baas}',              'eeeeeeeeeeee'),

    -- What reveals nothing hidden, about what one sees; and where one may act.
    ('{changes,history_at,acknowledge,assign,release,on_scene,close,reopen,verify,note,link,mute_until_restored}',
     '{t_jan,t_desk for t_jan}',                       'ccccc..ccc..'),
    ('{changes,history_at,acknowledge,assign,release,on_scene,close,reopen,verify,note,link,mute_until_restored}',
     '{t_piet}',                                       '.....ccc..cc'),
    ('{changes,history_at,acknowledge,assign,release,on_scene,close,reopen,verify,note,link,mute_until_restored}',
     '{t_fee,t_baas}',                                 'cccccccccccc'),
    ('{changes,history_at}', '{t_anna}',               'cccccccccccc'),
    ('{acknowledge,assign,release,on_scene,close,reopen,verify,note,link,mute_until_restored,claim_next,mute,unmute,mute_area}',
     '{t_anna,t_rik}',                                 'x'),
    ('{claim_next}', '{t_jan,t_desk for t_jan,t_fee,t_baas}', 'c..cc...cc..'),
    ('{claim_next}', '{t_piet}',                       'x'),
    -- About another team's secret home, not even that it is another's.
    ('{mute}', '{t_jan,t_desk for t_jan}',             'cccccx..c.c.'),
    ('{mute}', '{t_piet}',                             'xxxx.cccc.c.'),
    ('{mute}', '{t_fee}',                              'cccc.c..c.c.'),
    ('{mute,unmute}', '{t_baas}',                      'cccccccccccc'),
    ('{unmute}', '{t_jan,t_desk for t_jan}',           'cccccxxxcccc'),
    ('{unmute}', '{t_piet}',                           'xxxxxccccccc'),
    ('{unmute}', '{t_fee}',                            'cccccccccccc'),
    ('{mute_area}', '{t_jan,t_desk for t_jan,t_fee,t_baas}', 'c'),
    ('{mute_area}', '{t_piet}',                        'x'),
    ('{api_version,last_change,number_changes}', '{t_jan,t_piet,t_fee,t_leeg,t_gast,t_desk,t_desk for t_jan,t_desk for t_leeg,t_anna,t_rik,t_baas}', 'c'),

    ('{board_queue}', '{t_jan,t_desk for t_jan}',      'e..ee..eec..'),
    ('{board_queue}', '{t_piet}',                      '.....eee..ec'),
    ('{board_queue}', '{t_fee}',                       'e..ececcecec'),
    ('{board_queue}', '{t_anna}',                      'c..ccccccccc'),
    ('{board_queue}', '{t_baas}',                      'e..eeeeeeeee'),
    ('{board_closed}', '{t_jan,t_desk for t_jan,t_fee,t_baas}', '.e..........'),
    ('{board_closed}', '{t_anna}',                     '.c..........'),
    ('{board_closed}', '{t_piet}',                     '............'),
    ('{board_incident,board_act}', '{t_jan,t_desk for t_jan}', 'eeeee..eec..'),
    ('{board_incident,board_act}', '{t_piet}',         '.....eee..ec'),
    ('{board_incident,board_act}', '{t_fee}',          'eeeececcecec'),
    ('{board_incident}', '{t_anna}',                   'cccccccccccc'),
    ('{board_act}', '{t_anna}',                        'eeeeeeeeeeee'),
    ('{board_incident,board_act}', '{t_baas}',         'eeeeeeeeeeee'),
    ('{board_mute}', '{t_jan,t_desk for t_jan}',       'cccccx..c.c.'),
    ('{board_mute}', '{t_piet}',                       'xxxx.cccc.c.'),
    ('{board_mute}', '{t_fee}',                        'cccc.c..c.c.'),
    ('{board_mute,board_unmute}', '{t_baas}',          'cccccccccccc'),
    ('{board_unmute}', '{t_jan,t_desk for t_jan}',     'cccccxxxcccc'),
    ('{board_unmute}', '{t_piet}',                     'xxxxxccccccc'),
    ('{board_unmute}', '{t_fee}',                      'cccccccccccc'),
    ('{board_next}', '{t_jan,t_desk for t_jan,t_fee,t_baas}', 'e...........'),
    ('{board_next}', '{t_piet}',                       'x'),
    ('{board_me,board_equipment}', '{t_jan,t_piet,t_fee,t_leeg,t_gast,t_desk for t_jan,t_desk for t_leeg,t_anna,t_rik,t_baas}', 'c'),
    ('{board_areas}', '{t_jan,t_piet,t_fee,t_leeg,t_gast,t_desk for t_jan,t_desk for t_leeg,t_anna,t_baas}', 'c'),
    ('{board_queue,board_closed}', '{t_leeg,t_gast,t_desk for t_leeg}', '............'),
    ('{board_incident,board_act}', '{t_leeg,t_gast,t_desk for t_leeg}', '............'),
    ('{board_next,board_mute,board_unmute}', '{t_leeg,t_gast,t_desk for t_leeg,t_anna,t_rik}', 'x'),
    ('{board_queue,board_closed,board_incident,board_act,board_areas,board_next,board_mute,board_unmute,board_me,board_equipment}', '{t_desk}', 'x'),
    ('{board_queue,board_closed,board_incident,board_act,board_areas}', '{t_rik}', 'x'),
    -- Only for the login of the board.
    ('{board,board_changes,board_image}', '{t_jan,t_piet,t_fee,t_leeg,t_gast,t_desk,t_desk for t_jan,t_desk for t_leeg,t_anna,t_rik}', 'x'),
    ('{board}', '{t_baas}', 'e'),
    ('{board_changes,board_image}', '{t_baas}', 'c'),

    -- Reports: figures; those of devices by what their placements and incidents let each person see.
    ('{device_report}', '{t_jan,t_desk for t_jan}',    'ccccc..cc.c.'),
    ('{device_report}', '{t_piet}',                    '.....cccc.c.'),
    ('{device_report}', '{t_fee}',                     'cccc.c..c.c.'),
    ('{device_report}', '{t_leeg,t_gast,t_desk,t_desk for t_leeg}', '............'),
    ('{device_report}', '{t_ans,t_rik,t_baas}',        'cccccccccccc'),
    ('{device_report}', '{t_anna}',                    'x'),
    ('{device_cards}', '{t_jan,t_piet,t_fee,t_leeg,t_gast,t_desk,t_desk for t_jan,t_desk for t_leeg,t_rik,t_baas}', 'c'),
    ('{device_cards}', '{t_anna}', 'x'),
    ('{burglaries,teams}', '{t_jan,t_piet,t_fee,t_leeg,t_gast,t_desk,t_desk for t_jan,t_desk for t_leeg,t_anna,t_rik,t_baas}', 'c'),
    ('{add_measure}', '{t_jan,t_piet,t_fee,t_desk for t_jan,t_rik,t_baas}', 'c'),
    ('{add_measure}', '{t_anna,t_desk,t_leeg,t_gast,t_desk for t_leeg}', 'x'),
    ('{hotspots,near_repeat,wijk_report,wijk_report_html,wijk_report_rows,unknown_areas}', '{t_jan,t_piet,t_fee,t_leeg,t_gast,t_desk,t_desk for t_jan,t_desk for t_leeg,t_anna,t_rik}', 'x'),
    ('{hotspots,near_repeat,wijk_report,wijk_report_html,wijk_report_rows,unknown_areas}', '{t_ans,t_baas}', 'c'),
    ('{api_version}', '{t_ans}', 'c'),
    (array(select object from asked where object <> all ('{api_version,device_report,hotspots,near_repeat,wijk_report,wijk_report_html,wijk_report_rows,unknown_areas}')), '{t_ans}', 'x'),

    -- Not a person here, or without a team.
    ('{alerts,images,incidents,queue,changes,incident_history,mutes,devices,alerts_of,incidents_at,history_at,"history_at, at home",incidents_geojson,"incidents_geojson, at home"}',
     '{t_leeg,t_gast,t_desk,t_desk for t_leeg}',       '............'),
    ('{open_image,open_incident,acknowledge,assign,release,on_scene,close,reopen,verify,note,link,mute_until_restored}',
     '{t_leeg,t_gast,t_desk for t_leeg}',              '............'),
    ('{open_image,open_incident,acknowledge,assign,release,on_scene,close,reopen,verify,note,link,mute_until_restored}',
     '{t_desk}',                                       'x'),
    ('{claim_next,mute,unmute,mute_area}', '{t_leeg,t_gast,t_desk,t_desk for t_leeg}', 'x'),

    -- Those who have no business here.
    ('{alerts,images,queue,alerts_of,incidents_at,history_at,"history_at, at home",incidents_geojson,"incidents_geojson, at home",open_incident,open_image}',
     '{t_rik}',                                        'x'),
    (array(select object from asked), '{mobeye_ingest,t_niemand}', 'x')) as m(objects, who, seen);

select bag_eq($$select object, unnest(who) from expected where object <> 'figures'$$, $$select object, who from found where object <> 'figures'$$, 'the table has each object and person once');
select is_empty($$select relname::text from pg_class where relnamespace = 'patrol'::regnamespace and relkind in ('r', 'v', 'm', 'p', 'f')
                  union all select proname::text from pg_proc where pronamespace = 'patrol'::regnamespace
                  except select split_part(object, ',', 1) from asked$$, 'and every view and function of schema patrol is in it');
select is(f.seen, e.seen, format('%s of %s', f.who, object)) from found f join expected e using (object) where f.who = any (e.who) and object <> 'figures';
-- Counts of everybody, for those to whom it is granted.
select matches(seen, '^[cx]$', who || ' of figures') from found where object = 'figures';

-- A device manager, who may call these by name, learns from them what the views show, but no more.
select is((rows_of('t_rik', filled('select to_jsonb(coalesce((mobeye.latest_alert({id}))[1], ''nothing''))', k))).rows[1],
          to_jsonb(case when k.columns ->> 'category' = 'service' then 'tekst-' || device(place) else 'nothing' end), 't_rik of the text: ' || name)
  from kind k;
-- Nor does an officer who is also one: what is exact in patrol.incidents has its device.
grant mobeye_registry to t_piet;
select is((rows_of('t_piet', filled('select to_jsonb((mobeye.latest_alert({id}))[1] is null or exists (select from patrol.incidents i where i.incident_id = {id} and i.device_id is not null))', k))).rows[1],
          to_jsonb(true), 't_piet, of the registry too, of the text: ' || name)
  from kind k;
select isnt_empty($$select from kind k where (rows_of('t_piet', filled('select to_jsonb((mobeye.latest_alert({id}))[1] is null)', k))).rows[1] = to_jsonb(false)$$, 'and some are');
revoke mobeye_registry from t_piet;
insert into mobeye.mute (device_id, placement_id, until, reason, muted_by)
select device_id, placement_id, now() + interval '1 hour', 'x', 't_x' from mobeye.placement where device_id = device(1);
select is((rows_of(who, filled('select to_jsonb(mobeye.mute_applies((select max(mute_id) from patrol.mutes), {id}))', k))).rows[1], to_jsonb(applies), who || ' of the mute')
  from kind k, (values ('postgres', true), ('t_rik', false)) as w(who, applies) where place = 1;
-- Officers who are also device managers learn nothing of what they do not see, neither by that nor as another viewer.
grant mobeye_registry to t_jan, t_piet;
update mobeye.mute set incident_id = id from kind k where mute.mute_id = (select max(mute_id) from mobeye.mute) and k.place = 1;
update mobeye.incident set restored_at = now(), restore_received_at = clock_timestamp() where incident_id = (select id from kind where place = 1);
delete from mobeye.incident_history where incident_id = (select id from kind where place = 1); -- its note would keep it in the queue
select is((rows_of(who, filled('select to_jsonb(array[mobeye.mute_applies((select max(mute_id) from patrol.mutes), {id}), mobeye.restored_in_mute({id}),
                                                      mobeye.may_see_secret(null, {id}, row(''t_x'', null, ''noord'', false, true, false, false, false, null, null)::mobeye.viewer),
                                                      mobeye.may_see_secret(null, {id}, mobeye.current_viewer())])', k))).rows[1], to_jsonb(told), who || ', of the registry too')
  from kind k, (values ('t_jan', array[true, true, false, true]), ('t_piet', array[false, false, false, false])) as w(who, told) where place = 1;
revoke mobeye_registry from t_jan, t_piet;

select * from finish();
rollback;
