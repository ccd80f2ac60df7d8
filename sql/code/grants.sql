-- What each role may do. Before this file is applied, mobeyectl migrate revokes what these roles were granted before.

-- ---------------------------------------------------------------------------------------------------------------------
-- mobeye_ingest: the daemon

grant usage on schema mobeye to mobeye_ingest;
grant select on mobeye.schema_version, mobeye.schema_code, mobeye.counter, mobeye.registry_log, mobeye.device,
    mobeye.device_address, mobeye.area, mobeye.team, mobeye.team_area, mobeye.device_unknown, mobeye.device_status,
    mobeye.maintenance_state, mobeye.identity_period, mobeye.daemon to mobeye_ingest;
grant select, insert, update on mobeye.journal_position to mobeye_ingest;
grant select, insert on mobeye.alert_identity to mobeye_ingest;
grant insert on mobeye.alert, mobeye.alert_origin, mobeye.snapshot to mobeye_ingest;
grant select, update on mobeye.leader to mobeye_ingest;
-- A retry locks its row (for update), which requires the right to update a column; this column cannot be assigned. It deletes
-- the row with release_quarantined().
grant select, insert, update (id) on mobeye.quarantine to mobeye_ingest;
-- Where a device is placed, but neither its address nor the instructions for patrols.
grant select (placement_id, device_id, during, geom, team, secret, cell) on mobeye.placement to mobeye_ingest;
-- For mobeyectl status: the last change of the rules, and the number of mutes.
grant select (applied_at) on mobeye.ruleset to mobeye_ingest;
grant select (until, ended_at) on mobeye.mute to mobeye_ingest;

grant execute on function
    mobeye.add_changes(bigint[], text[], boolean[]),
    mobeye.apply_retention(text, interval, interval, interval, interval, interval, timestamptz),
    mobeye.areas_now(),
    mobeye.claim_conflicts(uuid[], bigint[], uuid[], integer[], integer),
    mobeye.close_unattended(),
    mobeye.end_blockers(),
    mobeye.end_mutes(),
    mobeye.hide_late(),
    mobeye.is_led(),
    mobeye.journal_rewind(uuid, bigint, bigint),
    mobeye.make_identity_filters(),
    mobeye.make_partitions(text, timestamptz, timestamptz, boolean),
    mobeye.mark_overdue(),
    mobeye.notify_incidents(bigint[], text[]),
    mobeye.number_changes(),
    mobeye.premake_partitions(interval, interval, interval),
    mobeye.purge(interval, timestamptz),
    mobeye.queue_state(),
    mobeye.read_conditions(uuid[], uuid[], uuid[]),
    mobeye.read_incidents(uuid[], uuid[], uuid[], uuid[], timestamptz[], timestamptz[]),
    mobeye.refresh_states(text[]),
    mobeye.registry_since(bigint),
    mobeye.release_quarantined(bigint, uuid),
    mobeye.report_daemon(uuid, text, timestamptz, timestamptz, text[], interval[], timestamptz[], interval),
    mobeye.report_maintenance(text[], interval[], text[]),
    mobeye.retention_due(text, interval, interval, interval, interval, interval),
    mobeye.retention_jobs(),
    mobeye.retention_overdue(interval, interval, interval, interval, interval),
    mobeye.store_device_status,
    mobeye.store_incidents,
    mobeye.store_ruleset(uuid, text, text),
    mobeye.stored_before(uuid[], integer[]),
    mobeye.try_to_lead(),
    mobeye.turn_identity_period(bigint),
    mobeye.verify_incidents(bigint[], text[], timestamptz[], timestamptz[], real),
    mobeye.verify_recent(timestamptz),
    mobeye.watch_devices(),
    mobeye.watch_endpoints()
    to mobeye_ingest;

-- ---------------------------------------------------------------------------------------------------------------------
-- mobeye_registry: devices, placements and areas

grant usage on schema mobeye, patrol to mobeye_registry;
grant select, insert, update, delete on mobeye.device, mobeye.device_address, mobeye.device_input, mobeye.placement,
    mobeye.placement_edit, mobeye.area to mobeye_registry;
grant select on mobeye.counter, mobeye.registry_log, mobeye.team, mobeye.team_area, mobeye.device_unknown to mobeye_registry;
-- But not the kind and time of its last alert: device managers see no alarms.
grant select (device_id, registered, first_received_at, last_received_at, endpoint, source, battery_pct, signal_dbm, fix, fix_accuracy_m,
              fix_at, silent_since, alerts) on mobeye.device_status to mobeye_registry;
grant select, insert, update, delete on mobeye.measure to mobeye_registry;
-- Not held_for: legal holds are up to the owner.
grant select, insert (reference, occurred_from, occurred_until, attempt, method, address, geom, counted),
    update (occurred_from, occurred_until, attempt, method, address, geom) on mobeye.burglary to mobeye_registry;
grant select on mobeye.burglary_erased to mobeye_registry;
grant select on patrol.burglaries, patrol.devices, patrol.device_cards, patrol.mutes, patrol.incidents, patrol.changes,
    patrol.incident_history, patrol.teams
    to mobeye_registry;
grant execute on function
    mobeye.address_rows(text[]),
    mobeye.burglaries_wanted(text[]),
    mobeye.check_areas(float8[]),
    mobeye.check_burglaries(float8[], interval, text[]),
    mobeye.check_measures(),
    mobeye.check_devices(float8[], text[]),
    mobeye.device_place(text, float8, float8, timestamptz, timestamptz, text, text, boolean, text),
    mobeye.device_retrieve(text, timestamptz),
    mobeye.device_undo(text),
    mobeye.erased_reference(text),
    mobeye.erased_rows(),
    mobeye.placement_erased_on(text, timestamptz),
    mobeye.implausible(public.geometry, float8[]),
    mobeye.incident_secrecy(bigint),
    mobeye.is_named(text, timestamptz),
    mobeye.is_placed(text, timestamptz),
    mobeye.is_slip(text, text),
    mobeye.keep_secrecy(text[]),
    mobeye.locate_devices(text[]),
    mobeye.lock_areas(),
    mobeye.lock_device(text),
    mobeye.lock_imports(),
    mobeye.merge_areas(text, integer),
    mobeye.merge_burglaries(text[]),
    mobeye.merge_devices(text[]),
    mobeye.merge_measures(text[]),
    mobeye.overlapping_rows(text[]),
    mobeye.plain_address(text),
    mobeye.refresh_states(text[]),
    mobeye.repair_area(public.geometry),
    mobeye.require_unnamed(text, timestamptz),
    mobeye.stage_areas(),
    mobeye.stage_burglaries(),
    mobeye.stage_devices(),
    mobeye.stage_measures(),
    mobeye.unknown_teams(text[]),
    mobeye.vintage_start(integer),
    mobeye.whereabouts(public.geometry, timestamptz),
    patrol.add_measure(text, text, text, timestamptz, timestamptz, integer, text),
    patrol.api_version(),
    patrol.board_equipment(text),
    patrol.board_me(),
    patrol.device_report(date, date),
    patrol.last_change(),
    patrol.number_changes()
    to mobeye_registry;
-- Called by the views above. This role has usage of schema mobeye, so it can call them by name: those that read something check
-- who is looking (is_closed_to_viewer()), as do those that officers may execute, some of whom also have this role.
grant execute on function mobeye.area_code(text[], text), mobeye.current_viewer(), mobeye.officer_viewer(),
    mobeye.rd(public.geometry), mobeye.cell(public.geometry),
    mobeye.can_see(text, text[], text, mobeye.viewer), mobeye.current_cards(), mobeye.latest_alert(bigint),
    mobeye.mute_applies(bigint, bigint)
    to mobeye_registry;

-- ---------------------------------------------------------------------------------------------------------------------
-- mobeye_patrol: officers; mobeye_auditor: people who check what was done

grant usage on schema patrol to mobeye_patrol, mobeye_auditor;
grant select on patrol.alerts, patrol.burglaries, patrol.images, patrol.incidents, patrol.queue, patrol.changes, patrol.incident_history, patrol.mutes,
    patrol.devices, patrol.figures, patrol.teams to mobeye_patrol, mobeye_auditor;
grant select on patrol.device_cards to mobeye_patrol;
grant execute on function mobeye.current_cards() to mobeye_patrol; -- called by it
grant execute on function
    patrol.api_version(),
    patrol.board_act(bigint, text, jsonb), -- auditors: open
    patrol.board_areas(float8, float8, float8, float8),
    patrol.board_closed(text, text),
    patrol.board_equipment(text),
    patrol.board_incident(bigint, text),
    patrol.board_me(),
    patrol.board_queue(),
    patrol.history_at(float8, float8, integer),
    patrol.incidents_geojson(float8, float8, float8, float8),
    patrol.last_change(),
    patrol.number_changes(),
    patrol.open_image(uuid, text),
    patrol.open_incident(bigint, text)
    to mobeye_patrol, mobeye_auditor;
-- A view calls functions with the rights of its reader. Without usage of the schema they cannot be called by name.
grant execute on function
    mobeye.area_code(text[], text),
    mobeye.can_see(text, text[], text, mobeye.viewer),
    mobeye.cell(public.geometry),
    mobeye.current_viewer(),
    mobeye.latest_alert(bigint),
    mobeye.may_see_secret(text, bigint, mobeye.viewer),
    mobeye.mute_applies(bigint, bigint),
    mobeye.officer_viewer(),
    mobeye.rd(public.geometry),
    mobeye.restored_in_mute(bigint)
    to mobeye_patrol, mobeye_auditor;

grant execute on function
    patrol.acknowledge(bigint, text, bigint),
    patrol.add_measure(text, text, text, timestamptz, timestamptz, integer, text),
    patrol.alerts_of(text, timestamptz, timestamptz),
    patrol.assign(bigint, text, text, bigint),
    patrol.board_mute(jsonb),
    patrol.board_next(jsonb),
    patrol.board_unmute(jsonb),
    patrol.claim_next(text, text),
    patrol.device_report(date, date),
    patrol.close(bigint, text, text, text, bigint),
    patrol.incidents_at(text),
    patrol.link(bigint, text, text, text, bigint),
    patrol.mute(text, timestamptz, text),
    patrol.mute_area(text, text, timestamptz, text),
    patrol.mute_until_restored(bigint, timestamptz, text),
    patrol.note(bigint, text, text, bigint),
    patrol.on_scene(bigint, text, bigint),
    patrol.release(bigint, text, bigint),
    patrol.reopen(bigint, text, text, bigint),
    patrol.unmute(bigint),
    patrol.verify(bigint, text, text, bigint)
    to mobeye_patrol;

-- ---------------------------------------------------------------------------------------------------------------------
-- mobeye_analyst: reports, but no row about a person, a home or an incident

grant usage on schema patrol to mobeye_analyst;
grant execute on function
    patrol.api_version(),
    patrol.device_report(date, date),
    patrol.hotspots(date, date, text, integer, integer),
    patrol.near_repeat(date, date, text, numeric[], integer[], text, integer, bigint),
    patrol.wijk_report(date, date, text, integer),
    patrol.unknown_areas(text, text[]),
    patrol.wijk_report_html(date, date, text, integer, text[]),
    patrol.wijk_report_rows(date, date, text, integer, text[])
    to mobeye_analyst;

-- ---------------------------------------------------------------------------------------------------------------------
-- mobeye_board: a login that can do nothing but act for people

grant usage on schema patrol to mobeye_board;
grant execute on function
    patrol.board(text, text, bigint, text),
    patrol.board_changes(text[], bigint),
    patrol.board_image(text, text, text),
    patrol.number_changes()
    to mobeye_board;
