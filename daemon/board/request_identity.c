#include "board/request_identity.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/queue.h>

#include <unistr.h>

const char *identity_single(const struct evkeyvalq *headers, const char *name)
{
    const char *value = NULL;
    const struct evkeyval *header;
    TAILQ_FOREACH(header, headers, next)
    {
        if (strcasecmp(header->key, name) != 0)
            continue;
        if (value)
            return NULL;
        value = header->value;
    }
    return value && value[strspn(value, " \t")] ? value : NULL;
}

/* Takes the same time wherever the texts differ. */
static bool is_secret(const char *value, const char *secret)
{
    size_t len = strlen(secret);
    unsigned char differs = strlen(value) != len;
    for (size_t i = 0; i < len && value[i]; i++)
        differs |= (unsigned char)(value[i] ^ secret[i]);
    return !differs;
}

/* As identity_single(); says why not. */
static const char *require_header(const struct evkeyvalq *headers, const char *name, struct err *err)
{
    const char *value = identity_single(headers, name);
    size_t n = 0;
    const struct evkeyval *header;
    TAILQ_FOREACH(header, headers, next)
    {
        n += strcasecmp(header->key, name) == 0;
    }
    if (!value)
        err_set(err, "header %s %s", name, n == 0 ? "is missing" : n == 1 ? "is empty" : "occurs more than once");
    return value;
}

const char *identity_person(const struct conf_board *conf, const struct evkeyvalq *headers, bool is_peer,
                            struct err *err)
{
    if (conf->identity.fixed)
        return conf->identity.fixed;
    if (conf->socket_path && !is_peer) {
        err_set(err, "the client is not one of identity.peers");
        return NULL;
    }
    if (!conf->socket_path) {
        const char *secret = require_header(headers, conf->identity.secret_header, err);
        if (!secret)
            return NULL;
        if (!conf->identity.secret || !is_secret(secret, conf->identity.secret)) {
            err_set(err, "header %s does not match the secret in identity.secret.file", conf->identity.secret_header);
            return NULL;
        }
    }
    return require_header(headers, conf->identity.header, err);
}

bool identity_is_login(const char *person)
{
    return u8_check((const uint8_t *)person, strlen(person)) == NULL;
}

static bool has(const struct evkeyvalq *headers, const char *name)
{
    const struct evkeyval *header;
    TAILQ_FOREACH(header, headers, next)
    {
        if (strcasecmp(header->key, name) == 0)
            return true;
    }
    return false;
}

/* Whether an origin has this host, with any scheme. */
static bool is_of_host(const char *origin, const char *host)
{
    const char *rest = strstr(origin, "://");
    return rest && host && strcasecmp(rest + 3, host) == 0;
}

/* Whether the request addresses this machine by an IP address, a name without dots, or the name in `origin`, as HOST or
 * HOST:PORT. Another site can point a name of its own domain to this machine (DNS rebinding), but none of these. */
static bool is_own_host(const struct conf_board *conf, const char *host)
{
    char name[64];
    struct in_addr address;
    size_t len = strcspn(host, ":");
    if (host[0] == '[' || (conf->origin && is_of_host(conf->origin, host)))
        return true;
    if (len >= sizeof(name))
        return false;
    memcpy(name, host, len);
    name[len] = '\0';
    return !strchr(name, '.') || inet_pton(AF_INET, name, &address) == 1;
}

bool identity_same_origin(const struct conf_board *conf, const struct evkeyvalq *headers)
{
    const char *site = identity_single(headers, "Sec-Fetch-Site"), *origin = identity_single(headers, "Origin");
    const char *host = identity_single(headers, "Host");
    /* Then only the origin distinguishes this person from another site. Every browser sends a host. */
    if (conf->identity.fixed && host && !is_own_host(conf, host))
        return false;
    if (has(headers, "Sec-Fetch-Site") && (!site || (strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)))
        return false;
    if (!has(headers, "Origin"))
        return true;
    if (!origin)
        return false;
    return conf->origin ? strcasecmp(origin, conf->origin) == 0 : is_of_host(origin, host);
}
