/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of what the scheduler makes of tensor expressions: their nests on a machine, from text.
 */
#ifndef MLCC_TEST_SCHEDULED_H
#define MLCC_TEST_SCHEDULED_H

#include "context.h"
#include "compiler/schedule.h"

/* Plain nests for "generic". */
static const Unit *scheduled(const char *text, const char *march)
{
    Machine m;
    const Te *te = te_parse(&cx, text);
    if (!te || te_verify(arena, te) || !machine_for(&diags, "host", march, &m))
        fail_msg("%s%s", text, problems());
    const Unit *u = build_nests(&cx, march[0] == 'g' ? schedule_O0(arena, te) : schedule_auto(arena, te, &m, NULL, 1), "test");
    assert_non_null(u);
    return u;
}
#endif
