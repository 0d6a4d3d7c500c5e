/* SPDX-License-Identifier: Apache-2.0
 *
 * Ranked shapes, and the text of a tuning file.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tuning.h"

static const double NEAR = 0.999; /* costs closer than this are equal */

void shapes_add(ShapeList *l, TileShape s)
{
    int k = l->n;
    while (k > 0 && s.cost < l->at[k - 1].cost * NEAR)
        k--;
    if (k == RANKS)
        return;
    l->n = l->n < RANKS ? l->n + 1 : RANKS;
    for (int q = l->n - 1; q > k; q--)
        l->at[q] = l->at[q - 1];
    l->at[k] = s;
}

static bool same_shape(const TileShape *p, const TileShape *q)
{
    return p->down == q->down && p->rows == q->rows && p->lanes == q->lanes;
}

static int rank_of(const ShapeList *l, const TileShape *s)
{
    for (int k = 0; k < l->n; k++)
        if (same_shape(&l->at[k], s))
            return k;
    return -1;
}

TunedTile *tuning_find(const Tuning *t, const char *kind)
{
    const uint64_t *at = map_str((Map *)&t->index, kind, false);
    return at ? &t->tile.at[*at - 1] : NULL;
}

static TunedTile *tile_of(Tuning *t, const char *kind)
{
    uint64_t *at = map_str(&t->index, kind, true);
    if (!*at) {
        PUSH(t->a, &t->tile, (TunedTile){.kind = kind});
        *at = t->tile.n;
    }
    return &t->tile.at[*at - 1];
}

TileShape tuning_choose(Tuning *t, const char *kind, const ShapeList *l)
{
    if (!t)
        return l->at[0];
    TunedTile *tile = tile_of(t, kind);
    tile->list = *l;
    const int picked = rank_of(l, &tile->pick);
    return l->at[picked >= 0 ? picked : min_i64(t->rank, l->n - 1)];
}

/* ---- text ---- */

typedef struct Line { const char *at, *end; uint32_t number; } Line;

static bool next_line(Line *l)
{
    if (l->number)
        l->at = *l->end ? l->end + 1 : l->end;
    l->number++;
    l->end = l->at + strcspn(l->at, "\n");
    return *l->at != 0;
}

static bool read_tile(Arena *a, Diags *d, const char *path, const Line *l, Tuning *t)
{
    const char *line = str_ndup(a, l->at, (size_t)(l->end - l->at)), *colon = strchr(line, ':');
    TileShape s = {0};
    int used = 0;
    const bool shape = colon && sscanf(colon + 1, "%" SCNd32 "x%" SCNd32 "x%" SCNd32 "%n", &s.down, &s.rows, &s.lanes, &used) == 3 && s.down > 0 && s.rows > 0 && s.lanes > 0;
    const char *rest = shape ? colon + 1 + used : "";
    if (!shape || (rest[strspn(rest, " \r")] != 0 && rest[strspn(rest, " \r")] != '#'))
        return diag_error(d, "tuning-file", "%s:%u: expected KIND: DOWNxROWSxLANES, found '%s'; write the file anew with --tune", path, l->number, printable(a, line));
    tile_of(t, str_ndup(a, line, (size_t)(colon - line)))->pick = s;
    return true;
}

bool tuning_read(Arena *a, Diags *d, const char *path, const char *text, const Machine *m, Tuning *t)
{
    Line l = {.at = text};
    char machine[64];
    unsigned version;
    if (!next_line(&l) || sscanf(l.at, "mlcc tuning %u %63[a-z0-9_]", &version, machine) != 2 || version != 1)
        return diag_error(d, "tuning-file", "'%s' does not begin with 'mlcc tuning 1 MACHINE'; --tune writes such files", printable(a, path));
    if (strcmp(machine, m->name) != 0)
        return diag_error(d, "tuning-machine", "'%s' was measured for %s, this compile is for %s; measure again with --tune, or name that machine with -march=",
                          printable(a, path), machine, m->name);
    while (next_line(&l))
        if (*l.at != '#' && l.end > l.at && !read_tile(a, d, path, &l, t))
            return false;
    return true;
}

void tuning_print(Text *out, const Tuning *t, const Machine *m)
{
    text_add(out, "mlcc tuning 1 %s\n", m->name);
    for (uint32_t k = 0; k < t->tile.n; k++) {
        const TunedTile *tile = &t->tile.at[k];
        const TileShape *s = &tile->list.at[tile->best];
        if (!(tile->us[0] > 0)) /* of no function, such as what was considered on the way */
            continue;
        text_add(out, "%s: %" PRId32 "x%" PRId32 "x%" PRId32 "    # us", tile->kind, s->down, s->rows, s->lanes);
        for (int r = 0; r < tile->list.n; r++)
            text_add(out, " %.1f", tile->us[r]);
        text_add(out, "\n");
    }
}

void tuning_stale(Diags *d, const Tuning *t)
{
    for (uint32_t k = 0; k < t->tile.n; k++) {
        const TunedTile *tile = &t->tile.at[k];
        if (tile->pick.rows && tile->list.n && rank_of(&tile->list, &tile->pick) < 0)
            diag_add(d, SEV_WARNING, "stale-tuning", NULL, "the tuning of '%s' names a shape that is not among the best %d any more; the best is taken (measure again with --tune)",
                     tile->kind, tile->list.n);
    }
}
