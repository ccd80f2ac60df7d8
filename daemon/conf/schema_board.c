#include "base/array.h"
#include "conf/conf_board.h"
#include "conf/schema.h"

#define BOARD(member) .offset = offsetof(struct conf_board, member), .size = sizeof(((struct conf_board *)0)->member)

static const char *language_word(unsigned i, unsigned *ret_value)
{
    static const char *const words[] = {[BOARD_DUTCH] = "nl", [BOARD_ENGLISH] = "en"};
    *ret_value = i;
    return i < ARRAY_LEN(words) ? words[i] : NULL;
}

/* clang-format off */
static const struct schema_key keys[] = {
    {.path = SCHEMA_BOARD ".listen", .type = SCHEMA_TEXT, .min = 1, .max = 120, .required = true, BOARD(listen),
     .about = "Where the reverse proxy connects: unix:PATH, or ADDRESS:PORT of the loopback interface."},
    {.path = SCHEMA_BOARD ".origin", .type = SCHEMA_TEXT, .min = 1, .max = 255, BOARD(origin),
     .about = "The origin of the page as the browser sees it, such as https://board.example.nl; a POST from another one is "
              "refused. Default: the Host of the request."},

    {.path = SCHEMA_BOARD ".database", .type = SCHEMA_SECTION, .about = "The database that the board shows."},
    {.path = SCHEMA_BOARD ".database.conninfo", .type = SCHEMA_CONNINFO, .required = true, BOARD(database.conninfo),
     .about = "How to connect to the database, as a login that may act for people (mobeye_board)."},
    {.path = SCHEMA_BOARD ".database.connections", .type = SCHEMA_INT, .min = 1, .max = 64, .fallback = "4",
     .unit = "connections", BOARD(database.connections),
     .about = "Connections for requests; one more follows the changes."},

    {.path = SCHEMA_BOARD ".identity", .type = SCHEMA_SECTION,
     .about = "Who the person is: either header or fixed."},
    {.path = SCHEMA_BOARD ".identity.header", .type = SCHEMA_TEXT, .min = 1, .max = 64, BOARD(identity.header),
     .about = "The header in which the reverse proxy gives the login of the person."},
    {.path = SCHEMA_BOARD ".identity.peers", .type = SCHEMA_TEXTS, .min = 1, .max = 32, BOARD(identity.peers),
     .second = offsetof(struct conf_board, identity.n_peers),
     .about = "The users of this machine that are trusted to name the person: that of the reverse proxy (unix:PATH only)."},
    {.path = SCHEMA_BOARD ".identity.secret", .type = SCHEMA_SECTION, .optional = true,
     .about = "What the reverse proxy proves itself with (ADDRESS:PORT only)."},
    {.path = SCHEMA_BOARD ".identity.secret.header", .type = SCHEMA_TEXT, .min = 1, .max = 64, .required = true,
     BOARD(identity.secret_header),
     .about = "The header in which the reverse proxy gives the secret."},
    {.path = SCHEMA_BOARD ".identity.secret.file", .type = SCHEMA_SECRET, .required = true, BOARD(identity.secret_file),
     .about = "The file whose first line is the secret, readable by its owner only."},
    {.path = SCHEMA_BOARD ".identity.fixed", .type = SCHEMA_TEXT, .min = 1, .max = 63, BOARD(identity.fixed),
     .about = "Everybody is this person (ADDRESS:PORT only, for a trial). A request by a domain name is refused, unless it "
              "is that of origin."},

    {.path = SCHEMA_BOARD ".language", .type = SCHEMA_WORD, .word = language_word, .fallback = "nl", BOARD(language),
     .about = "The language until the person chooses one."},

    {.path = SCHEMA_BOARD ".tiles", .type = SCHEMA_SECTION, .optional = true,
     .about = "Map tiles. Each request for one tells its server which home is looked at. Default: no tiles; the map shows areas and incidents only."},
    {.path = SCHEMA_BOARD ".tiles.url", .type = SCHEMA_TEXT, .min = 1, .max = 255, .required = true, BOARD(tiles.url),
     .about = "The address of a tile, with {z}, {x} and {y}."},
    {.path = SCHEMA_BOARD ".tiles.attribution", .type = SCHEMA_TEXT, .min = 1, .max = 255, .required = true,
     BOARD(tiles.attribution),
     .about = "The attribution shown on the map."},

    {.path = SCHEMA_BOARD ".http", .type = SCHEMA_SECTION, .about = "The HTTP server for metrics and health checks."},
    {.path = SCHEMA_BOARD ".http.listen", .type = SCHEMA_LISTEN, BOARD(http_listen),
     .about = "The address at which /metrics and /healthz are served. Default: not served."},
};
/* clang-format on */

const struct schema_table schema_board = {keys, ARRAY_LEN(keys)};
