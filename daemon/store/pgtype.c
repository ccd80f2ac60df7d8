#include "store/pgtype.h"

#define SRID_WGS84 4326

/* Little-endian, type Point with the flag for an SRID. */
void pgtype_point(uint8_t ret[PGTYPE_POINT_BYTES], double lon, double lat)
{
    static const uint8_t type[] = {1, 1, 0, 0, 0x20};
    uint32_t srid = htole32(SRID_WGS84);
    uint64_t bits[2];
    memcpy(&bits[0], &lon, sizeof(lon));
    memcpy(&bits[1], &lat, sizeof(lat));
    bits[0] = htole64(bits[0]);
    bits[1] = htole64(bits[1]);
    memcpy(ret, type, sizeof(type));
    memcpy(ret + sizeof(type), &srid, sizeof(srid));
    memcpy(ret + sizeof(type) + sizeof(srid), bits, sizeof(bits));
}
