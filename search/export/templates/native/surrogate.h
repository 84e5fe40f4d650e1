/* An exported network as a kernel of a host code in C, C++ or Fortran.
 *
 * A call reads SIMSTEAD_BATCH samples of SIMSTEAD_INPUTS numbers, sample after sample, and writes
 * SIMSTEAD_BATCH of SIMSTEAD_OUTPUTS. Numbers are scaled as in training: encoding and decoding are
 * the problem's. A handle serves one thread at a time; open one for each.
 */
#ifndef SIMSTEAD_SURROGATE_H
#define SIMSTEAD_SURROGATE_H

#include "sizes.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct simstead_surrogate simstead_surrogate;

/* Return the network of an artefact, the folder with manifest.json; NULL where that fails. */
simstead_surrogate *simstead_open(const char *folder);

/* Answer one batch; return 0, or 1 where that fails. */
int simstead_run(simstead_surrogate *surrogate, const float *inputs, float *answers);

/* Return why this thread's last call failed; kept until its next call. */
const char *simstead_error(void);

/* Let go of a network; NULL is nothing to let go of. */
void simstead_close(simstead_surrogate *surrogate);

#ifdef __cplusplus
}
#endif

#endif
