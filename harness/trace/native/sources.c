#include "native.h"

/* Return the CRC-32 of the C sources that this library was built from; hatch_build.py defines it. */
int64_t sources_checksum(void)
{
    return SOURCES_CHECKSUM;
}
