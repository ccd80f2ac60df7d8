#include "conf/tree.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/array.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/yaml_slip.h"

/* The state of parsing one text. */
struct parser {
    yaml_parser_t yaml;
    struct diagnostics *diagnostics;
    const char *text;
    size_t len;
    bool broken; /* after a syntax error or a limit: nothing that follows can be trusted */
};

/* Byte order mark, allowed at the start of the text. */
static const char bom[] = "\xef\xbb\xbf";

static struct node *parse_node(struct parser *parser, const yaml_event_t *event, unsigned depth);

static struct source_pos pos_of(yaml_mark_t mark)
{
    return (struct source_pos){mark.line + 1, mark.column + 1};
}

/* The position of a byte. */
static struct source_pos pos_at(const struct parser *parser, size_t offset)
{
    struct source_pos pos = {1, 1};
    for (size_t i = 0; i < offset && i < parser->len; i++) {
        bool feed = parser->text[i] == '\n' ||
                    (parser->text[i] == '\r' && (i + 1 == parser->len || parser->text[i + 1] != '\n'));
        if (feed)
            pos = (struct source_pos){pos.line + 1, 1};
        else if (((unsigned char)parser->text[i] & 0xc0) != 0x80)
            pos.col++;
    }
    return pos;
}

static void no_memory(void)
{
    log_error("memory", "libyaml cannot allocate memory");
    abort();
}

/* The byte at a position in the text; a space beyond its end. */
static char char_at(const struct parser *parser, struct source_pos pos)
{
    size_t line = 1, i = 0;
    for (; i < parser->len && line < pos.line; i++)
        line += parser->text[i] == '\n';
    for (size_t col = 1; i < parser->len && col < pos.col; i++)
        col += i + 1 == parser->len || ((unsigned char)parser->text[i + 1] & 0xc0) != 0x80;
    return i < parser->len ? parser->text[i] : ' ';
}

static void syntax_error(struct parser *parser)
{
    yaml_parser_t *y = &parser->yaml;
    parser->broken = true;
    if (y->error == YAML_MEMORY_ERROR)
        no_memory();
    if (y->error == YAML_READER_ERROR) {
        size_t at = y->problem_offset;
        bool utf16 = at == 0 && parser->len > 1 &&
                     (memcmp(parser->text, "\xff\xfe", 2) == 0 || memcmp(parser->text, "\xfe\xff", 2) == 0);
        if (utf16)
            diagnostics_error(parser->diagnostics, pos_at(parser, 0), "yaml", "file is UTF-16 (expected UTF-8 text)");
        else
            diagnostics_error(parser->diagnostics, pos_at(parser, at), "yaml", "%s, byte 0x%02x (expected UTF-8 text)",
                              y->problem, at < parser->len ? (unsigned char)parser->text[at] : 0u);
        return;
    }
    struct source_pos at = pos_of(y->problem_mark);
    struct yaml_slip slip;
    if (yaml_slip_find((struct str){parser->text, parser->len}, at.line, &slip))
        diagnostics_error(parser->diagnostics, slip.pos, "yaml", "%s", slip.what);
    else if (strcmp(y->problem, "found character that cannot start any token") == 0)
        diagnostics_error(parser->diagnostics, at, "yaml", "%c cannot begin a value (expected it in quotes)",
                          char_at(parser, at));
    else if (y->context && strcmp(y->context, "while scanning an alias") == 0)
        diagnostics_error(parser->diagnostics, pos_of(y->context_mark), "yaml",
                          "* begins an alias of YAML (expected it in quotes, as \"*\")");
    else if (y->context && memcmp(&y->context_mark, &y->problem_mark, sizeof(y->problem_mark)) != 0)
        diagnostics_error(
            parser->diagnostics, at, "yaml",
            "%s %s that began at %zu:%zu (expected closed quotes and brackets and consistent indentation between the "
            "two positions)",
            y->problem, y->context, y->context_mark.line + 1, y->context_mark.column + 1);
    else
        diagnostics_error(parser->diagnostics, at, "yaml", "%s (expected YAML 1.1)", y->problem);
}

static void stop_parsing(struct parser *parser, struct source_pos pos, const char *why)
{
    if (!parser->broken)
        diagnostics_error(parser->diagnostics, pos, "yaml", "%s", why);
    parser->broken = true;
}

/* false: parsing has stopped; no event has to be deleted. */
static bool next_event(struct parser *parser, yaml_event_t *ret_event)
{
    if (parser->broken)
        return false;
    if (yaml_parser_parse(&parser->yaml, ret_event))
        return true;
    syntax_error(parser);
    return false;
}

static struct node *node_new(enum node_kind kind, const yaml_event_t *event)
{
    struct node *node = mem_zalloc(sizeof(*node));
    node->kind = kind;
    node->pos = pos_of(event->start_mark);
    node->from = event->start_mark.index;
    node->until = event->end_mark.index;
    return node;
}

/* Empties the node and makes it NODE_REFUSED. */
static void set_refused(struct node *node)
{
    for (size_t i = 0; i < node->n; i++)
        node_free(&node->items[i]);
    free(node->items);
    free(node->text);
    *node = (struct node){.kind = NODE_REFUSED, .pos = node->pos, .from = node->from, .until = node->until};
}

void node_free(struct node **node)
{
    if (!*node)
        return;
    set_refused(*node);
    free(*node);
    *node = NULL;
}

/* Reports anchors and tags, which may precede any node. */
static void check_properties(struct parser *parser, struct node *node, const yaml_char_t *anchor,
                             const yaml_char_t *tag)
{
    if (anchor)
        diagnostics_error(parser->diagnostics, node->pos, "yaml",
                          "anchor %s is not supported (expected the value itself where it is used)",
                          quoted((const char *)anchor).text);
    if (tag)
        diagnostics_error(parser->diagnostics, node->pos, "yaml",
                          "tag %s is not supported (expected none; put text in quotes)",
                          quoted((const char *)tag).text);
}

/* Checks unquoted text for characters that its author took for a space or a quote. */
static bool check_plain(struct parser *parser, const struct node *node, const char *text, size_t len)
{
    const char *what = NULL;
    size_t char_len;
    for (size_t i = 0; i < len && !what; i++)
        what = yaml_slip_space(text + i, len - i, &char_len);
    if (what)
        diagnostics_error(parser->diagnostics, node->pos, "yaml",
                          "%s in text without quotes (expected an ordinary space, or none)", what);
    else if (yaml_slip_quote(text, len) > 0)
        diagnostics_error(parser->diagnostics, node->pos, "yaml", "typographic quote (expected \" or ')");
    else if (len > 1 && text[len - 1] == '"' && !memchr(text, '"', len - 1))
        diagnostics_error(parser->diagnostics, node->pos, "yaml",
                          "quote is closed but was not opened (expected \" before)");
    else
        return true;
    return false;
}

static struct node *parse_scalar(struct parser *parser, const yaml_event_t *event)
{
    struct node *node = node_new(NODE_TEXT, event);
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    check_properties(parser, node, event->data.scalar.anchor, event->data.scalar.tag);
    if (memchr(text, '\0', len)) {
        diagnostics_error(parser->diagnostics, node->pos, "yaml",
                          "text contains U+0000 (expected printable characters)");
        set_refused(node);
        return node;
    }
    if (event->data.scalar.tag) {
        set_refused(node);
        return node;
    }
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (node->plain && !check_plain(parser, node, text, len)) {
        set_refused(node);
        return node;
    }
    node->text = mem_strndup(text, len);
    return node;
}

/* A list or map in brackets ends with its bracket. One without brackets ends with its last item: the end event comes
 * only with the text that follows. */
static size_t end_of(const struct node *node, const yaml_event_t *end)
{
    if (end->end_mark.index > end->start_mark.index)
        return end->end_mark.index;
    return node->n > 0 ? node->items[node->n - 1]->until : node->until;
}

/* Parses up to the end of a list or a map. */
static void parse_items(struct parser *parser, struct node *node, yaml_event_type_t end, size_t max, unsigned depth)
{
    yaml_event_t event;
    size_t cap = 0;
    while (next_event(parser, &event)) {
        if (event.type == end) {
            node->until = end_of(node, &event);
            yaml_event_delete(&event);
            return;
        }
        if (node->n == max)
            stop_parsing(parser, pos_of(event.start_mark),
                         end == YAML_MAPPING_END_EVENT ? "too many keys in a mapping (expected at most 256)"
                                                       : "too many items in a list (expected at most 4096)");
        struct node *item = parser->broken ? NULL : parse_node(parser, &event, depth);
        yaml_event_delete(&event);
        if (!item)
            return;
        if (node->n == cap) {
            cap = cap ? cap * 2 : 8;
            node->items = mem_realloc(node->items, cap, sizeof(struct node *));
        }
        node->items[node->n++] = item;
    }
}

static void drop_pair(struct node *map, size_t i)
{
    node_free(&map->items[i]);
    node_free(&map->items[i + 1]);
    memmove(&map->items[i], &map->items[i + 2], (map->n - i - 2) * sizeof(map->items[0]));
    map->n -= 2;
}

/* What was probably meant by a key without a value; NULL: exactly that. */
static const char *misread_key(const struct node *key, const struct node *value)
{
    if (key->kind != NODE_TEXT || !key->plain || !node_is_null(value))
        return NULL;
    const char *colon = strchr(key->text, ':');
    size_t digits = strspn(key->text, "0123456789");
    if (colon && colon > key->text && colon[1] && strncmp(colon, "://", 3) != 0)
        return "missing space after the colon (expected KEY: VALUE)";
    return digits > 0 && strlen(key->text + digits) < 3 ? "decimal comma (expected a decimal point)" : NULL;
}

/* Removes pairs whose key is not text. */
static void check_keys(struct parser *parser, struct node *map)
{
    for (size_t i = 0; i + 1 < map->n;) {
        const struct node *key = map->items[i];
        const char *misread = misread_key(key, map->items[i + 1]);
        bool merge = key->kind == NODE_TEXT && key->plain && strcmp(key->text, "<<") == 0;
        if (misread)
            diagnostics_error(parser->diagnostics, key->pos, "yaml", "%s", misread);
        if (key->kind == NODE_TEXT && !merge && !misread) {
            i += 2;
            continue;
        }
        if (key->kind != NODE_REFUSED && !misread)
            diagnostics_error(parser->diagnostics, key->pos, "yaml", "%s",
                              merge ? "merge key << is not supported (expected the keys themselves)"
                                    : "key is not text (expected text)");
        drop_pair(map, i);
    }
}

static struct node *parse_container(struct parser *parser, const yaml_event_t *event, unsigned depth)
{
    bool map = event->type == YAML_MAPPING_START_EVENT;
    struct node *node = node_new(map ? NODE_MAP : NODE_LIST, event);
    /* Both events have an anchor and a tag, but in different members of a union. */
    check_properties(parser, node, map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor,
                     map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    if (depth == TREE_DEPTH_MAX)
        stop_parsing(parser, node->pos, "nested too deeply (expected at most 16 levels)");
    else
        parse_items(parser, node, map ? YAML_MAPPING_END_EVENT : YAML_SEQUENCE_END_EVENT,
                    map ? 2 * TREE_KEYS_MAX : TREE_ITEMS_MAX, depth + 1);
    if (map && !parser->broken)
        check_keys(parser, node);
    return node;
}

static struct node *parse_node(struct parser *parser, const yaml_event_t *event, unsigned depth)
{
    if (event->type == YAML_SCALAR_EVENT)
        return parse_scalar(parser, event);
    if (event->type != YAML_ALIAS_EVENT)
        return parse_container(parser, event, depth);
    struct node *node = node_new(NODE_REFUSED, event);
    diagnostics_error(parser->diagnostics, node->pos, "yaml", "alias %s is not supported (expected the value itself)",
                      quoted((const char *)event->data.alias.anchor).text);
    return node;
}

/* Parses the stream, which must contain one document, and returns its root. */
static struct node *parse_stream(struct parser *parser)
{
    struct node *root = NULL;
    yaml_event_t event;
    bool end = false;
    unsigned documents = 0;
    while (!end && next_event(parser, &event)) {
        switch (event.type) {
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_STREAM_END_EVENT:
            end = true;
            break;
        case YAML_DOCUMENT_START_EVENT:
            if (++documents > 1)
                stop_parsing(parser, pos_of(event.start_mark), "second document (expected one document)");
            break;
        default:
            root = parse_node(parser, &event, 0);
        }
        yaml_event_delete(&event);
    }
    if (parser->broken)
        node_free(&root);
    return root;
}

struct node *tree_parse(const char *text, size_t len, struct diagnostics *diagnostics)
{
    if (len >= 3 && memcmp(text, bom, 3) == 0) {
        text += 3;
        len -= 3;
    }
    struct parser parser = {.diagnostics = diagnostics, .text = text, .len = len};
    if (!yaml_parser_initialize(&parser.yaml))
        no_memory();
    yaml_parser_set_encoding(&parser.yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser.yaml, (const unsigned char *)(text ? text : ""), len);
    struct node *root = parse_stream(&parser);
    yaml_parser_delete(&parser.yaml);
    return root;
}

static size_t find_key(const struct node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP)
        return SIZE_MAX;
    for (size_t i = 0; i + 1 < map->n; i += 2)
        if (strcmp(map->items[i]->text, key) == 0)
            return i;
    return SIZE_MAX;
}

const struct node *node_value(const struct node *map, const char *key)
{
    size_t i = find_key(map, key);
    return i == SIZE_MAX ? NULL : map->items[i + 1];
}

const struct node *node_key(const struct node *map, const char *key)
{
    size_t i = find_key(map, key);
    return i == SIZE_MAX ? NULL : map->items[i];
}

struct source_pos node_pos(const struct node *root, const char *section, const char *key)
{
    const struct node *map = section ? node_value(root, section) : root;
    const struct node *value = node_value(map, key);
    return value ? value->pos : map ? map->pos : root->pos;
}

/* The text after the given number of characters. */
static const char *skip_chars(struct str text, size_t chars)
{
    const char *p = text.p, *end = text.p + text.len;
    for (; p < end && chars > 0; chars--)
        for (p++; p < end && ((unsigned char)*p & 0xc0) == 0x80;)
            p++;
    return p;
}

struct str node_text(const struct node *map, const char *key, struct str text)
{
    const struct node *word = node_key(map, key), *value = node_value(map, key);
    if (!word || !value)
        return (struct str){0};
    if (text.len >= sizeof(bom) - 1 && memcmp(text.p, bom, sizeof(bom) - 1) == 0)
        text = (struct str){text.p + sizeof(bom) - 1, text.len - (sizeof(bom) - 1)};
    const char *from = skip_chars(text, word->from), *until = skip_chars(text, value->until);
    const char *rest = until, *end = text.p + text.len;
    while (rest < end && (*rest == ' ' || *rest == '\t'))
        rest++;
    if (rest < end && *rest == '#')
        for (until = rest; until < end && *until != '\n' && *until != '\r';)
            until++;
    return (struct str){from, (size_t)(until - from)};
}

bool node_is_null(const struct node *node)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; node->kind == NODE_TEXT && node->plain && i < ARRAY_LEN(words); i++)
        if (strcmp(node->text, words[i]) == 0)
            return true;
    return false;
}
