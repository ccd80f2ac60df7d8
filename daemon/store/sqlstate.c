#include "store/sqlstate.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"

enum sqlstate_class sqlstate_class(const char *sqlstate, const char *constraint)
{
    static const char *const passing[] = {"08", "40", "53", "55", "57"};
    if (!sqlstate || !*sqlstate || strcmp(sqlstate, "25006") == 0)
        return SQLSTATE_RECONNECT;
    for (size_t i = 0; i < ARRAY_LEN(passing); i++)
        if (strncmp(sqlstate, passing[i], 2) == 0)
            return SQLSTATE_RETRY;
    if (strcmp(sqlstate, "23514") == 0 && (!constraint || !*constraint))
        return SQLSTATE_PARTITION;
    if (strncmp(sqlstate, "22", 2) == 0 || strncmp(sqlstate, "23", 2) == 0)
        return SQLSTATE_REFUSED;
    return SQLSTATE_STOP;
}

/* "COPY alert, line 17, column payload": the words may be translated, the name and the number are not. */
static size_t copy_line(const char *context)
{
    const char *at = context ? strstr(context, "COPY alert,") : NULL;
    if (!at)
        at = context ? strstr(context, "COPY snapshot,") : NULL;
    if (!at)
        return 0;
    at += strlen("COPY alert,");
    while (*at && *at != '\n' && !isdigit((unsigned char)*at))
        at++;
    return isdigit((unsigned char)*at) ? strtoull(at, NULL, 10) : 0;
}

void fault_cut_text(char *text, size_t size)
{
    size_t len = strcspn(text, "\n");
    if (len == size - 1) {
        while (len > 0 && ((unsigned char)text[len - 1] & 0xc0) == 0x80)
            len--;
        len -= len > 0 && (unsigned char)text[len - 1] >= 0xc0;
    }
    text[len] = '\0';
}

void fault_join_lines(const char *message, char *out, size_t size)
{
    size_t n = 0;
    for (; *message && n + 1 < size; message++)
        if (*message != '\n' && *message != '\t')
            out[n++] = *message;
        else if (message[1] && *message == '\n')
            out[n++] = ' ';
    out[n] = '\0';
}

void fault_read(struct fault *fault, const PGresult *result)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    *fault = (struct fault){
        .class = sqlstate_class(sqlstate, PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME)),
        .line = copy_line(PQresultErrorField(result, PG_DIAG_CONTEXT)),
    };
    snprintf(fault->sqlstate, sizeof(fault->sqlstate), "%s", sqlstate ? sqlstate : "");
    snprintf(fault->text, sizeof(fault->text), "%s", text ? text : PQresultErrorMessage(result));
    fault_cut_text(fault->text, sizeof(fault->text));
}
