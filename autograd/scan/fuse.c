/* Fusing: which instructions run together, row by row.

   A product reads whole rows of its left operand and takes all rows of a tile at once; everything
   else is computed for a row from that same row. A value's stage is the number of products on the
   way to it. All values of a stage that are no products form one program, which goes through the
   rows one by one, all its instructions on a row before the next row: what passes between them is a
   row in the L1 cache. Only what a later stage or a product reads crosses the program's end and has
   to lie in memory. */
#include "autograd/scan/plan_internal.h"

#include <string.h>

static int last_stage(const cbi_planner *p) {
    int last = 0;
    for (int v = 0; v < p->graph->value_count; v++)
        last = p->stage[v] > last ? p->stage[v] : last;
    return last;
}

/* What the pass leaves of a part of a value is copied at its end. */
static void find_parts_left(cbi_planner *p) {
    for (int i = 0; i < p->graph->state_count; i++) {
        int left = p->pass == 0 ? p->graph->next[i] : p->graph->state_gradient[i];
        int whole = left >= 0 ? cbi_whole_of(p, left) : left;
        if (whole != left && p->stage[whole] < last_stage(p))
            p->crosses[whole] = true;
    }
}

void cbi_find_stages(cbi_planner *p) {
    memset(p->crosses, 0, sizeof(bool) * (size_t)p->graph->value_count);
    for (int v = 0; v < p->graph->value_count; v++) {
        p->stage[v] = 0;
        if (!p->live[p->pass][v] ||
            !(cbi_is_computed(p, v) || cbi_value_of(p, v)->kind == CBI_PART))
            continue;
        for (int k = 0; k < cbi_value_of(p, v)->count; k++)
            if (p->stage[cbi_value_of(p, v)->in[k]] > p->stage[v])
                p->stage[v] = p->stage[cbi_value_of(p, v)->in[k]];
        if (cbi_value_of(p, v)->kind == CBI_PRODUCT)
            p->stage[v]++;
    }
    for (int v = 0; v < p->graph->value_count; v++)
        for (int k = 0; cbi_is_computed(p, v) && k < cbi_value_of(p, v)->count; k++) {
            int from = cbi_whole_of(p, cbi_value_of(p, v)->in[k]);
            if (p->stage[from] < p->stage[v] || cbi_value_of(p, v)->kind == CBI_PRODUCT)
                p->crosses[from] = true;
        }
    find_parts_left(p);
}

void cbi_find_programs(cbi_planner *p) {
    int last = last_stage(p);
    for (int stage = 0; stage <= last; stage++)
        for (int products = 1; products >= 0; products--)
            for (int v = 0; v < p->graph->value_count; v++)
                if (cbi_is_computed(p, v) && p->stage[v] == stage &&
                    (cbi_value_of(p, v)->kind == CBI_PRODUCT) == (products == 1))
                    cbi_emit_value(p, v);
    cbi_emit_results(p);
}
