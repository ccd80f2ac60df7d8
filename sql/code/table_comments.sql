-- Comments on tables, columns and types.

comment on schema mobeye is 'mobeyed: tables and internal functions. sql/README.md says who writes what.';
comment on schema patrol is 'mobeyed: views and functions for enforcement, and for other systems that build on it.';
comment on table mobeye.schema_version is 'Applied migrations; written by mobeyectl migrate.';
comment on table mobeye.journal_position is
    'How far each journal has been applied: the last record stored, and its checksum.';
comment on table mobeye.alert_identity is
    'The identities of stored alerts: a 128-bit hash of (source, event_id), kept at least as long as any alert; partitioned by the '
    'period in which they were stored.';
comment on table mobeye.identity_period is
    'The periods in which identities are stored: the current one, and closed ones with their filters, which take no more.';
comment on column mobeye.alert_identity.device is
    'A hash of the identity and of the device as the message names it; 0 for SIA DC-09, where it does not matter.';
comment on table mobeye.alert is
    'Alerts as they are stored, partitioned by retention class and time of occurrence; the daemon appends by COPY. '
    'Read mobeye.alert_decoded, or outside the program patrol.alerts.';
comment on table mobeye.alert_origin is
    'Where alerts came in, and what they were judged by; the daemon adds a row before the first alert that refers to it.';
comment on column mobeye.alert_origin.origin is 'A hash of the other columns.';
comment on column mobeye.alert_origin.instance is 'The daemon that accepted them.';
comment on column mobeye.alert_origin.endpoint is 'The endpoint that received them.';
comment on column mobeye.alert_origin.rule is 'The rule that matched; null if none did.';
comment on column mobeye.alert_origin.rules is 'The ruleset, in mobeye.ruleset; null if the daemon has no rules.';
comment on table mobeye.alert_camera is 'Alerts of kind camera, one partition per day.';
comment on table mobeye.alert_alarm is 'Alerts of all other kinds, one partition per month.';
comment on table mobeye.alert_service is 'Alerts about the equipment itself, one partition per month.';
comment on table mobeye.snapshot is
    'Images of alerts, one partition per day; of retention class camera, whatever the kind of their alert. The daemon appends '
    'by COPY.';
comment on column mobeye.snapshot.image_id is 'Its number: a hash of source, event_id and device of its alert.';
comment on column mobeye.snapshot.occurred_at is 'When its alert occurred.';
comment on column mobeye.snapshot.device_id is 'The device of its alert.';
comment on column mobeye.snapshot.placement_id is 'The placement of that device at the time; null if none.';
comment on column mobeye.snapshot.incident_id is 'The incident that its alert joined; null if none.';
comment on column mobeye.snapshot.stored_at is 'When it was stored.';
comment on column mobeye.snapshot.score is 'The score of its alert; null if the camera gave none.';
comment on column mobeye.snapshot.media_type is 'By its first bytes: image/jpeg, image/png or image/webp.';
comment on column mobeye.snapshot.width is 'In pixels, as its header says; null if that cannot be read.';
comment on column mobeye.snapshot.height is 'In pixels, as its header says; null if that cannot be read.';
comment on column mobeye.snapshot.bytes is 'Its size.';
comment on column mobeye.snapshot.sha256 is 'SHA-256 of its bytes.';
comment on column mobeye.snapshot.image is 'The image as it was received.';
comment on table mobeye.quarantine is
    'Accepted alerts that the database refused: the journal record, the reason, and what could be decoded.';
comment on column mobeye.quarantine.identity is
    'A hash of (source, event_id), and for CloudEvents of the device; null if the record cannot be read.';
comment on column mobeye.quarantine.sqlstate is 'SQLSTATE of the refusal; null if the record cannot be read.';
comment on table mobeye.mutex is 'Rows that serve as locks: for creating and dropping partitions, changing vintages of areas, and imports.';
comment on table mobeye.counter is
    'Numbers assigned in commit order: versions of the registry and of the areas, changes of incidents.';
comment on column mobeye.counter.name is 'registry, areas or changes.';
comment on column mobeye.counter.value is 'The last number assigned.';
comment on table mobeye.team is 'Teams of officers; written by mobeyectl teams import.';
comment on column mobeye.team.team is 'Short name, as used in placements, rules and people.';
comment on column mobeye.team.name is 'Full name; null if it is the short name.';
comment on table mobeye.team_area is 'The areas of a team, by layer and code, whatever the vintage.';
comment on column mobeye.team_area.team is 'The team.';
comment on column mobeye.team_area.layer is 'Layer of the area.';
comment on column mobeye.team_area.code is 'Code of the area, which need not exist yet.';
comment on table mobeye.person is 'Officers and other people, by login; written by mobeyectl people import.';
comment on column mobeye.person.login is 'Login to the database, or the name that a proxy login gives for the person.';
comment on column mobeye.person.name is 'Name, as colleagues see it.';
comment on column mobeye.person.team is 'Team of the person; null if none.';
comment on column mobeye.person.all_teams is
    'Control room: sees the incidents of all teams. Without it, and without a team, a person sees none.';
comment on table mobeye.device is 'Registered devices.';
comment on column mobeye.device.device_id is 'As the device names itself in alerts: 1 to 64 of A-Z a-z 0-9 . _ : / -';
comment on column mobeye.device.model is 'Model, as CM4000.';
comment on column mobeye.device.device_group is 'Group, which rules can match.';
comment on column mobeye.device.state is
    'placed while there is a current placement, else stock; people set repair and retired, which exclude a placement.';
comment on column mobeye.device.heartbeat is 'How often it reports at least; null if its silence is not an incident.';
comment on column mobeye.device.grace is 'How much later than its heartbeat it may report before it counts as silent.';
comment on column mobeye.device.registered_at is 'When it was registered.';
comment on column mobeye.device.device_uuid is 'Stays the same when it is renamed; given by the database.';
comment on column mobeye.device.note is 'Free text.';
comment on table mobeye.device_address is 'The names of equipment that speaks SIA DC-09.';
comment on column mobeye.device_address.account is
    'Account: 1 to 16 of 0-9 A-F; compared without leading zeros.';
comment on column mobeye.device_address.input is
    'Input (zone); null: every input of the account that has no address of its own.';
comment on column mobeye.device_address.device_id is 'The device that has this address.';
comment on column mobeye.device_address.since is 'Since when it has it; set by a trigger when the address changes.';
comment on table mobeye.device_input is 'What is connected to the inputs of a device.';
comment on column mobeye.device_input.device_id is 'The device.';
comment on column mobeye.device_input.input is 'Number of the input.';
comment on column mobeye.device_input.label is 'What is connected, for example "back door".';
comment on table mobeye.placement is 'Where each device was placed, and when: one place at a time.';
comment on column mobeye.placement.placement_id is 'Its number.';
comment on column mobeye.placement.device_id is 'The device.';
comment on column mobeye.placement.during is 'Start (included) and end (excluded); open-ended: until the device is moved.';
comment on column mobeye.placement.geom is 'The place, WGS84.';
comment on column mobeye.placement.address is 'Its address.';
comment on column mobeye.placement.bag_id is 'Number in the register of addresses and buildings (BAG).';
comment on column mobeye.placement.team is 'Team of the placement, whatever the area; null if the area decides.';
comment on column mobeye.placement.secret is 'Whether only its team may know the place.';
comment on column mobeye.placement.instructions is 'What a patrol should know on arrival.';
comment on column mobeye.placement.moved_from is
    'The open-ended placement that this one ended when it was created; null if it ended none.';
comment on column mobeye.placement.erased is
    'Erased at a person''s request: a hash of its address, while alerts of its period may still come; else null.';
comment on column mobeye.placement.cell is
    'Centre of its 125 m cell, WGS84: all that others see of a secret place. Null outside the Netherlands.';
comment on table mobeye.device_status is
    'The last report of each device, registered or not; written at most once a minute per device.';
comment on column mobeye.device_status.device_id is 'The device; dc09:ACCOUNT/INPUT where its address is not registered.';
comment on column mobeye.device_status.registered is 'Whether it was registered when it last reported.';
comment on column mobeye.device_status.first_received_at is 'When it first reported.';
comment on column mobeye.device_status.last_received_at is 'When it last reported.';
comment on column mobeye.device_status.last_occurred_at is 'Time of occurrence of its last alert.';
comment on column mobeye.device_status.endpoint is 'Endpoint that received its last alert.';
comment on column mobeye.device_status.source is 'Sender of its last alert.';
comment on column mobeye.device_status.kind is 'Kind of its last alert.';
comment on column mobeye.device_status.battery_pct is 'Its last battery level, in percent.';
comment on column mobeye.device_status.signal_dbm is 'Its last signal strength, in dBm.';
comment on column mobeye.device_status.fix is 'The last plausible place that it reported.';
comment on column mobeye.device_status.fix_accuracy_m is 'Accuracy of fix in metres.';
comment on column mobeye.device_status.fix_at is 'When fix was taken.';
comment on column mobeye.device_status.silent_since is 'Since when it has been silent; null if it is not.';
comment on column mobeye.device_status.alerts is 'Number of its alerts that were stored.';
comment on table mobeye.area is 'Areas on the map, in layers: wijk, buurt, beat, hotspot and the like.';
comment on column mobeye.area.area_id is 'Its number.';
comment on column mobeye.area.layer is 'The layer: a lower-case letter, then at most 31 of a-z 0-9 _ -';
comment on column mobeye.area.code is 'Its code, unique in layer and vintage, as WK030710.';
comment on column mobeye.area.name is 'Name.';
comment on column mobeye.area.vintage is 'Valid from 1 January of this year; null: always.';
comment on column mobeye.area.valid is
    'Period of validity: from 1 January of vintage (in Amsterdam) until that of the next vintage of the layer. Maintained by '
    'triggers.';
comment on column mobeye.area.homes is 'Number of homes, for figures per 1,000 homes; null: unknown.';
comment on column mobeye.area.geom is 'The area, WGS84; a trigger turns it into a valid multipolygon.';
comment on table mobeye.registry_log is
    'The devices that changed in each version of the registry. Old versions may be deleted, as a whole.';
comment on column mobeye.registry_log.entry is 'Its number.';
comment on column mobeye.registry_log.version is 'Version of the registry (mobeye.counter), assigned at the commit.';
comment on column mobeye.registry_log.device_id is 'The device; both names if it was renamed.';
comment on column mobeye.registry_log.xid is 'The transaction.';
comment on column mobeye.registry_log.at is 'Its commit; until then its start.';
comment on column mobeye.registry_log.forget is
    'The device itself did not change: its last fix is erased if it was taken in this period.';
comment on table mobeye.pending_version is 'The counters that a transaction will increment at its commit; never visible to others.';
comment on column mobeye.pending_version.name is 'The counter.';
comment on column mobeye.pending_version.xid is 'The transaction.';
comment on table mobeye.ruleset is 'The text of every ruleset that a daemon has applied, by its hash.';
comment on table mobeye.incident is
    'Incidents. The daemon writes them through functions only; people through the functions of schema patrol.';
comment on table mobeye.incident_condition is
    'Conditions: the incident that the last alert of a device and kind (and input, and track) joined, and whether the '
    'condition is still active.';
comment on table mobeye.change is 'What happened to incidents, numbered in commit order.';
comment on table mobeye.incident_history is 'Who decided what about an incident, and when.';
comment on table mobeye.proxy_login is
    'Logins of programs that act for people. Their setting mobeye.acting_as names the person; it is ignored for other logins.';
comment on table mobeye.transition is 'The transitions of an incident: which function of patrol leads from which status to which.';
comment on table mobeye.mute is 'Devices and areas whose incidents are kept out of the queue for a time.';
comment on type mobeye.viewer is
    'The person who is looking: login, team and its areas, roles, and whether the incidents of all teams are visible.';
comment on table mobeye.daemon is 'The daemons, by journal, and when each last reported.';
comment on column mobeye.daemon.applied_until is 'Everything received before this time is stored.';
comment on column mobeye.daemon.gap_until is
    'End of the last gap of more than 5 minutes in which the daemon received no alerts.';
comment on column mobeye.daemon.verified_until is
    'What this daemon stored before this time has been compared with what others raised nearby: mobeye.verify_incidents().';
comment on table mobeye.endpoint_status is 'The endpoints of each daemon, and when each last received something.';
comment on column mobeye.endpoint_status.since is 'When a daemon first reported it.';
comment on column mobeye.endpoint_status.silent_since is 'Since when it has been silent; null if it is not.';
comment on column mobeye.endpoint_status.back_at is 'When its last silence ended: the silence of its devices is judged from then.';
comment on column mobeye.mute.over is 'Whether its end has been announced.';
comment on table mobeye.maintenance is 'The jobs of maintenance: when each last succeeded, and why it fails.';
comment on column mobeye.maintenance.every is 'How often it runs.';
comment on column mobeye.maintenance.first_at is 'When a daemon first ran it.';
comment on column mobeye.maintenance.succeeded_at is 'When it last succeeded; null if never.';
comment on column mobeye.maintenance.failed_at is 'When it last failed; null if never.';
comment on column mobeye.maintenance.error is 'Why it failed; null if the last run succeeded.';
comment on table mobeye.erasure is 'What was erased, when and by whom, without its content.';
comment on table mobeye.incident_stats is 'Statistics of erased incidents, by month, district, kind and outcome.';
comment on table mobeye.burglary is
    'Reported burglaries, from the police''s own records; written by mobeyectl burglaries import. Outside the program '
    'patrol.burglaries.';
comment on column mobeye.burglary.reference is 'Its number in the police''s records, by which an import recognizes it.';
comment on column mobeye.burglary.occurred_from is 'When it occurred at the earliest: the day it counts on.';
comment on column mobeye.burglary.occurred_until is 'When it occurred at the latest; null: unknown, or at occurred_from.';
comment on column mobeye.burglary.attempt is 'Whether it was not completed. Attempts are never added to completed burglaries.';
comment on column mobeye.burglary.method is 'How the burglars came in.';
comment on column mobeye.burglary.address is 'Address of the home.';
comment on column mobeye.burglary.geom is 'The home, WGS84; null: unknown.';
comment on column mobeye.burglary.imported_at is 'When it was first imported.';
comment on column mobeye.burglary.counted is 'Whether it was erased before: mobeye.area_stats counts it already.';
comment on table mobeye.erased_key is 'The key of mobeye.erased_reference(); one row.';
comment on column mobeye.erased_key.the_one is 'Always true.';
comment on column mobeye.erased_key.key is '32 random bytes.';
comment on table mobeye.burglary_erased is 'Burglaries that were erased: mobeye.area_stats counts them.';
comment on column mobeye.burglary_erased.reference is 'mobeye.erased_reference() of the reference.';
comment on column mobeye.burglary_erased.at is 'When it was erased.';
comment on table mobeye.placement_erased is 'Placements that were erased: mobeye.area_stats counts them.';
comment on column mobeye.placement_erased.placement is 'mobeye.placement_hash() of the device and the start.';
comment on column mobeye.placement_erased.at is 'When it was erased.';
comment on column mobeye.burglary.held_for is 'Why it is under a legal hold (mobeye.hold_burglary()); null: it is not.';
comment on table mobeye.measure is
    'What was done against burglary; written by patrol.add_measure() and mobeyectl measures import. Placements of devices count '
    'by themselves.';
comment on column mobeye.measure.kind is 'letter, tent, patrol or other.';
comment on column mobeye.measure.layer is 'Layer of the area.';
comment on column mobeye.measure.code is 'Code of the area.';
comment on column mobeye.measure.from_at is 'When it began: the day it counts on.';
comment on column mobeye.measure.until_at is 'When it ended; null: unknown, or at from_at.';
comment on column mobeye.measure.number is 'How many: letters, visitors, hours; null: not counted.';
comment on column mobeye.measure.note is 'Remark.';
comment on column mobeye.measure.actor is 'Who recorded it.';
comment on column mobeye.measure.at is 'When it was recorded.';
comment on table mobeye.area_stats is
    'What a report counts, by month and area, of incidents, burglaries and placements that have been erased.';
comment on column mobeye.area_stats.month is 'First day of the month, local time.';
comment on column mobeye.area_stats.layer is 'Layer of the area; empty: of none, everything.';
comment on column mobeye.area_stats.code is 'Code of the area; empty: in no area of the layer; *: in all.';
comment on column mobeye.area_stats.figure is 'What is counted.';
comment on column mobeye.area_stats.n is 'How many.';
comment on table mobeye.device_renamed is 'Earlier names of devices; written by a trigger.';
comment on column mobeye.device_renamed.earlier_id is 'The earlier name.';
comment on column mobeye.device_renamed.device_id is 'The present name.';
comment on column mobeye.device_renamed.at is 'When it was renamed.';
comment on table mobeye.earlier_address is 'DC-09 addresses that devices had; written by triggers.';
comment on column mobeye.earlier_address.account is 'The account.';
comment on column mobeye.earlier_address.input is 'The input; null: those that no other device had.';
comment on column mobeye.earlier_address.device_id is 'The device that had it.';
comment on column mobeye.earlier_address.since is 'When it got it.';
comment on column mobeye.earlier_address.until is 'When it lost it.';
comment on type mobeye.subject_scope is
    'The scope of a person''s request: a device and a period, its names, its placements within the period, the incidents that '
    'it began, and those that it joined.';

comment on table mobeye.schema_code is 'Applied files of sql/code; written by mobeyectl migrate.';
comment on column mobeye.schema_code.file is 'Name of the file, without .sql.';
comment on column mobeye.schema_code.sha256 is 'SHA-256 of its text, in hexadecimal.';
comment on column mobeye.schema_code.program is 'Version of the program that applied it.';
comment on column mobeye.schema_code.applied_at is 'When it was last applied.';

comment on function mobeye.rd(public.geometry) is
    'A WGS84 point in RD New (EPSG:28992); null outside the Netherlands and what lies near, where RD New has no meaning.';
comment on function mobeye.cell(public.geometry) is 'The centre of the 125 m cell of a point in RD New.';

comment on table mobeye.leader is 'The session of the daemon that does the maintenance for all.';
comment on column mobeye.leader.name is 'maintenance.';
comment on column mobeye.leader.pid is 'Process of its session.';
comment on column mobeye.leader.backend_start is 'When that session began.';
comment on column mobeye.leader.since is 'Since when it leads.';
