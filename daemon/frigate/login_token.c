#include "frigate/login_token.h"

#include <stdio.h>
#include <string.h>

#include "frigate/frigate_event.h"

#define NAME "frigate_token=" /* unless auth: cookie_name of Frigate is another */
#define JWT  "eyJ"            /* {" in Base64 */

void login_token_add_cookie(struct login_token *token, struct str set_cookie)
{
    size_t used = strlen(token->cookies), len = 0;
    while (len < set_cookie.len && set_cookie.p[len] != ';' && set_cookie.p[len] > ' ' && set_cookie.p[len] <= '~')
        len++;
    const char *equals = memchr(set_cookie.p, '=', len);
    if (!equals || equals + 1 == set_cookie.p + len || used + 2 + len >= sizeof(token->cookies))
        return;
    snprintf(token->cookies + used, sizeof(token->cookies) - used, "%s%.*s", used > 0 ? "; " : "", (int)len,
             set_cookie.p);
}

/* The value of the first cookie that begins with `name`, up to and with its "=", and whose value with `value`; NULL:
 * there is none. */
static const char *value_of(const struct login_token *token, const char *name, const char *value)
{
    for (const char *cookie = token->cookies; *cookie;) {
        const char *found = strchr(cookie, '=') + 1, *end = strstr(cookie, "; ");
        if (strncmp(cookie, name, strlen(name)) == 0 && strncmp(found, value, strlen(value)) == 0)
            return found;
        cookie = end ? end + 2 : cookie + strlen(cookie);
    }
    return NULL;
}

static bool read_body(struct login_token *token, struct str body)
{
    struct frigate_reader *reader = frigate_reader_new();
    bool found = frigate_read_text(reader, body, "access_token", token->text, sizeof(token->text)) ||
                 frigate_read_text(reader, body, "token", token->text, sizeof(token->text));
    frigate_reader_free(&reader);
    return found;
}

bool login_token_read(struct login_token *token, struct str body)
{
    const char *value = value_of(token, NAME, "");
    if (!value)
        value = value_of(token, "", JWT);
    if (!value && !read_body(token, body))
        value = value_of(token, "", "");
    if (value)
        snprintf(token->text, sizeof(token->text), "%.*s", (int)strcspn(value, ";"), value);
    /* It becomes part of a header line. */
    bool found = *token->text;
    for (const char *p = token->text; *p; p++)
        found = found && *p > ' ' && *p <= '~';
    if (!found)
        token->text[0] = '\0';
    return found;
}

void login_token_wipe(struct login_token *token)
{
    explicit_bzero(token, sizeof(*token));
}
