/* An exported network as a kernel of a host code in C, C++ or Fortran.
 *
 * A call reads SIMSTEAD_BATCH samples of SIMSTEAD_INPUTS numbers, sample after sample, and writes
 * SIMSTEAD_BATCH samples of SIMSTEAD_OUTPUTS numbers. All numbers are scaled as in training;
 * encoding and decoding are left to the host. A sample with an input that isn't finite has NaN as
 * its outputs. A handle serves one thread at a time.
 */
#ifndef SIMSTEAD_SURROGATE_H
#define SIMSTEAD_SURROGATE_H

#include "sizes.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct simstead_surrogate simstead_surrogate;

/* Return the network of an artefact, the folder with manifest.json; NULL on failure. */
simstead_surrogate *simstead_open(const char *folder);

/* Compute the outputs of one batch; return 0, or 1 on failure. */
int simstead_run(simstead_surrogate *surrogate, const float *inputs, float *answers);

/* Return the error of this thread's last failed call; valid until its next call. */
const char *simstead_error(void);

/* Release a network; NULL is allowed. */
void simstead_close(simstead_surrogate *surrogate);

#ifdef __cplusplus
}
#endif

#endif
