/* Any bytes as a list of clients: clients that the handler can find by their keys, or a diagnostic; never a crash. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf report = {0};
    struct conf *conf = mem_zalloc(sizeof(*conf));
    bool good = conf_parse_clients(conf, "fuzz.yaml", (const char *)data, size, &report) == 0;
    if (!good && report.len == 0)
        abort();
    for (size_t i = 0; good && i < conf->n_clients; i++) {
        const struct conf_client *client = &conf->clients[i];
        if (!client->name || strlen(client->key) != CONF_KEY_LEN || client->n_devices == 0)
            abort();
        if (i > 0 && strcmp(client[-1].key, client->key) >= 0)
            abort();
    }
    conf_free(&conf);
    buf_free(&report);
    return 0;
}
