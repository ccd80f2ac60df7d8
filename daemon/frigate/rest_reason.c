#include "frigate/rest_reason.h"

#include <string.h>

#include <curl/curl.h>

/* What to check when there was no response; empty: the text says it. */
static const char *advice_on_error(const struct conf_frigate *conf, int code)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return conf->api.login.ca_file
                   ? " (is api.ca_file of the authority that signed the certificate of Frigate, and "
                     "the host in api.url a name in it?)"
                   : " (is api.ca_file missing, is the host in api.url a name in the certificate?)";
    case CURLE_SSL_CONNECT_ERROR:
        return " (does this port speak https?)";
    case CURLE_COULDNT_CONNECT:
        return " (is Frigate running, is api.url right?)";
    case CURLE_COULDNT_RESOLVE_HOST:
        return " (is the host in api.url right?)";
    default:
        return "";
    }
}

/* The same for a status, whatever was asked for. */
static const char *advice_on_status(const struct conf_frigate *conf, long status)
{
    switch (status) {
    case 400:
        return strncmp(conf->api.url, "http:", 5) == 0 ? " (does this port require https?)" : "";
    case 429:
        return " (a server in front of Frigate limits the number of requests: does it know this machine?)";
    case 502:
    case 503:
    case 504:
        return " (a server in front of Frigate cannot reach it: is Frigate running?)";
    default:
        return "";
    }
}

void rest_reason(const struct conf_frigate *conf, const struct rest_failure *failure, struct err *ret)
{
    if (failure->status == 0)
        err_set(ret, "%s%s", *failure->text ? failure->text : curl_easy_strerror((CURLcode)failure->code),
                advice_on_error(conf, failure->code));
    else if (failure->status >= 300 && failure->status < 400 && *failure->location)
        err_set(ret, "status %ld (expected 200): redirected to %s (api.url must be the final address, without /api)",
                failure->status, failure->location);
    else
        err_set(ret, "status %ld (expected 200)%s", failure->status, advice_on_status(conf, failure->status));
}
