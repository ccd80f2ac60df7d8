#include "board/request_identity.h"

#include <string.h>
#include <sys/queue.h>

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

/* Takes the same time wherever they differ. */
static bool is_secret(const char *value, const char *secret)
{
    size_t len = strlen(secret);
    unsigned char differs = strlen(value) != len;
    for (size_t i = 0; i < len && value[i]; i++)
        differs |= (unsigned char)(value[i] ^ secret[i]);
    return !differs;
}

const char *identity_person(const struct conf_board *conf, const struct evkeyvalq *headers, bool is_peer)
{
    if (conf->identity.fixed)
        return conf->identity.fixed;
    if (conf->socket_path && !is_peer)
        return NULL;
    if (!conf->socket_path) {
        const char *secret = identity_single(headers, conf->identity.secret_header);
        if (!secret || !conf->identity.secret || !is_secret(secret, conf->identity.secret))
            return NULL;
    }
    return identity_single(headers, conf->identity.header);
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

/* Whether an origin is that of this host, by whichever scheme. */
static bool is_of_host(const char *origin, const char *host)
{
    const char *rest = strstr(origin, "://");
    return rest && host && strcasecmp(rest + 3, host) == 0;
}

/* HOST or HOST:PORT is this machine itself: a name that any other site can give it (DNS rebinding) is not. */
static bool is_loopback(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; host && i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = strlen(names[i]);
        if (strncasecmp(host, names[i], len) == 0 && (host[len] == '\0' || host[len] == ':'))
            return true;
    }
    return false;
}

bool identity_same_origin(const struct conf_board *conf, const struct evkeyvalq *headers)
{
    const char *site = identity_single(headers, "Sec-Fetch-Site"), *origin = identity_single(headers, "Origin");
    /* Nothing but the origin tells this person from another site then. */
    if (conf->identity.fixed && !is_loopback(identity_single(headers, "Host")))
        return false;
    if (has(headers, "Sec-Fetch-Site") && (!site || (strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)))
        return false;
    if (!has(headers, "Origin"))
        return true;
    if (!origin)
        return false;
    return conf->origin ? strcasecmp(origin, conf->origin) == 0 : is_of_host(origin, identity_single(headers, "Host"));
}
