/* Converts nodes to members, by the type of the key. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/mem.h"
#include "conf/loader.h"
#include "conf/near_value.h"
#include "conf/text.h"
#include "conf/value.h"

void loader_error(const struct loader_target *target, struct source_pos pos, const char *fmt, ...)
{
    char what[512];
    struct buf expected = {0};
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof(what), fmt, args);
    va_end(args);
    schema_expected(target->key, &expected);
    diagnostics_error(target->diagnostics, pos, target->path, "%s (expected %.*s)", what, (int)expected.len,
                      expected.data);
    buf_free(&expected);
}

static void *member_of(const struct loader_target *target)
{
    return target->base + target->key->offset;
}

static void *second_member(const struct loader_target *target)
{
    return target->base + target->key->second;
}

/* Stores an enum, a bool or a number by the size of its member. */
static void store_int(const struct loader_target *target, uint64_t value)
{
    switch (target->key->size) {
    case sizeof(bool):
        *(bool *)member_of(target) = value;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)member_of(target) = (uint32_t)value;
        break;
    case sizeof(uint64_t):
        *(uint64_t *)member_of(target) = value;
        break;
    }
}

/* The text of a node that must be text; NULL: an error was reported, now or before. */
static const char *scalar(const struct loader_target *target, const struct node *node)
{
    if (node->kind == NODE_TEXT && !node_is_null(node))
        return node->text;
    if (node->kind == NODE_TEXT)
        loader_error(target, node->pos, "has no value");
    else if (node->kind != NODE_REFUSED)
        loader_error(target, node->pos, "%s", node->kind == NODE_LIST ? "is a list" : "is a mapping");
    return NULL;
}

/* As scalar(), for values that are not text in YAML and must not be quoted. */
static const char *plain_scalar(const struct loader_target *target, const struct node *node)
{
    const char *text = scalar(target, node);
    if (text && !node->plain) {
        loader_error(target, node->pos, "%s is text because it is quoted", quoted(text).text);
        return NULL;
    }
    return text;
}

static void value_error(const struct loader_target *target, const struct node *node, const struct err *err)
{
    enum schema_type type = target->key->type;
    if (type == SCHEMA_CONNINFO || type == SCHEMA_SECRET || type == SCHEMA_KEY || type == SCHEMA_KEYS ||
        type == SCHEMA_URL)
        loader_error(target, node->pos, "%s", err->text);
    else {
        struct buf near = {0};
        near_value(target->key, node->text, &near);
        loader_error(target, node->pos, "%s %s%.*s", quoted(node->text).text, err->text, (int)near.len, near.data);
        buf_free(&near);
    }
}

static int check_text(const struct schema_key *key, const char *text, struct err *err)
{
    struct address address;
    switch (key->type) {
    case SCHEMA_ZONE:
        return text_check_zone(text, err);
    case SCHEMA_CONNINFO:
        return text_check_conninfo(text, err);
    case SCHEMA_PATH:
        return text_check_path(text, err);
    case SCHEMA_SECRET:
        return text_check_secret(text, err);
    case SCHEMA_KEY:
    case SCHEMA_KEYS:
        return text_check_key(text, err);
    case SCHEMA_URL:
        return text_check_url(text, err);
    case SCHEMA_DEVICE:
        return text_check_device(text, key->min, key->max, err);
    case SCHEMA_BIND:
        return address_bind(text, &address, err);
    case SCHEMA_CONNECT:
    case SCHEMA_CONNECTS:
        return address_connect(text, &address, err);
    case SCHEMA_LAYER:
        return text_check_layer(text, err);
    case SCHEMA_LISTEN:
        return address_listen(text, &address, err);
    case SCHEMA_GLOBS:
        return text_check_glob(text, key->min, key->max, err);
    default:
        return text_check_printable(text, key->min, key->max, err);
    }
}

/* Whether an error was reported because YAML takes the text for a number or a truth value. */
static bool is_other_value(const struct loader_target *target, const struct node *node)
{
    const char *other = node->plain ? value_not_text(node->text) : NULL;
    if (other)
        loader_error(target, node->pos, "%.48s is %s unless it is quoted", node->text, other);
    return other;
}

/* A copy of a text that is valid for the key; NULL: an error was reported. Free text (a key with a length) and names
 * must be text for YAML too; other types are recognized by their form. */
static char *copy_text(const struct loader_target *target, const struct node *node)
{
    struct err err;
    const char *text = scalar(target, node);
    if (!text)
        return NULL;
    if ((target->key->max > 0 || target->key->type == SCHEMA_LAYER) && is_other_value(target, node))
        return NULL;
    if (check_text(target->key, text, &err) != 0) {
        value_error(target, node, &err);
        return NULL;
    }
    return mem_strdup(text);
}

static void set_text(const struct loader_target *target, const struct node *node)
{
    char **at = member_of(target);
    char *text = copy_text(target, node);
    if (!text)
        return;
    free(*at);
    *at = text;
}

static void set_bind(const struct loader_target *target, const struct node *node)
{
    *(bool *)second_member(target) = true;
    set_text(target, node);
}

/* The items of a list, or a single value as a list of one; returns their number. 0: an error was reported. */
static size_t list_items(const struct loader_target *target, const struct node *const *value,
                         const struct node *const **ret)
{
    const struct node *node = *value;
    if (node->kind != NODE_LIST) {
        *ret = value;
        return 1;
    }
    *ret = (const struct node *const *)node->items;
    if (node->n == 0)
        loader_error(target, node->pos, "is an empty list");
    return node->n;
}

static void set_texts(const struct loader_target *target, const struct node *value)
{
    const struct node *const *item;
    char ***at = member_of(target);
    size_t *count = second_member(target);
    size_t n = list_items(target, &value, &item);
    *at = mem_zalloc(n * sizeof(char *));
    for (size_t i = 0; i < n; i++) {
        char *text = copy_text(target, item[i]);
        if (text)
            (*at)[(*count)++] = text;
    }
}

static void set_networks(const struct loader_target *target, const struct node *value)
{
    const struct node *const *item;
    struct network **at = member_of(target);
    size_t *count = second_member(target);
    size_t n = list_items(target, &value, &item);
    *at = mem_zalloc(n * sizeof(**at));
    for (size_t i = 0; i < n; i++) {
        struct err err;
        const char *text = scalar(target, item[i]);
        if (text && address_network(text, &(*at)[*count], &err) != 0)
            value_error(target, item[i], &err);
        else if (text)
            (*count)++;
    }
}

/* -1: an error was reported. */
static int parse_word(const struct loader_target *target, const struct node *node, unsigned *ret_value)
{
    const char *text = scalar(target, node), *word;
    if (!text)
        return -1;
    for (unsigned i = 0; (word = target->key->word(i, ret_value)); i++)
        if (strcmp(word, text) == 0)
            return 0;
    value_error(target, node, &(struct err){"is not allowed"});
    return -1;
}

static void set_word(const struct loader_target *target, const struct node *node)
{
    unsigned value;
    if (parse_word(target, node, &value) == 0)
        store_int(target, value);
}

static void set_words(const struct loader_target *target, const struct node *value)
{
    const struct node *const *item;
    uint32_t bits = 0;
    unsigned bit;
    size_t n = list_items(target, &value, &item);
    for (size_t i = 0; i < n; i++)
        if (parse_word(target, item[i], &bit) == 0)
            bits |= 1u << bit;
    store_int(target, bits);
}

/* Adds a word or a layer name to the grouping of the rule; reports duplicates. */
static void add_grouping(const struct loader_target *target, struct conf_rule *rule, const struct node *node)
{
    struct err err;
    unsigned bit;
    const char *text = scalar(target, node), *word;
    bool duplicate = false;
    if (!text)
        return;
    for (unsigned i = 0; (word = target->key->word(i, &bit)); i++)
        if (strcmp(word, text) == 0)
            break;
    for (size_t i = 0; i < rule->n_group_layers; i++)
        duplicate = duplicate || strcmp(rule->group_layers[i], text) == 0;
    if (duplicate || (word && rule->group_by & bit))
        loader_error(target, node->pos, "%s is listed twice", quoted(text).text);
    else if (word)
        rule->group_by |= bit;
    else if (text_check_layer(text, &err) != 0)
        loader_error(target, node->pos, "%s %s", quoted(text).text, err.text);
    else if (!is_other_value(target, node))
        rule->group_layers[rule->n_group_layers++] = mem_strdup(text);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* For rules only: the values go to two members of struct conf_rule. */
static void set_grouping(const struct loader_target *target, const struct node *value)
{
    const struct node *const *item;
    struct conf_rule *rule = (struct conf_rule *)target->base;
    size_t n = list_items(target, &value, &item);
    rule->group_layers = mem_zalloc(n * sizeof(char *));
    for (size_t i = 0; i < n; i++)
        add_grouping(target, rule, item[i]);
    qsort(rule->group_layers, rule->n_group_layers, sizeof(char *), by_name);
}

static void set_days(const struct loader_target *target, const struct node *value)
{
    const struct node *const *item;
    uint32_t all = 0;
    size_t n = list_items(target, &value, &item);
    for (size_t i = 0; i < n; i++) {
        struct err err;
        uint32_t days = 0;
        const char *text = scalar(target, item[i]);
        if (text && value_days(text, &days, &err) != 0)
            value_error(target, item[i], &err);
        all |= days;
    }
    store_int(target, all);
}

static void set_hours(const struct loader_target *target, const struct node *node)
{
    struct err err;
    const char *text = scalar(target, node);
    if (!text)
        return;
    if (value_hours(text, member_of(target), &err) != 0)
        value_error(target, node, &err);
    else
        *(bool *)second_member(target) = true;
}

static void set_bool(const struct loader_target *target, const struct node *node)
{
    struct err err;
    bool value;
    const char *text = plain_scalar(target, node);
    if (!text)
        return;
    if (value_bool(text, &value, &err) != 0)
        value_error(target, node, &err);
    else
        store_int(target, value);
}

/* -1: an error was reported. */
static int parse_number(const struct loader_target *target, const struct node *node, double min, double max,
                        double *ret)
{
    struct err err;
    const char *text = plain_scalar(target, node);
    if (!text)
        return -1;
    int rc = value_number(text, ret, &err);
    if (rc == 0 && (*ret < min || *ret > max))
        rc = err_set(&err, "is out of range");
    if (rc != 0)
        value_error(target, node, &err);
    return rc;
}

static void set_number(const struct loader_target *target, const struct node *node)
{
    double value;
    if (parse_number(target, node, (double)target->key->min, (double)target->key->max, &value) == 0)
        *(double *)member_of(target) = value;
}

static void set_box(const struct loader_target *target, const struct node *node)
{
    double *box = member_of(target);
    bool good = true;
    if (node->kind != NODE_LIST || node->n != 4) {
        if (node->kind != NODE_REFUSED)
            loader_error(target, node->pos, "is not a list of four numbers%s",
                         node->kind == NODE_LIST && node->n == 8 ? ": it has eight, so there are decimal commas" : "");
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        double max = i % 2 == 0 ? 180 : 90;
        good = parse_number(target, node->items[i], -max, max, &box[i]) == 0 && good;
    }
    for (size_t i = 0; good && i < 2; i++)
        if (box[i] >= box[i + 2])
            loader_error(target, node->items[i + 2]->pos, "%s is not %s of %s", node->items[i + 2]->text,
                         i == 0 ? "east" : "north", node->items[i]->text);
    *(bool *)second_member(target) = true;
}

static void set_distance(const struct loader_target *target, const struct node *node)
{
    struct err err;
    double metres;
    const char *text = scalar(target, node);
    if (!text)
        return;
    int rc = value_distance(text, &metres, &err);
    if (rc == 0 && (metres < (double)target->key->min || metres > (double)target->key->max))
        rc = err_set(&err, "is out of range");
    if (rc != 0)
        value_error(target, node, &err);
    else
        *(double *)member_of(target) = metres;
}

static void set_amount(const struct loader_target *target, const struct node *node,
                       int (*parse)(const char *, int64_t *, struct err *), const char *text)
{
    struct err err;
    int64_t value;
    if (!text)
        return;
    int rc = parse(text, &value, &err);
    if (rc == 0 && (value < target->key->min || value > target->key->max))
        rc = err_set(&err, "is out of range");
    if (rc != 0)
        value_error(target, node, &err);
    else
        store_int(target, (uint64_t)value);
}

static void set_int(const struct loader_target *target, const struct node *node)
{
    set_amount(target, node, value_int, plain_scalar(target, node));
}

static void set_date(const struct loader_target *target, const struct node *node)
{
    struct err err;
    uint32_t day;
    const char *text = scalar(target, node);
    if (!text)
        return;
    if (value_date(text, &day, &err) != 0)
        value_error(target, node, &err);
    else
        store_int(target, day);
}

static void set_steps(const struct loader_target *target, const struct node *value)
{
    const struct node *const *item;
    int64_t *steps = member_of(target), step, last = 0;
    size_t n = list_items(target, &value, &item);
    if (n > OVERDUE_STEPS)
        loader_error(target, value->pos, "has %zu items", n);
    for (size_t i = 0; i < n && n <= OVERDUE_STEPS; i++) {
        struct err err;
        const char *text = scalar(target, item[i]);
        if (!text)
            continue;
        int rc = value_duration(text, &step, &err);
        if (rc == 0 && (step < target->key->min || step > target->key->max))
            rc = err_set(&err, "is out of range");
        else if (rc == 0 && step <= last)
            rc = err_set(&err, "is not longer than the step before it");
        if (rc != 0)
            value_error(target, item[i], &err);
        else
            steps[i] = last = step;
    }
}

static void set_duration(const struct loader_target *target, const struct node *node)
{
    set_amount(target, node, value_duration, scalar(target, node));
}

static void set_size(const struct loader_target *target, const struct node *node)
{
    set_amount(target, node, value_size, scalar(target, node));
}

static void (*const setters[SCHEMA_TYPES])(const struct loader_target *, const struct node *) = {
    [SCHEMA_TEXT] = set_text,         [SCHEMA_ZONE] = set_text,         [SCHEMA_CONNINFO] = set_text,
    [SCHEMA_PATH] = set_text,         [SCHEMA_BIND] = set_bind,         [SCHEMA_CONNECT] = set_text,
    [SCHEMA_LISTEN] = set_text,       [SCHEMA_TEXTS] = set_texts,       [SCHEMA_GLOBS] = set_texts,
    [SCHEMA_WORD] = set_word,         [SCHEMA_WORDS] = set_words,       [SCHEMA_DAYS] = set_days,
    [SCHEMA_HOURS] = set_hours,       [SCHEMA_BOOL] = set_bool,         [SCHEMA_NUMBER] = set_number,
    [SCHEMA_BOX] = set_box,           [SCHEMA_INT] = set_int,           [SCHEMA_DURATION] = set_duration,
    [SCHEMA_SIZE] = set_size,         [SCHEMA_NETWORKS] = set_networks, [SCHEMA_LAYER] = set_text,
    [SCHEMA_GROUPING] = set_grouping, [SCHEMA_DISTANCE] = set_distance, [SCHEMA_SECRET] = set_text,
    [SCHEMA_KEY] = set_text,          [SCHEMA_DATE] = set_date,         [SCHEMA_CONNECTS] = set_texts,
    [SCHEMA_KEYS] = set_texts,        [SCHEMA_URL] = set_text,          [SCHEMA_DEVICE] = set_text,
    [SCHEMA_STEPS] = set_steps,
};

void loader_set_present(const struct loader_target *target)
{
    if (target->key->size > 0)
        store_int(target, true);
}

void loader_unset(const struct loader_target *target)
{
    if (target->key->type == SCHEMA_BOOL)
        *(int *)member_of(target) = -1;
    else if (target->key->type == SCHEMA_NUMBER)
        *(double *)member_of(target) = NAN;
}

void loader_set(const struct loader_target *target, const struct node *value)
{
    loader_unset(target);
    setters[target->key->type](target, value);
}
