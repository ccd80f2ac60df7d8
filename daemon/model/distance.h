/*
 * The distance between two places.
 */
#ifndef MOBEYE_MODEL_DISTANCE_H
#define MOBEYE_MODEL_DISTANCE_H

/* Metres between two places in degrees WGS84, by the ellipsoid's radii of curvature at their mean latitude: exact to a
 * millimetre up to a few kilometres, as rules need (moved_over, radius); beyond that only an approximation. */
double distance_m(double lon_a, double lat_a, double lon_b, double lat_b);

#endif
