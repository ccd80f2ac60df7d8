/* mobeyectl incident: exports one incident as evidence. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/lib/ctl.h"
#include "ctl/lib/incident_reference.h"
#include "ctl/lib/options.h"

#define VERB "incident"

static const char help[] =
    "Usage: mobeyectl incident export [OPTION]... ID\n"
    "       mobeyectl incident export [OPTION]... --reference REFERENCE\n"
    "Exports one incident as evidence. ID is its number or its reference, such as 2026-004711.\n\n"
    "Prints a JSON document: the incident, its alerts with the messages as received, its history, its changes, its\n"
    "images with the SHA-256 of each, and the text of the rules that created it. The SHA-256 of the document, as\n"
    "sha256sum computes it from the printed file, is printed on standard error and recorded in the history of the\n"
    "incident together with who exported it and why.\n\n"
    "      --reason TEXT      why it is exported; recorded\n"
    "      --reference REFERENCE\n"
    "                         the incident of this reference\n"
    "  -c, --config FILE      configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO      libpq connection string; overrides database.conninfo\n"
    "  -h, --help             print this help\n\n"
    "Example:\n"
    "  $ mobeyectl incident export --reason 'officer of justice, case 17' 2026-004711 > evidence.json\n\n"
    "Requires the owner of the schema.\n" CTL_EXIT_HELP;

struct incident_request {
    struct ctl_call call;
    const char *reason, *reference;
};

/* In one transaction: a document that could not be written is not recorded as exported. */
static int print_document(PGconn *conn, const struct incident_request *request)
{
    const char *id = incident_find(VERB, conn, request->call.arguments[0], request->reference);
    if (!id)
        return CTL_FAILED;
    const char *values[] = {id, request->reason ? request->reason : "no reason given"};
    PGresult *rows = ctl_query(conn, VERB, "export",
                               "select e.document, e.sha256, i.incident_id from mobeye.incident i"
                               " cross join lateral mobeye.incident_export(i.incident_id, $2) e"
                               " where i.incident_id::text = $1",
                               2, values);
    if (!rows)
        return CTL_FAILED;
    int status = CTL_FAILED;
    if (PQntuples(rows) == 0)
        ctl_fail(VERB, "incident %s does not exist (expected a number, or a reference such as 2026-004711)", values[0]);
    else if (puts(PQgetvalue(rows, 0, 0)) < 0 || fflush(stdout) != 0)
        ctl_fail(VERB, "standard output: %s; nothing was exported", strerror(errno));
    else
        status = CTL_OK;
    if (status == CTL_OK)
        fprintf(stderr, "sha256 %s\n", PQgetvalue(rows, 0, 1));
    PQclear(rows);
    return status;
}

static int export_incident(PGconn *conn, const struct incident_request *request)
{
    PGresult *begun = ctl_query(conn, VERB, "begin", "begin", 0, NULL);
    int status = begun ? print_document(conn, request) : CTL_FAILED;
    PQclear(begun);
    if (!begun || status != CTL_OK)
        return CTL_FAILED;
    PGresult *ended = ctl_query(conn, VERB, "the record of the export", "commit", 0, NULL);
    PQclear(ended);
    return ended ? CTL_OK : CTL_FAILED;
}

static const struct ctl_verb actions[] = {
    {"export", .takes = "config db reason reference", .argument = "ID", .most = 1}, {0}};
static const struct ctl_verb verb = {VERB, .help = help, .actions = actions};

int ctl_incident(int argc, char **argv)
{
    struct incident_request request = {0};
    const struct ctl_option options[] = {
        {"reason", .text = &request.reason}, {"reference", .text = &request.reference}, {0}};
    int status = ctl_parse(argc, argv, &verb, options, &request.call);
    if (status != CTL_GO)
        return status;
    if ((request.call.arguments[0] != NULL) == (request.reference != NULL))
        return ctl_usage(VERB, "expected one of ID and --reference REFERENCE");
    PGconn *conn = ctl_connect(VERB, request.call.file, request.call.db);
    status = conn ? export_incident(conn, &request) : CTL_FAILED;
    PQfinish(conn);
    return status;
}
