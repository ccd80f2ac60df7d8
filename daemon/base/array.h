/*
 * The number of elements of an array, which must not be a pointer.
 */
#ifndef MOBEYE_BASE_ARRAY_H
#define MOBEYE_BASE_ARRAY_H

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

#endif
