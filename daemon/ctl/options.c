#include "ctl/options.h"

#include <getopt.h>
#include <stdio.h>

#include "ctl/ctl.h"

enum { OPTIONS_MAX = 24, FIRST = 256 };

/* As getopt_long() and the reading of its answers want them. */
struct table {
    const struct ctl_option *taken[OPTIONS_MAX];
    struct option longs[OPTIONS_MAX + 1];
    int n;
};

static void add(struct table *table, const struct ctl_option *options)
{
    for (; options->name && table->n < OPTIONS_MAX; options++) {
        int has_value = options->value ? required_argument : no_argument;
        table->taken[table->n] = options;
        table->longs[table->n] = (struct option){options->name, has_value, NULL, FIRST + table->n};
        table->n++;
    }
}

int ctl_options(int argc, char **argv, const struct ctl_option *options, const char *help, struct ctl_common *ret)
{
    const struct ctl_option common[] = {{"config", &ret->file, NULL},
                                        {"db", &ret->db, NULL},
                                        {"json", NULL, &ret->json},
                                        {"help", NULL, &ret->help},
                                        {0}};
    struct table table = {0};
    int option;
    add(&table, common);
    add(&table, options);
    optind = 1;
    while ((option = getopt_long(argc, argv, "c:h", table.longs, NULL)) != -1) {
        if (option == '?')
            return CTL_USAGE;
        const struct ctl_option *found = option == 'c'   ? &common[0]
                                         : option == 'h' ? &common[3]
                                                         : table.taken[option - FIRST];
        if (found->value)
            *found->value = optarg;
        else
            *found->flag = true;
    }
    if (ret->help)
        fputs(help, stdout);
    return CTL_OK;
}
