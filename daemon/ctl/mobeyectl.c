/* The program: finds the verb and runs it. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl/lib/ctl.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} verbs[] = {
    {"setup", ctl_setup, "make database, configuration and the way in between, and try it by a drill"},
    {"migrate", ctl_migrate, "create or upgrade the database schema"},
    {"send", ctl_send, "send alerts to a daemon and wait for every reply"},
    {"keygen", ctl_keygen, "make a key pair of CURVE"},
    {"status", ctl_status, "one screen: how the daemon, its journal and the database are"},
    {"doctor", ctl_doctor, "look at the machine and the database, with advice"},
    {"journal", ctl_journal, "list, verify, dump or replay the journal"},
    {"quarantine", ctl_quarantine, "list, show, retry or discard what the database refused"},
    {"areas", ctl_areas, "import areas: districts, neighbourhoods, hotspots"},
    {"devices", ctl_devices, "import devices and placements; list unknown senders"},
    {"device", ctl_device, "place, retrieve or show one device"},
    {"people", ctl_people, "import people"},
    {"teams", ctl_teams, "import teams and their areas"},
    {"watch", ctl_watch, "follow what happens to incidents: to a pipe, a command or a webhook"},
    {"retention", ctl_retention, "what is past its time of keeping; erase it"},
    {"subject", ctl_subject, "a person's request: export or erase what is kept about a home"},
    {"dc09", ctl_dc09, "write, read and send SIA DC-09 frames: a test dialler"},
    {"explain", ctl_explain, "what the rules make of an alert or an incident, and why"},
    {"replay", ctl_replay, "what other rules would have made of the alerts that are stored"},
    {"apply", ctl_apply, "check rules, show what they would change, install them and reload"},
    {"test-rules", ctl_test_rules, "play scenarios against rules: do the incidents come out as expected?"},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void help(FILE *out)
{
    fputs("Usage: mobeyectl VERB [OPTION]... [ARGUMENT]...\n"
          "Works with mobeyed, the alarm-ingest daemon, and its database.\n\nVerbs:\n",
          out);
    for (size_t i = 0; i < N_VERBS; i++)
        fprintf(out, "  %-12s %s\n", verbs[i].name, verbs[i].summary);
    fputs("\n  -h, --help     this text; after a verb, that verb's\n"
          "  -V, --version  the version\n\n"
          "Verbs read " CTL_DEFAULT_FILE " unless -c FILE says otherwise; --db CONNINFO goes before the\n"
          "database in it. Exit status: 0 done, 1 failed, 2 wrong usage. See mobeyectl(1).\n",
          out);
}

int main(int argc, char **argv)
{
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
            return verbs[i].run(argc - 1, argv + 1);
    fprintf(stderr, "mobeyectl: no verb \"%s\"; 'mobeyectl --help' lists them\n", word);
    return CTL_USAGE;
}
