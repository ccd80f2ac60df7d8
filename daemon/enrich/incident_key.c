#include "enrich/incident_key.h"

#include <endian.h>
#include <string.h>

#include <sodium.h>

/*
 * Hashes a sequence of fields, each as its length (4 bytes, big-endian) and its bytes, so that different sequences
 * never give the same bytes. The database stores the hashes: never change the content or the order of the fields.
 */
#define HASH_BYTES 16

static void hash_begin(crypto_generichash_state *hash)
{
    crypto_generichash_init(hash, NULL, 0, HASH_BYTES);
}

static void hash_field(crypto_generichash_state *hash, struct str field)
{
    uint32_t len = htobe32((uint32_t)field.len);
    crypto_generichash_update(hash, (const unsigned char *)&len, sizeof(len));
    if (field.len > 0)
        crypto_generichash_update(hash, (const unsigned char *)field.p, field.len);
}

static void put_named(crypto_generichash_state *hash, struct str name, struct str value)
{
    hash_field(hash, name);
    hash_field(hash, value);
}

static void put_bool(crypto_generichash_state *hash, bool value)
{
    hash_field(hash, value ? STR("1") : STR("0"));
}

/* Empty if there is no input. */
static struct str input_bytes(int32_t input, uint32_t *buffer)
{
    *buffer = htobe32((uint32_t)input);
    return input == ALERT_NO_INT ? (struct str){0} : (struct str){(const char *)buffer, sizeof(*buffer)};
}

/* The word itself if it is not a known kind. */
static struct str kind_text(const struct alert *alert)
{
    return alert->kind == KIND_UNKNOWN ? alert->kind_word : str_from(alert_kind_word(alert->kind));
}

static void hash_end(crypto_generichash_state *hash, uint8_t *ret, size_t size)
{
    uint8_t whole[HASH_BYTES];
    crypto_generichash_final(hash, whole, sizeof(whole));
    memcpy(ret, whole, size);
}

static void hash_sender(const struct alert *alert, uint8_t ret[8])
{
    crypto_generichash_state hash;
    hash_begin(&hash);
    hash_field(&hash, alert->device);
    hash_field(&hash, kind_text(alert));
    put_bool(&hash, alert->drill);
    hash_end(&hash, ret, 8);
}

static void hash_input_and_track(int32_t input, struct str track, uint8_t ret[8])
{
    crypto_generichash_state hash;
    uint32_t buffer;
    hash_begin(&hash);
    hash_field(&hash, input_bytes(input, &buffer));
    hash_field(&hash, track);
    hash_end(&hash, ret, 8);
}

void incident_key_condition(struct alert *alert)
{
    hash_sender(alert, alert->condition);
    hash_input_and_track(alert->input, alert->track, alert->condition + 8);
}

void incident_key_general_condition(const struct alert *alert, uint8_t ret[16])
{
    hash_sender(alert, ret);
    hash_input_and_track(ALERT_NO_INT, (struct str){0}, ret + 8);
}

/* The code of the alert's area in each layer. */
static void put_layers(crypto_generichash_state *hash, const struct alert_areas *areas, const struct conf_rule *rule)
{
    for (size_t i = 0; i < rule->n_group_layers; i++) {
        struct str layer = str_from(rule->group_layers[i]), code = {0};
        for (size_t k = 0; areas && k < areas->n && code.len == 0; k++)
            if (str_eq(areas->area[k].layer, layer))
                code = areas->area[k].code;
        hash_field(hash, STR("area"));
        put_named(hash, layer, code);
    }
}

void incident_key_of_rule(struct alert *alert, const struct conf_rule *rule)
{
    crypto_generichash_state hash;
    uint32_t buffer;
    const struct {
        enum conf_group_by bit;
        struct str name, value;
    } fields[] = {
        {GROUP_DEVICE, STR("device"), alert->device},
        {GROUP_KIND, STR("kind"), kind_text(alert)},
        {GROUP_INPUT, STR("input"), input_bytes(alert->input, &buffer)},
        {GROUP_TRACK, STR("track"), alert->track},
        {GROUP_ENDPOINT, STR("endpoint"), alert->endpoint},
    };
    hash_begin(&hash);
    hash_field(&hash, str_from(incident_category_word(rule->terms.category)));
    put_bool(&hash, alert->drill);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (rule->group_by & fields[i].bit)
            put_named(&hash, fields[i].name, fields[i].value);
    put_layers(&hash, alert->areas, rule);
    hash_end(&hash, alert->key, sizeof(alert->key));
}
