-- Every action from every status: allowed exactly where contract and mobeye.transition say, and what it leaves behind.
\set QUIET on
begin;
\ir fixture.psql
select no_plan() \g /dev/null

create temporary table wanted (action text, from_status text, to_status text);
insert into wanted values
    ('acknowledge', 'new', 'acknowledged'), ('assign', 'new', 'assigned'), ('on_scene', 'new', 'on_scene'), ('close', 'new', 'closed'),
    ('assign', 'acknowledged', 'assigned'), ('on_scene', 'acknowledged', 'on_scene'), ('close', 'acknowledged', 'closed'),
    ('release', 'assigned', 'acknowledged'), ('assign', 'assigned', 'assigned'), ('on_scene', 'assigned', 'on_scene'), ('close', 'assigned', 'closed'),
    ('assign', 'on_scene', 'assigned'), ('close', 'on_scene', 'closed'),
    ('reopen', 'closed', 'reopened'),
    ('acknowledge', 'reopened', 'acknowledged'), ('assign', 'reopened', 'assigned'), ('on_scene', 'reopened', 'on_scene'), ('close', 'reopened', 'closed');
create temporary table calls (action text, call text);
insert into calls values ('acknowledge', 'acknowledge(%s)'), ('assign', 'assign(%s, ''x'')'), ('release', 'release(%s)'),
    ('on_scene', 'on_scene(%s)'), ('close', 'close(%s, ''no_trace'')'), ('reopen', 'reopen(%s, ''toch'')');
create temporary table statuses as
select unnest(array['new', 'acknowledged', 'assigned', 'on_scene', 'closed', 'reopened']) as status;

select results_eq('select * from mobeye.transition order by 1, 2, 3', 'select * from wanted order by 1, 2, 3',
                  'the transitions are those that are promised');

select case when w.to_status is null
            then throws_ok(format('select patrol.' || c.call, i.id), '55000', null, c.action || ' is refused from ' || s.status)
            else is(as_login('t_jan', format('select patrol.' || c.call, i.id)), w.to_status,
                    c.action || ' from ' || s.status) end
  from calls c cross join statuses s left join wanted w on w.action = c.action and w.from_status = s.status
 cross join lateral (select make(jsonb_build_object('status', s.status, 'assigned_to', 'y', 'rule', c.action)) as id) as i;

-- Each again, with the status that the screen shows: the right one, and every wrong one.
select is(as_login('t_jan', format('select patrol.' || replace(c.call, ')', ', expected_status => %L)'), i.id, w.from_status)),
          w.to_status, w.action || ' expecting ' || w.from_status)
  from wanted w join calls c using (action)
 cross join lateral (select make(jsonb_build_object('status', w.from_status, 'rule', c.action)) as id) as i;
select throws_ok(format('select patrol.' || replace(c.call, ')', ', expected_status => %L)'), i.id, s.status), 'MB001', null,
                 format('%s expecting %s is refused where it is %s', w.action, s.status, w.from_status))
  from wanted w join calls c using (action) join statuses s on s.status <> w.from_status
 cross join lateral (select make(jsonb_build_object('status', w.from_status, 'rule', c.action, 'kind', s.status)) as id) as i;
select throws_ok(format('select patrol.acknowledge(%s, ''nonsense'')', make()), '22023', null, 'a word that is not a status cannot be expected');
select throws_like(format('select patrol.acknowledge(%s, ''new'')', make('{"status": "assigned"}')), 'incident 20__-______: status is assigned (expected new)',
                   'a stale screen is told what is the case');
select throws_ok('select patrol.acknowledge(987654321)', 'P0002', null, 'no such incident');
select throws_ok('select patrol.acknowledge(null)', 'P0002', null, 'no incident at all');
select throws_ok(format('select patrol.assign(%s, ''y'')', make('{"status": "assigned", "assigned_to": "y"}')), '55000', null,
                 'assigned again is assigned to another');

-- What each changes in the incident.
create function at(id bigint, what text) returns text language plpgsql as $$
declare
    result text;
begin
    execute format('select (%s)::text from mobeye.incident where incident_id = %s', what, id) into result;
    return result;
end
$$;
create temporary table one as select make('{"overdue_since": "2026-01-01T00:00:00Z"}') as id;
select is(at(id, 'accepting'), 'true', 'a new incident accepts') from one;
select as_login('t_jan', format('select patrol.acknowledge(%s)', id)) from one \g /dev/null
select ok(at(id, 'acknowledged_at is not null and overdue_since is null')::boolean, 'acknowledged: when, and no longer overdue') from one;
select as_login('t_jan', format('select patrol.assign(%s, ''wagen 12'')', id)) from one \g /dev/null
select is(at(id, 'assigned_to'), 'wagen 12', 'assigned to whom') from one;
select as_login('t_jan', format('select patrol.release(%s)', id)) from one \g /dev/null
select ok(at(id, 'assigned_to is null')::boolean, 'released: nobody''s') from one;
select as_login('t_jan', format('select patrol.on_scene(%s)', id)) from one \g /dev/null
select is(at(id, 'assigned_to'), 't_jan', 'on scene unassigned: who says so has it') from one;
select ok(at(id, 'on_scene_at is not null')::boolean, 'on scene: since when') from one;
select as_login('t_jan', format('select patrol.assign(%s, ''t_jan'')', id)) from one \g /dev/null
select ok(at(id, 'on_scene_at is null')::boolean, 'assigned from the scene: on the way again') from one;
select as_login('t_jan', format('select patrol.on_scene(%s)', id)) from one \g /dev/null
select as_login('t_jan', format('select patrol.close(%s, ''confirmed'', ''dader weg'')', id)) from one \g /dev/null
select is(at(id, 'array[accepting, closed_by_person, closed_at <= clock_timestamp(), on_scene_at is not null, outcome = ''confirmed'']'),
          '{f,t,t,t,t}', 'closed: accepts no more, by a person, now, with its outcome') from one;
select as_login('t_jan', format('select patrol.reopen(%s, ''toch niet'')', id)) from one \g /dev/null
select is(at(id, 'array[accepting, not closed_by_person, num_nonnulls(closed_at, outcome, assigned_to, acknowledged_at, on_scene_at) = 0]'),
          '{t,t,t}', 'reopened: as new, and accepts again') from one;
select results_eq(format('select actor, action, from_status, to_status, outcome, assigned_to, note from mobeye.incident_history
                           where incident_id = %s order by entry', id),
    $$values ('t_jan', 'status', 'new', 'acknowledged', null, null, null),
             ('t_jan', 'status', 'acknowledged', 'assigned', null, 'wagen 12', null),
             ('t_jan', 'status', 'assigned', 'acknowledged', null, null, null),
             ('t_jan', 'status', 'acknowledged', 'on_scene', null, null, null),
             ('t_jan', 'status', 'on_scene', 'assigned', null, 't_jan', null),
             ('t_jan', 'status', 'assigned', 'on_scene', null, null, null),
             ('t_jan', 'status', 'on_scene', 'closed', 'confirmed', null, 'dader weg'),
             ('t_jan', 'status', 'closed', 'reopened', null, null, 'toch niet')$$, 'the history says all of it') from one;
select results_eq(format('select op, status from mobeye.change where incident_id = %s order by entry', id),
    $$values ('status', 'acknowledged'), ('status', 'assigned'), ('status', 'acknowledged'), ('status', 'on_scene'),
             ('status', 'assigned'), ('status', 'on_scene'), ('status', 'closed'), ('status', 'reopened')$$,
    'and so do the changes') from one;

-- Reopened while another incident of its key accepts alerts.
create temporary table two as select make('{"status": "closed", "incident_key": "00000000-0000-0000-0000-000000000001"}') as id;
select make('{"incident_key": "00000000-0000-0000-0000-000000000001"}') \g /dev/null
select as_login('t_jan', format('select patrol.reopen(%s, ''x'')', id)) from two \g /dev/null
select is(at(id, 'accepting'), 'false', 'reopened: the other one goes on accepting') from two;
select lives_ok(format('select patrol.reopen(%s, ''x'')', make(jsonb_build_object('status', 'closed', 'outcome', outcome))),
                'one that the system closed is reopened: ' || outcome)
  from unnest(array['unattended', 'restored', 'merged']) as outcome;

-- Outcomes, texts, verification, links.
select lives_ok(format('select patrol.close(%s, %L)', make(), outcome), 'outcome ' || outcome)
  from unnest(array['confirmed', 'false_alarm', 'technical', 'no_trace', 'drill']) as outcome;
select throws_ok(format('select patrol.close(%s, %L)', make(), outcome), '22023', null, 'no outcome of people: ' || coalesce(outcome, 'null'))
  from unnest(array['unattended', 'restored', 'merged', 'nonsense', '', null]) as outcome;
select throws_ok(format('select patrol.reopen(%s, %L)', make('{"status": "closed"}'), note), '22023', null, 'reopened without a reason')
  from unnest(array['', '  ', null]) as note;
select throws_ok(format('select patrol.assign(%s, %L)', make(), officer), '22023', null, 'assigned to nobody')
  from unnest(array['', '  ', null]) as officer;
-- A name that is probably a mistyped login (t_jan, t_piet, t_fee), or a person who sees nothing, is refused too.
select throws_ok(format('select patrol.assign(%s, %L)', make(), officer), '22023', format('officer "%s" %s', officer, what), officer || ' ' || what)
  from unnest(array['t_jam', 't_jn', 't_jjan', 'tj_an', 'T_JAN', 't_jan ', 't_peit', 't_leeg'],
              array_fill('is not a registered person'::text, array[7]) || 'cannot see incidents'::text) as o(officer, what);
select throws_like($$select patrol.claim_next('noord', 't_jam')$$, 'officer "t_jam" is not a registered person', 'nor does the next go there');
insert into mobeye.person values ('t_rik', 'Rik', 'noord', false), ('patrol-7', 'Zeven', 'noord', false), ('wagen b', 'B', 'noord', false);
select throws_ok(format('select patrol.assign(%s, ''t_rik'')', make()), '22023', 'officer "t_rik" cannot see incidents', 'a person of the registry');
select lives_ok(format('select patrol.assign(%s, %L)', make(), officer), officer || ' may be a patrol')
  from unnest(array['wagen 12', 'patrol-7', 'patrol-8', 'patrol-71', 'wagen c', 'wagen b', 'unit12b', 'Jo', 'Jan', 't_fee', 't_baas', 'niemand', '007', 'een "naam"', repeat('x', 200)]) as officer;
delete from mobeye.person where login in ('t_rik', 'patrol-7', 'wagen b');
select lives_ok(format('select patrol.note(%s, %L)', make('{"status": "closed"}'), repeat('x', 4000)), 'a note of 4000 characters, closed or not');
select throws_ok(format('select patrol.note(%s, %L)', make(), text), '22023', null, 'no note')
  from unnest(array[repeat('x', 4001), E' \n', null]) as text;
select is(patrol.verify(make('{"verify_priority": 1}'), 'person'), 'person', 'a person verifies');
select results_eq('select verified_by, priority::integer from mobeye.incident where verified_by is not null', $$values ('person', 1)$$,
                  'and it gets the priority of verify_by');
select make('{"priority": 1, "verify_priority": 2}') as id \gset
select patrol.verify(:id, 'person') \g /dev/null
select is(priority::integer, 1, 'which lowers none') from mobeye.incident where incident_id = :id;
select throws_ok(format('select patrol.verify(%s, %L)', make(), how), '22023', null, 'people do not verify as ' || coalesce(how, 'null'))
  from unnest(array['second_device', 'second_input', 'nonsense', null]) as how;
select throws_ok(format('select patrol.verify(%s, ''person'')', make('{"status": "closed"}')), '55000', null, 'a closed one is not verified');
create temporary table three as select make() as id;
select lives_ok(format('select patrol.link(%s, ''RMS'', ''PL0900-1'')', id), 'linked') from three;
select is(external_ref, 'PL0900-1', 'and shown') from patrol.incidents join three on id = incident_id;
select throws_ok(format('select patrol.link(%s, %L, %L)', make(), system, ref), '22023', null, 'linked to nothing')
  from (values ('', 'x'), ('x', ''), (null, 'x'), ('x', null)) as l(system, ref);
select is(array_agg(distinct op order by op), array['link', 'note', 'status', 'verified'], 'each is a change') from mobeye.change;

select is(current_setting('idle_in_transaction_session_timeout'), '10s', 'who works on an incident does not idle with it');

select * from finish();
rollback;
