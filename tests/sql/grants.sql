-- Each role with each object of schema patrol, and with the tables behind it: what it may do, and nothing else.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null

create temporary table roles as
select unnest(array['mobeye_patrol', 'mobeye_auditor', 'mobeye_registry', 'mobeye_analyst', 'mobeye_ingest', 't_niemand']) as role;

create temporary table may_read (relation text, roles text[]);
insert into may_read values
    ('alerts', '{mobeye_patrol,mobeye_auditor}'), ('incidents', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'),
    ('queue', '{mobeye_patrol,mobeye_auditor}'), ('changes', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'),
    ('incident_history', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'),
    ('devices', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'), ('device_cards', '{mobeye_patrol,mobeye_registry}'), ('burglaries', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'), ('mutes', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'),
    ('teams', '{mobeye_patrol,mobeye_auditor,mobeye_registry}');
select bag_eq($$select relname::text from pg_class where relnamespace = 'patrol'::regnamespace and relkind = 'v' and relname in (select relation from may_read)$$,
              'select relation from may_read', 'these are the views');
select is(has_schema_privilege(role, 'patrol', 'usage') and has_table_privilege(role, 'patrol.' || relation, 'select'), role = any (m.roles), format('%s reads %s: %s', role, relation, role = any (m.roles)))
  from roles, may_read m;
select ok(not has_table_privilege(role, 'patrol.' || relation, 'insert, update, delete, truncate, references, trigger'), format('%s writes no %s', role, relation))
  from roles, may_read;
-- By doing it: a privilege that does not work is not a privilege.
select lives_ok(format('select as_login(%L, ''select count(*) from patrol.%s'')', case role when 'mobeye_patrol' then 't_jan' when 'mobeye_auditor' then 't_anna' else 't_rik' end, relation),
                format('%s really reads %s', role, relation))
  from may_read m, unnest(m.roles) as role;

create temporary table may_call (call text, roles text[]);
insert into may_call values
    ('acknowledge(bigint, text, bigint)', '{mobeye_patrol}'), ('assign(bigint, text, text, bigint)', '{mobeye_patrol}'), ('release(bigint, text, bigint)', '{mobeye_patrol}'),
    ('on_scene(bigint, text, bigint)', '{mobeye_patrol}'), ('close(bigint, text, text, text, bigint)', '{mobeye_patrol}'), ('reopen(bigint, text, text, bigint)', '{mobeye_patrol}'),
    ('verify(bigint, text, text, bigint)', '{mobeye_patrol}'), ('note(bigint, text, text, bigint)', '{mobeye_patrol}'), ('link(bigint, text, text, text, bigint)', '{mobeye_patrol}'),
    ('claim_next(text, text)', '{mobeye_patrol}'), ('mute(text, timestamptz, text)', '{mobeye_patrol}'),
    ('mute_area(text, text, timestamptz, text)', '{mobeye_patrol}'), ('mute_until_restored(bigint, timestamptz, text)', '{mobeye_patrol}'), ('unmute(bigint)', '{mobeye_patrol}'),
    ('alerts_of(text, timestamptz, timestamptz)', '{mobeye_patrol}'), ('incidents_at(text)', '{mobeye_patrol}'),
    ('history_at(float8, float8, integer)', '{mobeye_patrol,mobeye_auditor}'),
    ('incidents_geojson(float8, float8, float8, float8)', '{mobeye_patrol,mobeye_auditor}'),
    ('number_changes()', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'),
    ('last_change()', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'),
    ('board_queue()', '{mobeye_patrol,mobeye_auditor}'), ('board_closed(text, text)', '{mobeye_patrol,mobeye_auditor}'),
    ('board_incident(bigint, text)', '{mobeye_patrol,mobeye_auditor}'), ('board_act(bigint, text, jsonb)', '{mobeye_patrol,mobeye_auditor}'),
    ('board_areas(float8, float8, float8, float8)', '{mobeye_patrol,mobeye_auditor}'),
    ('board_me()', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'), ('board_equipment(text)', '{mobeye_patrol,mobeye_auditor,mobeye_registry}'),
    ('board_next(jsonb)', '{mobeye_patrol}'), ('board_mute(jsonb)', '{mobeye_patrol}'), ('board_unmute(jsonb)', '{mobeye_patrol}'),
    ('board(text, text, bigint, text)', '{}'), ('board_changes(text[], bigint)', '{}'), ('board_image(text, text, text)', '{}'),
    ('device_report(date, date)', '{mobeye_patrol,mobeye_registry,mobeye_analyst}'), ('hotspots(date, date, text, integer, integer)', '{mobeye_analyst}'),
    ('add_measure(text, text, text, timestamptz, timestamptz, integer, text)', '{mobeye_patrol,mobeye_registry}'),
    ('wijk_report(date, date, text, integer)', '{mobeye_analyst}'), ('wijk_report_html(date, date, text, integer, text[])', '{mobeye_analyst}'),
    ('wijk_report_rows(date, date, text, integer, text[])', '{mobeye_analyst}'), ('unknown_areas(text, text[])', '{mobeye_analyst}'),
    ('near_repeat(date, date, text, numeric[], integer[], text, integer, bigint)', '{mobeye_analyst}'),
    ('open_incident(bigint, text)', '{mobeye_patrol,mobeye_auditor}'), ('open_image(uuid, text)', '{mobeye_patrol,mobeye_auditor}'), ('api_version()', '{mobeye_patrol,mobeye_auditor,mobeye_registry,mobeye_analyst}');
select is(has_function_privilege(role, ('patrol.' || call)::regprocedure, 'execute'), role = any (m.roles), format('%s calls %s: %s', role, call, role = any (m.roles)))
  from roles, may_call m;
select bag_has($$select ('patrol.' || call)::regprocedure::oid from may_call$$,
               $$select oid from pg_proc where pronamespace = 'patrol'::regnamespace and has_function_privilege('mobeye_patrol', oid, 'execute')$$, 'and a patrol nothing else');
select bag_eq($$select proname::text from pg_proc where pronamespace in ('patrol'::regnamespace, 'mobeye'::regnamespace) and has_function_privilege('mobeye_board', oid, 'execute')$$,
              array['board', 'board_changes', 'board_image', 'number_changes'], 'the board''s login calls these, of patrol, and nothing else');
select is_empty($$select relname from pg_class where relnamespace in ('patrol'::regnamespace, 'mobeye'::regnamespace) and relkind in ('r', 'v', 'm', 'p')
                    and has_table_privilege('mobeye_board', oid, 'select, insert, update, delete')$$, 'it reads and writes no table and no view');
select is_empty($$select roleid::regrole from pg_auth_members where member = 'mobeye_board'::regrole$$, 'and is a member of nothing');
select throws_ok(format('select as_login(%L, %L)', login, 'select patrol.' || call), '42501', null, format('%s: %s', login, call))
  from unnest(array['t_anna', 't_rik', 't_niemand']) as login,
       unnest(array['acknowledge(1)', 'assign(1, ''x'')', 'release(1)', 'on_scene(1)', 'close(1, ''drill'')', 'reopen(1, ''x'')', 'verify(1, ''person'')', 'note(1, ''x'')',
                    'link(1, ''x'', ''y'')', 'claim_next(''x'', ''y'')', 'mute(''x'', now(), ''y'')', 'mute_area(''x'', ''y'', now(), ''z'')', 'unmute(1)']) as call;

-- The tables behind: for nobody here; the daemon's functions are tested with store/.
select ok(not has_table_privilege(role, 'mobeye.' || relation, 'select, insert, update, delete'), format('%s does not reach mobeye.%s', role, relation))
  from unnest(array['mobeye_patrol', 'mobeye_auditor', 'mobeye_ingest', 't_niemand']) as role,
       unnest(array['proxy_login', 'transition', 'mute', 'incident', 'incident_history', 'change', 'incident_full', 'incident_seen']) as relation;
select ok(not has_schema_privilege(role, 'mobeye', 'usage'), role || ' has nothing to do in schema mobeye')
  from unnest(array['mobeye_patrol', 'mobeye_auditor', 't_niemand']) as role;
select throws_ok(format('select as_login(%L, %L)', login, 'select mobeye.' || call), '42501', null, format('%s: mobeye.%s', login, call))
  from unnest(array['t_jan', 't_anna', 't_niemand', 'mobeye_ingest', 't_rik']) as login,
       unnest(array['change_status(1, ''close'', null, null)', 'add_history(1, ''x'')', 'add_change(1, ''note'')', 'add_mute(''x'', null, now(), ''x'')', 'alerts_of(1, null, null)']) as call;
select throws_ok(format('select as_login(''t_jan'', %L)', 'select mobeye.' || call), '42501', null, 'not by name: ' || call)
  from unnest(array['current_viewer()', 'cell(null)', 'may_see_secret(null, null, null)']) as call;

-- The registry can use the schema, but cannot query anybody's incidents with an invented viewer.
select throws_ok(format('select as_login(''t_rik'', %L)', 'select mobeye.' || call), '42501', null, 'the registry does not ask: ' || call)
  from unnest(array['may_see_secret(''noord'', 1, row(''t_jan'', null, ''noord'', true, true, true, true, true, null, null)::mobeye.viewer)',
                    'restored_in_mute(1)']) as call;
select lives_ok(format('select as_login(''t_rik'', %L)', 'select count(*) from patrol.' || relation), 'it reads ' || relation)
  from unnest(array['devices', 'mutes', 'incidents', 'incident_history', 'changes']) as relation;

select * from finish();
rollback;
