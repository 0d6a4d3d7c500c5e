/* SPDX-License-Identifier: Apache-2.0
 * nodes SECONDS: times each function of an emitted model compiled with -DMLCC_PROFILE, and prints JSON. */
#include "model.h"

#include "mlcc_profile.h"

int main(int argc, char **argv)
{
    return argc == 2 ? mlcc_profile_model(&model_info, atof(argv[1]), stdout) : 2;
}
