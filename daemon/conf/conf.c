#include "conf/conf.h"

#include <stdlib.h>

#include "base/secret.h"

void conf_free_texts(char **texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(texts[i]);
    free(texts);
}

static void free_endpoint(struct conf_endpoint *endpoint)
{
    free(endpoint->name);
    free(endpoint->address);
    conf_free_texts(endpoint->topics, endpoint->n_topics);
    free(endpoint->server_key);
    free(endpoint->secret_key);
    secret_free_text(&endpoint->own_secret);
    free(endpoint->allow_from);
    free(endpoint->dc09_keys);
}

static void free_client(struct conf_client *client)
{
    free(client->name);
    free(client->key);
    conf_free_texts(client->devices, client->n_devices);
    conf_free_texts(client->sources, client->n_sources);
}

static void free_rule(struct conf_rule *rule)
{
    struct conf_match *match = &rule->match;
    free(rule->name);
    conf_free_texts(match->devices, match->n_devices);
    conf_free_texts(match->endpoints, match->n_endpoints);
    conf_free_texts(match->labels, match->n_labels);
    conf_free_texts(match->camera_zones, match->n_camera_zones);
    conf_free_texts(match->groups, match->n_groups);
    free(match->area_layer);
    conf_free_texts(match->area_codes, match->n_area_codes);
    free(rule->team);
    conf_free_texts(rule->group_layers, rule->n_group_layers);
}

void conf_free(struct conf **conf)
{
    struct conf *c = *conf;
    if (!c)
        return;
    for (size_t i = 0; i < c->n_endpoints; i++)
        free_endpoint(&c->endpoints[i]);
    for (size_t i = 0; i < c->n_rules; i++)
        free_rule(&c->rules[i]);
    for (size_t i = 0; i < c->n_clients; i++)
        free_client(&c->clients[i]);
    free(c->security.server_key);
    free(c->security.clients);
    secret_free_text(&c->security.secret);
    free(c->clients);
    free(c->endpoints);
    free(c->rules);
    free(c->rules_text);
    free(c->file);
    free(c->instance);
    free(c->timezone);
    free(c->database.conninfo);
    free(c->journal.directory);
    free(c->http_listen);
    free(c);
    *conf = NULL;
}

bool conf_verifies(const struct conf *conf, double *ret_radius_m)
{
    bool verifies = false;
    *ret_radius_m = 0;
    for (size_t i = 0; i < conf->n_rules; i++) {
        const struct incident_terms *terms = &conf->rules[i].terms;
        verifies |= terms->verify_within_us > 0;
        if (terms->verify_within_us > 0 && terms->verify_radius_m > *ret_radius_m)
            *ret_radius_m = terms->verify_radius_m;
    }
    return verifies;
}
