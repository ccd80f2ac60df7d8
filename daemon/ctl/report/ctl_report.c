/* mobeyectl report: figures and hotspots from what is stored. PostgreSQL computes them; this prints them. */
#include <stdio.h>
#include <string.h>

#include "base/array.h"
#include "base/nearest.h"
#include "conf/value.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/options.h"
#include "ctl/report/report.h"

static const char help[] =
    "Usage: mobeyectl report wijk --from DATE --until DATE [OPTION]...\n"
    "       mobeyectl report near-repeat --from DATE --until DATE [OPTION]...\n"
    "       mobeyectl report hotspots --from DATE --until DATE [OPTION]...\n"
    "       mobeyectl report devices --from DATE --until DATE [OPTION]...\n"
    "Reports on a period of local days. Drills never count.\n\n"
    "wijk is the district safety report: for each area and in total, burglaries, attempts, alarms, their outcomes,\n"
    "nights with sets in place, and measures, each compared with the preceding period and a year earlier. As HTML it\n"
    "is one file in Dutch, to be printed on A4. Small numbers are left out, and others from which they could be\n"
    "computed. near-repeat shows whether burglaries (attempts included) or alarms near each other in space are also\n"
    "near in time more often than expected by chance: the Knox test. hotspots prints GeoJSON for areas import --layer\n"
    "hotspot: the cells of a grid aligned with the origin of RD New in which most happened, adjacent ones joined.\n"
    "devices shows for each device the nights that it was in place, its alarms and their outcomes, and the card for\n"
    "its false alarms: yellow for the second within 3 months, red for another within the 3 months after that.\n\n"
    "      --from DATE         first day, such as 2026-01-01\n"
    "      --until DATE        day after the last one\n"
    "      --layer LAYER       wijk: the layer of areas (default: wijk)\n"
    "      --code CODE         wijk: only the rows of this area, and the totals; may be repeated\n"
    "      --min-cell N        wijk: numbers below N are left out (default: 5)\n"
    "      --excel             wijk: CSV with a byte order mark, as Excel expects\n"
    "  -o, --output FILE       wijk: write to FILE (default: standard output)\n"
    "      --of WHAT           near-repeat, hotspots: burglaries or alarms (default: burglaries)\n"
    "      --distances LIST    near-repeat: where bands begin, in metres (default: 0,1,100,200,300); the last has no "
    "end\n"
    "      --days LIST         near-repeat: where bands begin, in days (default: 0,7,14,21); the last has no end\n"
    "      --metric METRIC     near-repeat: euclidean or manhattan (default: euclidean)\n"
    "      --simulations N     near-repeat: permutations of the days (default: 999)\n"
    "      --seed N            near-repeat: which permutations, 1 to 2147483562 (default: 1)\n"
    "      --cell METRES       hotspots: size of the cells (default: 125)\n"
    "      --min N             hotspots: least number in a cell (default: 3)\n"
    "      --format FORMAT     near-repeat: text or json; devices: text, csv or json (default: text);\n"
    "                          wijk: html, csv or json (default: html)\n"
    "  -c, --config FILE       configuration file (default: " CONF_DEFAULT_FILE ")\n"
    "      --db CONNINFO       libpq connection string; overrides database.conninfo\n"
    "  -h, --help              print this help\n\n"
    "Example:\n"
    "  $ mobeyectl report wijk --from 2026-01-01 --until 2026-07-01 -o wijken.html\n"
    "  $ mobeyectl report hotspots --from 2026-01-01 --until 2026-07-01 > hotspots.geojson\n"
    "  $ mobeyectl areas import --layer hotspot hotspots.geojson\n\n"
    "Requires membership in mobeye_analyst (whole months, nothing that shows a home) or the owner of the schema;\n"
    "devices: also mobeye_registry or mobeye_patrol.\n" CTL_EXIT_HELP;

enum { WIJK, NEAR_REPEAT, HOTSPOTS, DEVICES };

#define PERIOD "from until config db "

static const struct ctl_verb actions[] = {
    [WIJK] = {"wijk", .takes = PERIOD "layer code min-cell format excel output"},
    [NEAR_REPEAT] = {"near-repeat", .takes = PERIOD "of distances days metric simulations seed format"},
    [HOTSPOTS] = {"hotspots", .takes = PERIOD "of cell min"},
    [DEVICES] = {"devices", .takes = PERIOD "format"},
    {0}};
static const struct ctl_verb verb = {REPORT_VERB, .help = help, .actions = actions};
static int (*const prints[])(PGconn *conn, const struct report_request *request) = {
    [WIJK] = report_wijk, [NEAR_REPEAT] = report_near_repeat, [HOTSPOTS] = report_hotspots, [DEVICES] = report_devices};

/* The formats of each action; hotspots has no --format. */
static const struct formats {
    size_t n;
    enum report_format formats[3];
    const char *words;
} formats[] = {[WIJK] = {3, {REPORT_HTML, REPORT_CSV, REPORT_JSON}, "html, csv or json"},
               [NEAR_REPEAT] = {2, {REPORT_TEXT, REPORT_JSON}, "text or json"},
               [DEVICES] = {3, {REPORT_TEXT, REPORT_CSV, REPORT_JSON}, "text, csv or json"}};

static const char *format_word(const void *ctx, size_t i)
{
    static const char *const words[] = {
        [REPORT_TEXT] = "text", [REPORT_JSON] = "json", [REPORT_CSV] = "csv", [REPORT_HTML] = "html"};
    const struct formats *of_action = ctx;
    return i < of_action->n ? words[of_action->formats[i]] : NULL;
}

/* CTL_OK, or CTL_USAGE after an error: the action does not have this format. */
static int read_format(const char *word, int action, enum report_format *ret)
{
    const struct formats *of_action = &formats[action];
    const char *known;
    if (!word)
        return CTL_OK;
    for (size_t i = 0; (known = format_word(of_action, i)); i++)
        if (strcmp(word, known) == 0) {
            *ret = of_action->formats[i];
            return CTL_OK;
        }
    const char *nearest = nearest_word(word, format_word, of_action);
    return nearest ? ctl_usage(REPORT_VERB, "--format: \"%s\" is not a format (did you mean %s?)", word, nearest)
                   : ctl_usage(REPORT_VERB, "--format: \"%s\" is not a format (expected %s)", word, of_action->words);
}

/* Other ways to write a day depend on the DateStyle of the database. */
static bool is_day(const char *text)
{
    uint32_t day;
    return value_date(text, &day, NULL) == 0 && strncmp(text, "0000", 4) != 0;
}

static bool is_whole(const char *text)
{
    int64_t number;
    return value_int(text, &number, NULL) == 0 && number >= INT32_MIN && number <= INT32_MAX;
}

static bool is_number(const char *text)
{
    double number;
    return value_number(text, &number, NULL) == 0;
}

/* Whether each of the items, separated by commas, is valid. */
static bool all_are(const char *text, bool (*is_item)(const char *))
{
    char item[32];
    for (;; text++) {
        text += strspn(text, " ");
        size_t len = strcspn(text, ",");
        if (snprintf(item, sizeof(item), "%.*s", (int)len, text) >= (int)sizeof(item) || !is_item(item))
            return false;
        text += len;
        if (!*text)
            return true;
    }
}

/* CTL_OK, or the status after an error: the database would not name the option. */
static int check_numbers(const struct report_request *request)
{
    const struct {
        const char *option, *text;
        bool list, whole;
    } all[] = {
        {"min-cell", request->min_cell, false, true},
        {"cell", request->cell, false, true},
        {"min", request->min, false, true},
        {"simulations", request->simulations, false, true},
        {"seed", request->seed, false, true},
        {"days", request->days, true, true},
        {"distances", request->distances, true, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        bool (*is_item)(const char *) = all[i].whole ? is_whole : is_number;
        if (all[i].text && !(all[i].list ? all_are(all[i].text, is_item) : is_item(all[i].text)))
            return ctl_usage(REPORT_VERB, "--%s: \"%s\" is not a %s (expected %s)", all[i].option, all[i].text,
                             all[i].list ? "list of numbers" : "number",
                             !all[i].list   ? "a whole number"
                             : all[i].whole ? "whole numbers with commas between them"
                                            : "numbers with commas between them");
    }
    return CTL_OK;
}

/* "1-7-2026": 2026-07-01. */
static int refuse_day(const char *option, const char *text)
{
    int day = 0, month = 0, year = 0, end = 0;
    char meant[48] = "", separator[2];
    if (sscanf(text, "%2d%1[-/.]%2d%*1[-/.]%4d%n", &day, separator, &month, &year, &end) == 4 && !text[end] &&
        day >= 1 && day <= 31 && month >= 1 && month <= 12 && year >= 1000)
        snprintf(meant, sizeof(meant), ", did you mean %04d-%02d-%02d?", year, month, day);
    return ctl_usage(REPORT_VERB, "--%s: \"%s\" is not a day%s (expected YYYY-MM-DD)", option, text, meant);
}

int ctl_report(int argc, char **argv)
{
    struct report_request request = {0};
    const char *format = NULL;
    const struct ctl_option options[] = {
        {"from", .text = &request.from},
        {"until", .text = &request.until},
        {"layer", .text = &request.layer},
        {"code", .text = request.codes, .n = &request.n_codes, .most = REPORT_CODES_MAX},
        {"min-cell", .text = &request.min_cell},
        {"excel", .flag = &request.excel},
        {"output", .letter = 'o', .text = &request.output},
        {"of", .text = &request.of},
        {"distances", .text = &request.distances},
        {"days", .text = &request.days},
        {"metric", .text = &request.metric},
        {"simulations", .text = &request.simulations},
        {"seed", .text = &request.seed},
        {"cell", .text = &request.cell},
        {"min", .text = &request.min},
        {"format", .text = &format},
        {0}};
    struct ctl_call call;
    int status = ctl_parse(argc, argv, &verb, options, &call);
    if (status != CTL_GO)
        return status;
    if (!request.from || !request.until)
        return ctl_usage(REPORT_VERB, "missing period (expected --from DATE and --until DATE)");
    if (!is_day(request.from) || !is_day(request.until))
        return refuse_day(is_day(request.from) ? "until" : "from", is_day(request.from) ? request.until : request.from);
    request.format = call.action == WIJK ? REPORT_HTML : REPORT_TEXT;
    status = read_format(format, call.action, &request.format);
    if (status != CTL_OK)
        return status;
    if (request.excel && request.format != REPORT_CSV)
        return ctl_usage(REPORT_VERB, "--excel requires --format csv");
    status = check_numbers(&request);
    if (status != CTL_OK)
        return status;
    PGconn *conn = ctl_connect(REPORT_VERB, call.file, call.db);
    status = conn ? prints[call.action](conn, &request) : CTL_FAILED;
    PQfinish(conn);
    if (status == CTL_OK && fflush(stdout) != 0)
        status = ctl_fail(REPORT_VERB, "standard output: cannot be written");
    return status;
}
