/*
 * How far apart two places are.
 */
#ifndef MOBEYE_MODEL_DISTANCE_H
#define MOBEYE_MODEL_DISTANCE_H

/* Metres between two places in degrees WGS84. Right to a millimetre where they are a few kilometres apart, as rules ask
 * (moved_over, radius); for places far apart only that they are far. */
double distance_m(double lon_a, double lat_a, double lon_b, double lat_b);

#endif
