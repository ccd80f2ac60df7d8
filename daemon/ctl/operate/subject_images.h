/*
 * The images for a person's request, as files: IMAGE_ID.jpg, .png or .webp, which nobody but the caller can read.
 */
#ifndef MOBEYE_CTL_OPERATE_SUBJECT_IMAGES_H
#define MOBEYE_CTL_OPERATE_SUBJECT_IMAGES_H

#include <libpq-fe.h>

/* Writes each image of the request (as mobeye.subject_export() takes it) into the directory, which is created if
 * necessary, one at a time, and says on stderr how many. An existing file is never replaced. If directory is NULL, only
 * says how many there are. Returns a status of ctl.h; errors are printed. */
int subject_images_write(PGconn *conn, const char *verb, const char *const request[4], const char *directory);

#endif
