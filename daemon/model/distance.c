#include "model/distance.h"

#include <math.h>

/* The ellipsoid of WGS84. */
#define EQUATOR_M      6378137.0
#define ECCENTRICITY_2 6.69437999014e-3
#define DEGREE         (M_PI / 180)

double distance_m(double lon_a, double lat_a, double lon_b, double lat_b)
{
    double lat = (lat_a + lat_b) / 2 * DEGREE;
    double bend = 1 - ECCENTRICITY_2 * sin(lat) * sin(lat);
    double across_m = EQUATOR_M / sqrt(bend), along_m = across_m * (1 - ECCENTRICITY_2) / bend;
    double east = remainder(lon_b - lon_a, 360) * DEGREE * cos(lat) * across_m;
    double north = (lat_b - lat_a) * DEGREE * along_m;
    return hypot(east, north);
}
