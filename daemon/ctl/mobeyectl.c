/* The program: finds the verb and runs it. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/nearest.h"
#include "ctl/lib/ctl.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
#define CTL_VERB(name, run, summary) {name, run, summary},
#include "ctl/lib/verbs.def"
#undef CTL_VERB
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void help(FILE *out)
{
    fputs("Usage: mobeyectl VERB [OPTION]... [ARGUMENT]...\n"
          "Administers mobeyed, the alarm-ingest daemon, and its database.\n\nVerbs:\n",
          out);
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].summary);
    fputs("\n  -h, --help     print this help; after a verb, the help of that verb\n"
          "  -V, --version  print the version\n\n"
          "Verbs read " CONF_DEFAULT_FILE " unless -c FILE is given; --db CONNINFO overrides the\n"
          "database in it.\n\n"
          "Exit status: 0 success, 1 failure, 2 usage error. See mobeyectl(1).\n",
          out);
}

static const char *verb_name(const void *ctx, size_t i)
{
    (void)ctx;
    return i < N_VERBS ? verbs[i].name : NULL;
}

/* The status of a verb whose output is complete; output lost to a full disk or a closed pipe makes it a failure. */
static int finish_output(const char *verb, int status)
{
    bool lost = ferror(stdout) != 0;
    if (fflush(stdout) != 0 && !lost)
        return ctl_fail(verb, "standard output: %m");
    if (lost && status == CTL_OK)
        return ctl_fail(verb, "standard output: it was not written completely");
    return status;
}

int main(int argc, char **argv)
{
    file_hold_standard();
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        help(stderr);
        return CTL_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "help") == 0) {
        help(stdout);
        return CTL_OK;
    }
    if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) {
        puts("mobeyectl " MOBEYE_VERSION);
        return CTL_OK;
    }
    for (size_t i = 0; i < N_VERBS; i++)
        if (strcmp(word, verbs[i].name) == 0)
            return finish_output(word, verbs[i].run(argc - 1, argv + 1));
    fprintf(stderr, "mobeyectl: unknown verb \"%s\"%s; 'mobeyectl --help' lists the verbs\n", word,
            nearest_hint(word, verb_name, NULL).text);
    return CTL_USAGE;
}
