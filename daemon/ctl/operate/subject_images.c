#include "ctl/operate/subject_images.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ctl/lib/ctl.h"

#define IMAGES_OF_REQUEST                                                                                              \
    " from mobeye.subject($1, $2, $3::timestamptz, $4::timestamptz) w"                                                 \
    " cross join lateral mobeye.subject_scope(w.device_id, w.during) s cross join lateral mobeye.subject_images(s) m"

static const char count_images[] = "select count(distinct m.image_id)" IMAGES_OF_REQUEST;
static const char read_images[] =
    "select i.image_id::text, i.media_type, i.image from mobeye.snapshot i"
    " where (i.image_id, i.occurred_at) in (select m.image_id, m.occurred_at" IMAGES_OF_REQUEST ")";

enum { IMAGE_ID, MEDIA_TYPE, PIXELS };

/* The file name ending of "image/jpeg" and the like. */
static const char *ending_of(const char *media_type)
{
    return strcmp(media_type, "image/jpeg") == 0 ? "jpg" : strcmp(media_type, "image/png") == 0 ? "png" : "webp";
}

static int write_image(int dir, const char *verb, const char *directory, const PGresult *row)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.%s", PQgetvalue(row, 0, IMAGE_ID), ending_of(PQgetvalue(row, 0, MEDIA_TYPE)));
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ctl_fail(verb, "%s/%s: %s", directory, name, strerror(errno));
    struct str image = {PQgetvalue(row, 0, PIXELS), (size_t)PQgetlength(row, 0, PIXELS)};
    int rc = file_write(fd, image), why = errno;
    close(fd);
    if (rc == 0)
        return CTL_OK;
    unlinkat(dir, name, 0);
    return ctl_fail(verb, "%s/%s: %s", directory, name, strerror(why));
}

/* Reads to the end whatever happens: until then the connection cannot be used. */
static int write_rows(PGconn *conn, int dir, const char *verb, const char *directory)
{
    unsigned n = 0;
    int status = CTL_OK;
    for (PGresult *row; (row = PQgetResult(conn)); PQclear(row)) {
        if (PQresultStatus(row) == PGRES_SINGLE_TUPLE) {
            if (status == CTL_OK && (status = write_image(dir, verb, directory, row)) == CTL_OK)
                n++;
        } else if (PQresultStatus(row) != PGRES_TUPLES_OK) {
            status = ctl_fail_sql(verb, "images", row);
        }
    }
    fprintf(stderr, "%u image%s written to %s\n", n, ctl_plural(n), directory);
    return status;
}

static int open_directory(const char *verb, const char *directory)
{
    if (mkdir(directory, 0700) != 0 && errno != EEXIST) {
        ctl_fail(verb, "%s: %s", directory, strerror(errno));
        return -1;
    }
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        ctl_fail(verb, "%s: %s", directory, strerror(errno));
    return dir;
}

static int say_how_many(PGconn *conn, const char *verb, const char *const request[4])
{
    PGresult *rows = ctl_query(conn, verb, "images", count_images, 4, request);
    if (!rows)
        return CTL_FAILED;
    if (strcmp(PQgetvalue(rows, 0, 0), "0") != 0)
        fprintf(stderr, "%s images are listed without their pixels (--images DIRECTORY writes them)\n",
                PQgetvalue(rows, 0, 0));
    PQclear(rows);
    return CTL_OK;
}

int subject_images_write(PGconn *conn, const char *verb, const char *const request[4], const char *directory)
{
    if (!directory)
        return say_how_many(conn, verb, request);
    int dir = open_directory(verb, directory);
    if (dir < 0)
        return CTL_FAILED;
    int status = CTL_FAILED;
    if (PQsendQueryParams(conn, read_images, 4, NULL, request, NULL, NULL, 1) && PQsetSingleRowMode(conn))
        status = write_rows(conn, dir, verb, directory);
    else
        ctl_fail(verb, "images: %s", PQerrorMessage(conn));
    close(dir);
    return status;
}
