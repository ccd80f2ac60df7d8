#include "enrich/incident_key.h"

#include <endian.h>
#include <string.h>

#include <sodium.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/array.h"
#include "base/mem.h"

/*
 * Hashes a sequence of fields, each as its length (4 bytes, big-endian) and its bytes, so that different sequences
 * never give the same bytes. The database stores the hashes: never change the content or the order of the fields.
 */
#define HASH_BYTES 16

/* Longer sequences are hashed each time: few have a track or group by layers. With the length and the hash it makes two
 * cache lines. */
#define REMEMBERED_BYTES 111
#define MEMO_SLOTS       4096

struct key_memo {
    struct memo_slot {
        uint8_t len; /* 0: free */
        uint8_t fields[REMEMBERED_BYTES], hash[HASH_BYTES];
    } slots[MEMO_SLOTS];
};
_Static_assert(sizeof(struct memo_slot) == 128, "two cache lines");

/* A sequence as it grows: its bytes while they fit, then a hash of those so far. */
struct fields {
    size_t len;
    bool hashed;
    uint8_t bytes[REMEMBERED_BYTES];
    crypto_generichash_state hash;
};

struct key_memo *key_memo_new(void)
{
    return mem_zalloc(sizeof(struct key_memo));
}

void key_memo_free(struct key_memo **memo)
{
    free(*memo);
    *memo = NULL;
}

static void fields_begin(struct fields *fields)
{
    fields->len = 0;
    fields->hashed = false;
}

static void put_bytes(struct fields *fields, const void *bytes, size_t len)
{
    if (!fields->hashed && len <= sizeof(fields->bytes) - fields->len) {
        if (len > 0)
            memcpy(fields->bytes + fields->len, bytes, len);
        fields->len += len;
        return;
    }
    if (!fields->hashed) {
        crypto_generichash_init(&fields->hash, NULL, 0, HASH_BYTES);
        crypto_generichash_update(&fields->hash, fields->bytes, fields->len);
        fields->hashed = true;
    }
    crypto_generichash_update(&fields->hash, bytes, len);
}

static void put_field(struct fields *fields, struct str field)
{
    uint32_t len = htobe32((uint32_t)field.len);
    put_bytes(fields, &len, sizeof(len));
    put_bytes(fields, field.p, field.len);
}

static void put_named(struct fields *fields, struct str name, struct str value)
{
    put_field(fields, name);
    put_field(fields, value);
}

static void put_bool(struct fields *fields, bool value)
{
    put_field(fields, value ? STR("1") : STR("0"));
}

static void hash_bytes(const struct fields *fields, uint8_t ret[HASH_BYTES])
{
    crypto_generichash(ret, HASH_BYTES, fields->bytes, fields->len, NULL, 0);
}

static void hash_remembered(struct key_memo *memo, const struct fields *fields, uint8_t ret[HASH_BYTES])
{
    struct memo_slot *slot = &memo->slots[XXH3_64bits(fields->bytes, fields->len) % MEMO_SLOTS];
    if (slot->len != fields->len || memcmp(slot->fields, fields->bytes, fields->len) != 0) {
        hash_bytes(fields, slot->hash);
        memcpy(slot->fields, fields->bytes, fields->len);
        slot->len = (uint8_t)fields->len;
    }
    memcpy(ret, slot->hash, HASH_BYTES);
}

/* The first `size` bytes of the hash. */
static void hash_end(struct key_memo *memo, struct fields *fields, uint8_t *ret, size_t size)
{
    uint8_t whole[HASH_BYTES];
    if (fields->hashed)
        crypto_generichash_final(&fields->hash, whole, sizeof(whole));
    else if (memo)
        hash_remembered(memo, fields, whole);
    else
        hash_bytes(fields, whole);
    memcpy(ret, whole, size);
}

/* Empty if there is no input. */
static struct str input_bytes(int32_t input, uint32_t *buffer)
{
    *buffer = htobe32((uint32_t)input);
    return input != ALERT_NO_INT ? (struct str){(const char *)buffer, sizeof(*buffer)} : (struct str){0};
}

/* The word itself if it is not a known kind. */
static struct str kind_text(const struct alert *alert)
{
    return alert->kind == KIND_UNKNOWN ? alert->kind_word : str_from(alert_kind_word(alert->kind));
}

static void hash_source(struct key_memo *memo, const struct alert *alert, uint8_t ret[8])
{
    struct fields fields;
    fields_begin(&fields);
    put_field(&fields, alert->device);
    put_field(&fields, kind_text(alert));
    put_bool(&fields, alert->drill);
    hash_end(memo, &fields, ret, 8);
}

static void hash_input_and_track(struct key_memo *memo, int32_t input, struct str track, uint8_t ret[8])
{
    struct fields fields;
    uint32_t buffer;
    fields_begin(&fields);
    put_field(&fields, input_bytes(input, &buffer));
    put_field(&fields, track);
    hash_end(memo, &fields, ret, 8);
}

void incident_key_condition(struct key_memo *memo, struct alert *alert)
{
    hash_source(memo, alert, alert->condition);
    hash_input_and_track(memo, alert->input, alert->camera.track, alert->condition + 8);
}

void incident_key_general_condition(const struct alert *alert, uint8_t ret[16])
{
    /* hash_input_and_track() of neither. */
    static const uint8_t no_input_no_track[8] = {0xc8, 0x04, 0xce, 0x19, 0x8e, 0xc3, 0x37, 0xe3};
    memcpy(ret, alert->condition, 8);
    memcpy(ret + 8, no_input_no_track, sizeof(no_input_no_track));
}

/* The code of the alert's area in each layer. */
static void put_layers(struct fields *fields, const struct alert_areas *areas, const struct conf_rule *rule)
{
    for (size_t i = 0; i < rule->n_group_layers; i++) {
        struct str layer = str_from(rule->group_layers[i]), code = {0};
        for (size_t k = 0; areas && k < areas->n && code.len == 0; k++)
            if (str_eq(areas->area[k].layer, layer))
                code = areas->area[k].code;
        put_field(fields, STR("area"));
        put_named(fields, layer, code);
    }
}

void incident_key_of_rule(struct key_memo *memo, struct alert *alert, const struct conf_rule *rule)
{
    struct fields fields;
    uint32_t buffer;
    const struct {
        enum conf_group_by bit;
        struct str name, value;
    } items[] = {
        {GROUP_DEVICE, STR("device"), alert->device},
        {GROUP_KIND, STR("kind"), kind_text(alert)},
        {GROUP_INPUT, STR("input"), input_bytes(alert->input, &buffer)},
        {GROUP_TRACK, STR("track"), alert->camera.track},
        {GROUP_ENDPOINT, STR("endpoint"), alert->endpoint},
    };
    fields_begin(&fields);
    put_field(&fields, str_from(incident_category_word(rule->terms.category)));
    put_bool(&fields, alert->drill);
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        if (rule->group_by & items[i].bit)
            put_named(&fields, items[i].name, items[i].value);
    put_layers(&fields, alert->areas, rule);
    hash_end(memo, &fields, alert->key, sizeof(alert->key));
}
