#include "ctl/lib/incident_reference.h"

#include <stdio.h>
#include <string.h>

enum { YEAR_LEN = 4, NUMBER_MIN = 6, NUMBER_MAX = 18 };

bool incident_reference_parse(const char *text, struct incident_reference *ret)
{
    size_t year = strspn(text, "0123456789");
    if (year != YEAR_LEN || text[year] != '-')
        return false;
    const char *number = text + year + 1;
    size_t len = strspn(number, "0123456789");
    if (len == 0 || number[len] != '\0')
        return false;
    number += strspn(number, "0");
    len = strlen(number);
    if (len > NUMBER_MAX)
        return false;
    snprintf(ret->text, sizeof(ret->text), "%.*s-%.*s%s", YEAR_LEN, text,
             len < NUMBER_MIN ? (int)(NUMBER_MIN - len) : 0, "000000", number);
    return true;
}

const char *incident_find(const char *verb, PGconn *conn, const char *incident, const char *reference)
{
    static char number[24];
    struct incident_reference parsed;
    bool is_reference = incident_reference_parse(reference ? reference : incident, &parsed);
    if (!is_reference && !reference)
        return incident;
    if (!is_reference) {
        ctl_fail(verb, "--reference \"%s\" is not a reference (expected year and number, such as 2026-000010)",
                 reference);
        return NULL;
    }
    const char *values[] = {parsed.text};
    PGresult *rows =
        ctl_query(conn, verb, "--reference", "select incident_id from mobeye.incident where reference = $1", 1, values);
    bool found = PQntuples(rows) == 1;
    if (found)
        snprintf(number, sizeof(number), "%s", PQgetvalue(rows, 0, 0));
    else if (rows)
        ctl_fail(verb, "incident %s does not exist (expected a number, or a reference such as 2026-004711)",
                 parsed.text);
    PQclear(rows);
    return found ? number : NULL;
}
