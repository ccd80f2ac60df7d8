#include "ctl/lib/options.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"
#include "ctl/lib/ctl.h"

enum { OPTIONS_MAX = 24, FIRST = 256 };

/* The options in the form that getopt_long() needs, and which of them were given. */
struct option_table {
    struct ctl_option options[OPTIONS_MAX];
    struct option longs[OPTIONS_MAX + 1];
    char letters[2 * OPTIONS_MAX + 2];
    bool given[OPTIONS_MAX];
    int n;
};

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = words; (at = strstr(at, word)); at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
            return true;
    return false;
}

/* Whether the verb, or any of its actions, takes the option. */
static bool verb_takes(const struct ctl_verb *verb, const char *option)
{
    if (!verb->actions)
        return has_word(verb->takes, option);
    for (const struct ctl_verb *action = verb->actions; action->name; action++)
        if (has_word(action->takes, option))
            return true;
    return false;
}

static void add_option(struct option_table *table, struct ctl_option option)
{
    int has_value = option.text ? required_argument : no_argument;
    int answer = option.letter ? option.letter : FIRST + table->n;
    assert(table->n < OPTIONS_MAX);
    size_t len = strlen(table->letters);
    if (option.letter)
        snprintf(table->letters + len, sizeof(table->letters) - len, "%c%s", option.letter, option.text ? ":" : "");
    table->longs[table->n] = (struct option){option.name, has_value, NULL, answer};
    table->options[table->n++] = option;
}

static int row_of(const struct option_table *table, int answer)
{
    int row = 0;
    while (table->longs[row].val != answer)
        row++;
    return row;
}

static int store_option(const char *verb, const struct ctl_option *option)
{
    if (option->n && *option->n == option->most)
        return ctl_usage(verb, "--%s: too many values (expected at most %zu)", option->name, option->most);
    if (option->n)
        option->text[(*option->n)++] = optarg;
    else if (option->text)
        *option->text = optarg;
    else
        *option->flag = true;
    return CTL_GO;
}

static const char *option_name(const void *ctx, size_t i)
{
    const struct option_table *table = ctx;
    return i < (size_t)table->n ? table->options[i].name : NULL;
}

/* Prints what is wrong with the argument that getopt_long() has just refused. */
static int refuse_argument(const char *verb, const struct option_table *table, int answer, char *const *argv)
{
    const char *word = argv[optind - 1];
    if (answer == ':')
        return ctl_usage(verb, "%s: value is missing", word);
    if (strncmp(word, "--", 2) != 0)
        return ctl_usage(verb, "unknown option -%c", optopt);
    char name[64] = "";
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
    if (optopt != 0)
        return ctl_usage(verb, "--%s: takes no value", name);
    const char *nearest = nearest_word(name, option_name, table);
    return nearest ? ctl_usage(verb, "unknown option --%s (did you mean --%s?)", name, nearest)
                   : ctl_usage(verb, "unknown option --%s", name);
}

/* Returns CTL_GO; CTL_OK if --help was given; CTL_USAGE after printing an error. */
static int read_options(int argc, char **argv, const char *verb, struct option_table *table)
{
    int answer;
    opterr = 0;
    optind = 0; /* GNU: start over, since a verb may run another one */
    while ((answer = getopt_long(argc, argv, table->letters, table->longs, NULL)) != -1) {
        if (answer == '?' || answer == ':')
            return refuse_argument(verb, table, answer, argv);
        if (answer == 'h')
            return CTL_OK;
        int row = row_of(table, answer);
        table->given[row] = true;
        if (store_option(verb, &table->options[row]) != CTL_GO)
            return CTL_USAGE;
    }
    return CTL_GO;
}

static void list_actions(const struct ctl_verb *actions, struct buf *out)
{
    for (int i = 0; actions[i].name; i++)
        buf_printf(out, "%s%s%s%s",
                   i == 0                ? ""
                   : actions[i + 1].name ? ", "
                                         : " or ",
                   actions[i].name, actions[i].argument ? " " : "", actions[i].argument ? actions[i].argument : "");
}

static const char *action_name(const void *ctx, size_t i)
{
    const struct ctl_verb *actions = ctx;
    return actions[i].name;
}

/* Consumes the word that names the action. */
static int find_action(const struct ctl_verb *verb, struct ctl_call *call)
{
    struct buf can = {0};
    const char *word = call->arguments[0];
    for (int i = 0; word && verb->actions[i].name; i++) {
        if (strcmp(word, verb->actions[i].name) != 0)
            continue;
        call->action = i;
        call->arguments++;
        call->n_arguments--;
        return CTL_GO;
    }
    list_actions(verb->actions, &can);
    const char *nearest = word ? nearest_word(word, action_name, verb->actions) : NULL;
    int status = nearest ? ctl_usage(verb->name, "unknown action \"%s\" (did you mean %s?)", word, nearest)
                 : word  ? ctl_usage(verb->name, "unknown action \"%s\" (expected %.*s)", word, (int)can.len, can.data)
                         : ctl_usage(verb->name, "missing action (expected %.*s)", (int)can.len, can.data);
    buf_free(&can);
    return status;
}

static int refuse_option(const char *verb, const struct ctl_verb *action, const char *option)
{
    struct buf allowed = {0};
    for (const char *at = action->takes; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        buf_printf(&allowed, "%s--%.*s", allowed.len ? ", " : "", (int)len, at);
        at += len;
    }
    int status =
        ctl_usage(verb, "--%s is not an option of %s (allowed: %.*s%s%s)", option, action->name, (int)allowed.len,
                  allowed.data, action->argument ? ", " : "", action->argument ? action->argument : "");
    buf_free(&allowed);
    return status;
}

static int check_options(const char *verb, const struct ctl_verb *action, const struct option_table *table)
{
    for (int i = 0; i < table->n; i++)
        if (table->given[i] && !has_word(action->takes, table->options[i].name))
            return refuse_option(verb, action, table->options[i].name);
    return CTL_GO;
}

static int check_arguments(const char *verb, const struct ctl_verb *action, const struct ctl_call *call)
{
    const char *what = action->argument ? action->argument : "argument";
    const char *many = action->most == 0 ? "no" : action->least == 0 ? "at most one" : "one";
    if (call->n_arguments < action->least)
        return ctl_usage(verb, "%s takes %s %s%s", action->name, many, what, action->most > 1 ? " or more" : "");
    if (call->n_arguments > action->most)
        return ctl_usage(verb, "\"%s\": %s takes %s %s", call->arguments[action->most], action->name, many, what);
    return CTL_GO;
}

static int check_call(const struct ctl_verb *verb, const struct option_table *table, struct ctl_call *call)
{
    int status = verb->actions ? find_action(verb, call) : CTL_GO;
    const struct ctl_verb *action = verb->actions ? &verb->actions[call->action] : verb;
    if (status == CTL_GO && verb->actions)
        status = check_options(verb->name, action, table);
    return status == CTL_GO ? check_arguments(verb->name, action, call) : status;
}

int ctl_parse(int argc, char **argv, const struct ctl_verb *verb, const struct ctl_option *own, struct ctl_call *ret)
{
    const struct ctl_option common[] = {{"config", .letter = 'c', .text = &ret->file},
                                        {"db", .text = &ret->db},
                                        {"json", .flag = &ret->json},
                                        {"yes", .flag = &ret->yes},
                                        {0}};
    struct option_table table = {.letters = ":"};
    *ret = (struct ctl_call){0};
    add_option(&table, (struct ctl_option){"help", .letter = 'h'});
    for (const struct ctl_option *option = common; option->name; option++)
        if (verb_takes(verb, option->name))
            add_option(&table, *option);
    for (; own->name; own++)
        add_option(&table, *own);
    int status = read_options(argc, argv, verb->name, &table);
    if (status == CTL_OK)
        fputs(verb->help, stdout);
    ret->arguments = argv + optind;
    ret->n_arguments = argc - optind;
    return status == CTL_GO ? check_call(verb, &table, ret) : status;
}
