#include "base/array.h"
#include "conf/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"

enum { FILE_MAX = 1 << 20 };

static const struct source_pos top = {1, 1};

int loader_read(const char *file, struct buf *ret, struct err *err)
{
    if (file_load(AT_FDCWD, file, FILE_MAX, ret) == 0)
        return 0;
    if (errno == EFBIG)
        return err_set(err, "is too large (expected at most 1 MiB)");
    return err_set(err, "cannot be read: %s (expected a YAML file)", strerror(errno));
}

/* NULL: not a mapping, which is reported. The caller frees it. */
static struct node *parse_mapping(const struct loader_program *program, struct str text,
                                  struct diagnostics *diagnostics)
{
    struct node *root = tree_parse(text.p, text.len, diagnostics);
    if (root && root->kind == NODE_MAP)
        return root;
    if (root && !node_is_null(root))
        diagnostics_error(diagnostics, root->pos, "file", "is not a mapping (expected at least %s)", program->required);
    else if (!diagnostics->bad)
        diagnostics_error(diagnostics, top, "file", "is empty (expected at least %s)", program->required);
    node_free(&root);
    return NULL;
}

static size_t known_keys(const struct node *root, const char *scope)
{
    size_t n = 0;
    for (size_t i = 0; i + 1 < root->n; i += 2)
        n += schema_find(scope, root->items[i]->text) != NULL;
    return n;
}

static const char *program_of(const char *scope)
{
    return *scope ? scope : "mobeyed";
}

/* Whether the file is that of another program; this is reported instead of each of its keys. */
static bool is_of_another(const struct loader_program *program, const struct node *root,
                          struct diagnostics *diagnostics)
{
    static const char *const scopes[] = {SCHEMA_MOBEYED, SCHEMA_FRIGATE, SCHEMA_BOARD};
    size_t own = known_keys(root, program->scope);
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        if (known_keys(root, scopes[i]) < own + 2)
            continue;
        diagnostics_error(diagnostics, root->pos, "file", "is a configuration of %s (expected one of %s)",
                          program_of(scopes[i]), program_of(program->scope));
        return true;
    }
    return false;
}

void *loader_parse(const struct loader_program *program, const struct loader_source *source, struct str text,
                   struct buf *out)
{
    struct diagnostics diagnostics = {0};
    struct node *root = parse_mapping(program, text, &diagnostics);
    bool own = root && !is_of_another(program, root, &diagnostics);
    void *conf = own ? program->load(source, root, text, &diagnostics) : NULL;
    if (conf && diagnostics.bad) {
        program->free(conf);
        conf = NULL;
    }
    diagnostics_write(&diagnostics, source->file, out);
    diagnostics_free(&diagnostics);
    node_free(&root);
    return conf;
}

void *loader_load(const struct loader_program *program, const struct loader_source *source, struct buf *out)
{
    struct err err;
    struct buf text = {0};
    void *conf = NULL;
    if (loader_read(source->file, &text, &err) == 0)
        conf = loader_parse(program, source, buf_str(&text), out);
    else
        buf_printf(out, "%s:1:1: file: %s\n", source->file, err.text);
    buf_free(&text);
    return conf;
}
