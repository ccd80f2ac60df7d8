-- Who sees what: teams, secret places, auditors, the registry, front ends, owners.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null
select mobeye.premake_partitions() \g /dev/null

create temporary table made (name text primary key, id bigint);
insert into made values
    ('own', make('{"team": "noord"}')), ('other', make('{"team": "zuid", "areas": ["wijk:WK2"]}')),
    ('free-1', make('{"areas": ["buurt:BU1", "wijk:WK1"]}')), ('free-2', make('{"areas": ["wijk:WK2"]}')),
    ('nowhere', make('{"areas": [], "geom": null, "location_source": "none", "placement_id": null, "device_id": null}')),
    ('secret', make('{"team": "noord", "device_id": "geheim-1"}')), ('secret-free', make('{"device_id": "geheim-0"}')),
    ('secret-fix', make('{"device_id": "geheim-1", "placement_id": null, "location_source": "message"}'));
grant select on made to public;
insert into mobeye.alert_decoded (class, occurred_at, received_at, source, event_id, instance, journal_seq, endpoint, device_id, kind, phase,
                          drill, flags, geom, accuracy_m, location_source, incident_id, placement_id, team, secret, payload)
select 'alarm', first_seen, first_seen, 'dc09:1234', name, 'i', 1, 'e', i.device_id, 'motion', 'raise', false, '{}', i.geom, 5, 'placement', id,
       p.placement_id, p.team, p.secret, '{"text": "Geheim 1"}'
  from made join mobeye.incident i on incident_id = id join mobeye.placement p on p.device_id = i.device_id;
insert into mobeye.incident_history (incident_id, actor, action, note) select id, 't_x', 'note', 'n' from made;

-- Rows.
create function sees(login text, in_role text default 'none', acting_as text default '') returns text language sql as $$
    select as_login(login, 'select string_agg(name, '' '' order by name) from patrol.incidents join made on id = incident_id', in_role, acting_as)
$$;
create temporary table everything as select string_agg(name, ' ' order by name) as names from made;
select is(sees('t_jan'), 'free-1 nowhere own secret secret-fix secret-free', 'a team sees its own, and those without a team in its areas or in no team''s areas');
select is(sees('t_piet'), 'free-2 nowhere other', 'and not another''s');
select is(sees(login), names, login || ' sees those of all teams') from everything, unnest(array['t_fee', 't_anna', 't_baas', 'postgres']) as login;
select is(sees(login), null, login || ' sees none: no person, or of no team') from unnest(array['t_gast', 't_leeg', 't_desk']) as login;
select is(sees('t_desk', acting_as => 't_fee'), names, 'a front end for the control room sees all') from everything;
select is(sees('t_desk', acting_as => 't_leeg'), null, 'and for somebody of no team nothing');
select is(sees('t_desk', acting_as => 't_piet'), 'free-2 nowhere other', 'a front end sees what the person sees');
select is(sees('t_pool', 't_jan'), 'free-1 nowhere own secret secret-fix secret-free', 'set role to a person is that person');
select is(sees('postgres', 't_jan'), 'free-1 nowhere own secret secret-fix secret-free', 'a superuser who puts on a role has its rights');
select is(sees('t_piet', 'mobeye_patrol'), 'free-2 nowhere other', 'set role to a group leaves the person');
select is(sees('t_piet', acting_as => 't_jan'), 'free-2 nowhere other', 'a login that is not a front end acts for nobody');
select throws_ok($$select sees('t_desk', acting_as => 't_niemand')$$, '28000', null, 'a front end acts for people alone');
select throws_ok(format('select as_login(%L, ''select from patrol.incidents'')', login), '42501', null, login || ' sees no incidents')
  from unnest(array['t_niemand', 'mobeye_ingest']) as login;
select is(sees('t_rik'), null, 'a device manager sees no alarms');
-- Nor as a person of a team, for the board.
create role t_kees login in role mobeye_registry;
create role t_kim login in role mobeye_registry;
insert into mobeye.person values ('t_kees', 'Kees', 'noord', false), ('t_kim', 'Kim', null, true);
select is(sees(login), null, login || ', a person of noord or of all teams, sees none either') from unnest(array['t_kees', 't_kim']) as login;
select is(sees('t_desk', acting_as => login), null, 'nor through a front end: ' || login) from unnest(array['t_kees', 't_kim']) as login;

select is(as_login(login, 'select count(*) > 0 from patrol.teams', acting_as => acting), told, login || ' and the names of teams')
  from (values ('t_jan', '', 'true'), ('t_fee', '', 'true'), ('t_anna', '', 'true'), ('t_rik', '', 'true'), ('t_desk', 't_jan', 'true'),
               ('t_gast', '', 'false'), ('t_leeg', '', 'false'), ('t_desk', 't_leeg', 'false')) as w(login, acting, told);

-- Places. A cell is 125 m of RD New.
create function place(login text, name text, in_role text default 'none', acting_as text default '') returns text language sql as $$
    select as_login(login, format('select concat_ws(''|'', coarse, device_id, address, instructions, accuracy_m,
        round(rd_x::numeric, 1), round(rd_y::numeric, 1), st_x(geom)::numeric(9,6), st_y(geom)::numeric(9,6))
        from patrol.incidents join made on id = incident_id where name = %L', name), in_role, acting_as)
$$;
create temporary table exact as
select name, format('f|%s|%s|%s|12|%s|%s|%s|%s', i.device_id, p.address, p.instructions, round(st_x(rd)::numeric, 1), round(st_y(rd)::numeric, 1),
                    st_x(i.geom)::numeric(9,6), st_y(i.geom)::numeric(9,6)) as text,
       format('t|%s|%s|', floor(st_x(rd) / 125) * 125 + 62.5, floor(st_y(rd) / 125) * 125 + 62.5) as coarse
  from made join mobeye.incident i on incident_id = id left join mobeye.placement p using (placement_id)
 cross join st_transform(i.geom, 28992) as rd;
select is(place('t_jan', 'secret'), text, 'its own team sees a secret place') from exact where name = 'secret';
select is(place('postgres', 'secret'), text, 'so does the owner') from exact where name = 'secret';
select is(place('t_desk', 'secret', acting_as => 't_jan'), text, 'and a front end for one of the team') from exact where name = 'secret';
select is(place('t_fee', 'own'), text, 'what is not secret everybody sees') from exact where name = 'own';
select matches(place(login, name), '^' || replace(replace(coarse, '|', '\|'), '.', '\.') || '[0-9.]+\|[0-9.]+$', format('%s sees %s coarsely', login, name))
  from exact cross join unnest(array['t_fee', 't_anna']) as login where name like 'secret%';
select matches(place('t_jan', 'secret-free'), '^t\|', 'secret and nobody''s: coarse until the team has it');
select matches(place('postgres', 'secret', 't_fee'), '^t\|', 'a superuser in the role of a person sees as the person');
select matches(place('t_anna', 'own'), '^t\|', 'auditors see every place coarsely');
select isnt(text, null) from exact where name = 'own';
select as_login('t_jan', format('select patrol.assign(%s, ''t_jan'')', id)) from made where name = 'secret-free' \g /dev/null
select matches(place('t_jan', 'secret-free'), '^f\|geheim-0', 'assigned to one of the team it is the team''s, and its place shown');
select is(as_login('t_piet', 'select count(*) from patrol.incidents join made on id = incident_id where name = ''secret-free'''), '0', 'and another team''s no longer');

-- Alerts, history, changes.
create function alert(login text, name text) returns text language sql as $$
    select as_login(login, format('select concat_ws(''|'', source is null, source, event_id, device_id, accuracy_m, payload ->> ''text'',
        st_x(geom)::numeric(9,6)) from patrol.alerts a join made on id = a.incident_id where name = %L', name))
$$;
select matches(alert(login, 'secret'), '^f\|dc09:1234\|secret\|geheim-1\|5\|Geheim 1\|5.370200$', login || ' sees the alert')
  from unnest(array['t_jan', 't_baas', 'postgres']) as login;
select matches(alert(login, 'secret'), '^t\|5\.3[0-9]+$', login || ' sees of the alert that there was one')
  from unnest(array['t_fee', 't_anna']) as login;
select is(alert('t_gast', 'secret'), null, 'a login that is not a person does not see it at all');
select is(alert('t_piet', 'secret'), null, 'another team does not see it at all');
-- One from elsewhere would reveal which device is at the secret place.
insert into mobeye.alert_decoded (class, occurred_at, received_at, source, event_id, instance, journal_seq, endpoint, device_id, kind, phase,
                          drill, flags, location_source, incident_id, secret, payload)
select 'alarm', first_seen, first_seen, 'dc09:1', 'moved', 'i', 2, 'e', 'moved-1', 'motion', 'raise', false, '{}', 'none', id, false, '{}'
  from made join mobeye.incident i on incident_id = id where name = 'secret';
select is(as_login(login, 'select count(*) filter (where device_id = ''moved-1'') || '' of '' || count(*) from patrol.alerts '
                          'join made on id = incident_id where name = ''secret'''),
          seen, login || ' and an alert from elsewhere of an incident at a secret place')
  from (values ('t_jan', '1 of 2'), ('t_fee', '0 of 2'), ('t_anna', '0 of 2'), ('t_baas', '1 of 2')) as w(login, seen);
delete from mobeye.alert a using made where a.incident_id = id and name = 'secret' and a.placement_id is null;
select matches(alert('t_fee', 'own'), '^f\|dc09', 'an alert of no secret place is plain');
select matches(alert('t_anna', 'own'), '^t\|', 'but for auditors');
select is(as_login(login, format('select count(*) from patrol.incident_history h join made m on m.id = h.incident_id where name = ''secret'' and note = ''n''')),
          n::text, login || ' and the notes of a secret place')
  from (values ('t_jan', 1), ('t_piet', 0), ('t_fee', 0), ('t_anna', 0), ('postgres', 1)) as w(login, n);
insert into mobeye.change (change_id, incident_id, op, status, priority, category) select -id, id, 'note', 'new', 1, 'alarm' from made;
select is(as_login(login, 'select count(*) from patrol.changes where change_id < 0'), n::text, login || ' and changes')
  from (values ('t_jan', 6), ('t_piet', 3), ('t_fee', 8), ('t_anna', 8), ('t_rik', 0), ('t_kees', 0), ('t_kim', 0), ('postgres', 8)) as w(login, n);
select is(as_login(login, 'select count(*) from patrol.incident_history'), '0', login || ' reads the history of no alarm') from unnest(array['t_rik', 't_kees', 't_kim']) as login;

-- Searching by place: the exact place of a secret one cannot be found with small boxes and circles.
create temporary table p as
select id, st_x(i.geom) as x, st_y(i.geom) as y, c.geom as cell from made join mobeye.incident i on incident_id = id
 cross join lateral (select st_transform(mobeye.cell(mobeye.rd(i.geom)), 4326) as geom) c where name = 'secret';
grant select on p to public;
create temporary table asked as
select login, f.n, as_login(login, format('select jsonb_path_query_array(patrol.incidents_geojson(%s, %s, %s, %s), ''$.features[*].id'') @> ''%s''', x - 1e-5, y - 1e-5, x + 1e-5, y + 1e-5, id)) as box,
       as_login(login, format('select exists (select from patrol.history_at(%s, %s, 5) where incident_id = %s)', x, y, id)) as circle
  from p, (values ('exact', (select st_x(st_point(x, y)) from p)), ('cell', null)) as f(n), unnest(array['t_jan', 't_fee', 't_anna']) as login where f.n = 'exact'
union all
select login, 'cell', as_login(login, format('select jsonb_path_query_array(patrol.incidents_geojson(%s, %s, %s, %s), ''$.features[*].id'') @> ''%s''', st_x(cell) - 1e-5, st_y(cell) - 1e-5, st_x(cell) + 1e-5, st_y(cell) + 1e-5, id)),
       as_login(login, format('select exists (select from patrol.history_at(%s, %s, 5) where incident_id = %s)', st_x(cell), st_y(cell), id))
  from p, unnest(array['t_jan', 't_fee', 't_anna']) as login;
select is(box || circle, case when (login = 't_jan') = (n = 'exact') then 'truetrue' else 'falsefalse' end, format('%s asks for the %s place', login, n)) from asked;
select unalike(as_login('t_fee', 'select patrol.incidents_geojson(5, 52, 6, 53)'), '%eheim%', 'nothing secret in the GeoJSON of others');
select alike(as_login('t_jan', 'select patrol.incidents_geojson(5, 52, 6, 53)'), '%Geheim 1%', 'and all of it in that of the team');

-- The detail, for a reason.
create function look(login text, name text, reason text default 'klacht 12') returns text language sql as $$
    select as_login(login, format('select concat_ws(''|'', coarse, address, device_id, jsonb_array_length(alerts), alerts -> 0 ->> ''source'')
        from patrol.open_incident(%s, %L)', (select id from made m where m.name = look.name), reason))
$$;
select is(look(login, 'secret'), 'f|Geheim 1|geheim-1|1|dc09:1234', login || ' looks, and sees all of it') from unnest(array['t_jan', 't_anna', 'postgres']) as login;
select is(look('t_fee', 'secret'), 't|1', 'a secret place stays coarse to others');
select throws_ok($$select look('t_piet', 'secret')$$, 'P0002', null, 'what one does not see one does not open');
select throws_ok(format($$select look('t_anna', 'own', %L)$$, reason), '22023', null, 'no look without a reason') from unnest(array['', '  ', null]) as reason;
select throws_ok(format($$select look(%L, 'own')$$, login), '42501', null, login || ' does not look') from unnest(array['t_rik', 't_niemand', 'mobeye_ingest']) as login;
select results_eq($$select actor, note from patrol.incident_history h join made on id = incident_id where action = 'look' and name = 'secret' order by entry$$,
    $$values ('t_jan', 'klacht 12'), ('t_anna', 'klacht 12'), ('postgres', 'klacht 12'), ('t_fee', 'klacht 12')$$, 'each look is in the history');
select is(as_login('t_anna', $$select count(*) from patrol.incident_history where action = 'look'$$), '4', 'where the auditor sees it');

-- Acting.
select throws_ok(format($$select as_login('t_piet', 'select patrol.acknowledge(%s)')$$, id), 'P0002', null, 'nobody works on what he does not see') from made where name = 'own';
select throws_ok(format($$select as_login('t_desk', 'select patrol.acknowledge(%s)')$$, id), '28000', null, 'a front end says for whom it acts') from made where name = 'own';
select is(as_login('t_desk', format('select patrol.acknowledge(%s)', id), acting_as => 't_jan'), 'acknowledged', 'and then acts') from made where name = 'own';
select throws_ok(format($$select as_login('t_gast', 'select patrol.on_scene(%s)')$$, id), 'P0002', null, 'a patrol login without a person acts on nothing') from made where name = 'own';
select is(as_login('t_fee', format('select patrol.on_scene(%s)', id)), 'on_scene', 'the control room acts under its own name') from made where name = 'own';
select results_eq($$select actor, via from mobeye.incident_history join made on id = incident_id where name = 'own' and action = 'status' order by entry$$,
    $$values ('t_jan', 't_desk'), ('t_fee', null)$$, 'recorded as the person, and by which login');
select is(as_login('t_pool', format('select patrol.release(%s)', id), 't_jan'), 'acknowledged', 'in the role of a person')
  from (select make('{"status": "assigned", "team": "noord"}') as id) i;
select results_eq($$select actor, via from mobeye.incident_history where action = 'status' order by entry desc limit 1$$, $$values ('t_jan', 't_pool')$$, 'is recorded so');
select is(as_login('t_baas', format('select patrol.close(%s, ''no_trace'')', id)), 'closed', 'an owner does everything') from made where name = 'other';

-- Devices and mutes.
select is(as_login(login, 'select string_agg(device_id, '' '' order by device_id) from patrol.devices'), wanted, login || ' sees these devices')
  from (values ('t_jan', 'geheim-1 open-1 stock-1'), ('t_piet', 'stock-1'), ('t_fee', 'open-1 stock-1'), ('t_anna', 'open-1 stock-1'),
               ('t_rik', 'geheim-0 geheim-1 open-1 stock-1'), ('postgres', 'geheim-0 geheim-1 open-1 stock-1')) as w(login, wanted);
select is(as_login(login, 'select address from patrol.devices where device_id = ''open-1'''), wanted, login || ' and its address')
  from (values ('t_jan', 'Open 1'), ('t_fee', 'Open 1'), ('t_rik', 'Open 1'), ('t_anna', null)) as w(login, wanted);
select as_login('t_jan', 'select patrol.mute(''geheim-1'', now() + interval ''1 hour'', ''test'')') \g /dev/null
select is(as_login(login, 'select device_id from patrol.mutes'), wanted, login || ' and the muted one')
  from (values ('t_jan', 'geheim-1'), ('t_fee', null), ('t_rik', 'geheim-1'), ('postgres', 'geheim-1')) as w(login, wanted);
select throws_ok(format($$select as_login(%L, 'select patrol.mute(''geheim-1'', now() + interval ''1 hour'', ''x'')')$$, login), 'P0002', null, 'for ' || login || ' there is no device in a home that is secret')
  from unnest(array['t_piet', 't_fee']) as login;
select throws_ok(format($$select as_login('t_piet', %L)$$, call), '42501', null, 'a team mutes nothing of another''s: ' || call)
  from unnest(array['select patrol.mute(''open-1'', now() + interval ''1 hour'', ''x'')', 'select patrol.mute_area(''wijk'', ''WK1'', now() + interval ''1 hour'', ''x'')',
                    'select patrol.unmute((select mute_id from patrol.mutes))']) as call;
select throws_ok(format($$select as_login('t_piet', 'select patrol.unmute(%s)')$$, mute_id), '42501', format('mute %s does not belong to your team', mute_id), 'a refusal does not name the device')
  from mobeye.mute;
insert into made values ('secret-wk2', make('{"device_id": "geheim-1", "areas": ["wijk:WK2"]}'));
select throws_ok(format($$select as_login('t_piet', 'select patrol.mute_until_restored(%s, now() + interval ''1 hour'', ''x'')')$$, id), '42501',
                 format('the device of incident %s does not belong to your team', mobeye.reference(id)), 'nor that of an incident')
  from made where name = 'secret-wk2';
delete from mobeye.incident i using made where i.incident_id = id and name = 'secret-wk2';
delete from made where name = 'secret-wk2';

-- An officer who is also an auditor: looks as an auditor, acts as an officer, and can do no more than both.
create role t_bea login in role mobeye_patrol, mobeye_auditor;
insert into mobeye.person values ('t_bea', 'Bea', 'noord', false);
select is(sees('t_bea'), names, 'officer and auditor: sees those of all teams') from everything;
select matches(place('t_bea', name), '^t\|[^|]+\|[^|]+\|[^|]+\|[^|]+$', 'and the place of ' || name || ' coarsely') from exact where name <> 'nowhere';
select matches(alert('t_bea', name), '^t\|', 'its alert too') from unnest(array['own', 'secret']) as name;
select is(as_login('t_bea', 'select count(*) from patrol.incidents_at(''Open 1'')'), '0', 'finds nothing by address');
select is(as_login('t_bea', 'select address from patrol.devices where device_id = ''open-1'''), null, 'sees no home of a device');
select throws_ok($$select look('t_bea', 'own', '')$$, '22023', null, 'looks only with a reason');
select is(as_login('t_bea', format('select concat(detail ->> ''reason_required'', detail -> ''alerts'', detail #>> ''{incident,address}'')
        from patrol.board_incident(%s) as detail', id)), 'true[]', 'on the board too: ' || name) from made where name in ('own', 'other', 'secret');
select is(as_login('t_bea', format('select concat_ws(''|'', detail ->> ''reason_required'', jsonb_array_length(detail -> ''alerts''), detail #>> ''{incident,address}'')
        from patrol.board_incident(%s, ''klacht 13'') as detail', id)), 'false|1|Geheim 1', 'and sees it with one') from made where name = 'secret';
select is(as_login('t_bea', format('select patrol.board_act(%s, ''note'', ''{"note": "x"}'') ->> ''reason_required''', id)), 'true', 'acting is not a look')
  from made where name = 'free-1';
select throws_ok(format($$select as_login('t_bea', 'select patrol.acknowledge(%s)')$$, id), 'P0002', null, 'acts on nothing of another team')
  from made where name = 'free-2';
select throws_ok($$select as_login('t_bea', 'select patrol.claim_next(''zuid'', ''t_bea'')')$$, '42501', null, 'takes nothing of another team');
select throws_ok($$select as_login('t_bea', 'select patrol.mute_area(''wijk'', ''WK2'', now() + interval ''1 hour'', ''x'')')$$, '42501', null, 'mutes no area of another team');
select is(as_login('t_bea', 'select jsonb_path_query_array(patrol.board_me(), ''$.officers[*].team'')'), '["noord", "noord"]', 'and gives to nobody of another team');
select is(count(*), 1::bigint, 'only the look with a reason is one') from mobeye.incident_history where actor = 't_bea' and action = 'look';

select * from finish();
rollback;
