/*
 * The query by which mobeyectl watch reads changes and turns them into events.
 */
#ifndef MOBEYE_CTL_OPERATE_WATCH_CHANGES_H
#define MOBEYE_CTL_OPERATE_WATCH_CHANGES_H

/* What --include accepts (watch_include_names) beyond what is in every event, each with its column: nothing about a
 * person or a home. */
#define INCLUDE_SQL                                                                                                    \
    "'reference', i.reference, 'kind', i.kind, 'wijk', coalesce(i.wijk_name, i.wijk_code), 'buurt', i.buurt_code, "    \
    "'team', i.team, 'verified_by', i.verified_by, 'drill', i.drill, 'first_seen', i.first_seen, "                     \
    "'overdue_step', i.overdue_step"

/* Parameters: after which change, --team, --include, --only. Rows: change_id, whether it is wanted, the event, which
 * has only numbers and words of the database. */
#define CHANGES_SQL                                                                                                    \
    "select c.change_id, ($4::text is null or c.op = any (string_to_array($4, ',')))"                                  \
    " and ($2::text is null or exists (select from patrol.incidents i where i.incident_id = c.incident_id"             \
    " and (i.team is null or i.team = $2))),"                                                                          \
    " jsonb_build_object('specversion', '1.0', 'id', c.change_id::text,"                                               \
    " 'source', '/mobeyed/' || current_database(), 'type', 'mobeye.incident.' || c.op || '.v1',"                       \
    " 'subject', c.incident_id::text, 'time', to_char(c.at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'),"  \
    " 'data', jsonb_build_object('change_id', c.change_id, 'incident_id', c.incident_id, 'op', c.op,"                  \
    " 'status', c.status, 'priority', c.priority, 'category', c.category)"                                             \
    " || coalesce((select jsonb_object_agg(e.key, e.value) from patrol.incidents i,"                                   \
    " jsonb_each(jsonb_build_object(" INCLUDE_SQL ")) as e"                                                            \
    " where i.incident_id = c.incident_id and e.key = any (string_to_array($3, ','))), '{}'))"                         \
    " from patrol.changes c where c.change_id > $1::bigint order by c.change_id limit 500"

#endif
