/* Sharing and reassociating: the trace is rewritten before it is split.

   What is computed several times is computed once. Sums are put in another order, so that as many
   of their terms as possible can leave the recurrence, see split.c. */
#include "autograd/compiler/lower.h"
#include "autograd/compiler/split_internal.h"

#include "tensor/memory.h"

/* ---- Sharing --------------------------------------------------------------------------------- */

static int input_of(const cbi_splitter *s, int i, int k) {
    return s->same[cbi_split_node(s, i)->in[k]->node->index];
}

/* Whether a gradient through an op is rounded as all others are: then two of them may be added
   before it instead of after. */
static bool is_of_one_dtype(const cbi_splitter *s, int i) {
    const cb_node *n = cbi_split_node(s, i);
    cb_dtype dtype = s->traced->signature.dtype;
    bool one = n->tensor.dtype == dtype || !cb_dtype_is_float(n->tensor.dtype);
    for (int k = 0; k < n->count; k++)
        one = one && (n->in[k]->dtype == dtype || !cb_dtype_is_float(n->in[k]->dtype));
    return one;
}

static bool is_same(const cbi_splitter *s, int a, int b) {
    bool same = cbi_traced_alike(s->traced, a, b);
    for (int k = 0; same && k < cbi_split_node(s, a)->count; k++)
        same = input_of(s, a, k) == input_of(s, b, k);
    return same;
}

/* Finds what is computed several times, such as by gates that each project x anew and take their
   own part. Among the readers of a node's first input, or those that have none, is its equal. */
bool cbi_share(cbi_splitter *s) {
    int count = s->traced->step_count;
    int *first = cbi_allocate(sizeof(int) * 2 * (size_t)(count + 1)), *next = first + count + 1;
    for (int i = 0; i <= count && first != NULL; i++)
        first[i] = -1;
    for (int i = 0; i < count && first != NULL; i++) {
        s->same[i] = i;
        if (cbi_split_node(s, i)->op == NULL || !is_of_one_dtype(s, i))
            continue;
        int key = cbi_split_node(s, i)->count > 0 ? input_of(s, i, 0) : count;
        int equal = first[key];
        while (equal >= 0 && !is_same(s, i, equal))
            equal = next[equal];
        if (equal >= 0) {
            s->same[i] = equal;
            s->split->shared++;
        } else {
            next[i] = first[key];
            first[key] = i;
        }
    }
    for (int k = 0; first != NULL && k < s->traced->signature.state_count; k++)
        s->next[k] = s->same[s->next[k]];
    cbi_free(first);
    return first != NULL || cbi_split_no_memory(s);
}

/* ---- Reassociating --------------------------------------------------------------------------- */

static bool is_sum(const cb_node *n) {
    return n->op != NULL && n->op->lowering != NULL && n->op->lowering->is_sum != NULL &&
           n->op->lowering->is_sum(n->op);
}

/* The op of node `like` on other inputs. */
static int apply(cbi_splitter *s, const int *in, int like) {
    int before = cbi_traced_count(s->traced);
    int made = cbi_traced_apply(s->traced, like, in);
    for (int i = before; i < cbi_traced_count(s->traced) && i < s->room; i++) {
        s->mixes[i] = s->mixes[like];
        s->scatters[i] = s->scatters[like];
    }
    return made >= 0 && cbi_split_note(s, before) ? made : -1;
}

/* The terms of a sum that is used nowhere else on the way, each as what stands for it. */
static int find_terms(cbi_splitter *s, int sum, int *terms) {
    int count = 0, pending = 0;
    int *stack = terms + s->room;
    stack[pending++] = sum;
    while (pending > 0) {
        int i = stack[--pending];
        const cb_node *n = cbi_split_node(s, i);
        if (is_sum(n) && (i == sum || s->uses[i] == 1)) {
            stack[pending++] = input_of(s, i, 1);
            stack[pending++] = input_of(s, i, 0);
        } else {
            terms[count++] = s->renewed[i];
        }
    }
    return count;
}

static bool same_shape(const cbi_splitter *s, int a, int b) {
    return cb_tensor_same_shape(&cbi_split_node(s, a)->tensor, &cbi_split_node(s, b)->tensor);
}

/* Adds the terms of one sort to what there is already. */
static int add_sort(cbi_splitter *s, int sum, int so_far, int count, const int *terms, int sort,
                    const int *sorts) {
    for (int i = 0; i < count && so_far != -2; i++) {
        if (sorts[i] != sort)
            continue;
        int in[2] = {so_far, terms[i]};
        so_far = so_far == -1 ? terms[i] : apply(s, in, sum);
        so_far = so_far < 0 ? -2 : so_far;
    }
    return so_far;
}

/* A sum in another order: what can leave the recurrence first. Terms that all rows share go with
   those that leave, if one of these is as large as the sum. */
enum { LEAVES, SHARED_BY_ALL, NARROW, STAYS };

static int reassociate(cbi_splitter *s, int sum, int count, int *terms, int *sorts) {
    bool whole = false;
    for (int i = 0; i < count; i++) {
        cbi_level l = s->level[terms[i]];
        sorts[i] = l == CBI_STEP                  ? STAYS
                   : l == CBI_INVARIANT           ? SHARED_BY_ALL
                   : same_shape(s, terms[i], sum) ? LEAVES
                                                  : NARROW;
        whole = whole || sorts[i] == LEAVES;
    }
    int shared = add_sort(s, sum, -1, count, terms, SHARED_BY_ALL, sorts);
    int total = add_sort(s, sum, -1, count, terms, LEAVES, sorts);
    int both[2] = {total, shared};
    if (whole && shared >= 0 && total >= 0)
        total = apply(s, both, sum);
    total = add_sort(s, sum, total, count, terms, NARROW, sorts);
    total = add_sort(s, sum, total, count, terms, STAYS, sorts);
    if (whole || shared < 0 || total < 0)
        return shared == -2 ? -1 : total < 0 ? shared : total;
    int last[2] = {total, shared};
    return apply(s, last, sum);
}

/* Whether another order lets more of the terms leave, or leaves fewer to add in the step. */
static bool is_worth_it(const cbi_splitter *s, int count, const int *terms) {
    int staying = 0;
    for (int i = 0; i < count; i++)
        staying += s->level[terms[i]] == CBI_STEP;
    return staying < count - 1 && count > 2;
}

static int renew_sum(cbi_splitter *s, int i, int *memory) {
    int *terms = memory, *sorts = memory + 2 * s->room;
    int count = find_terms(s, i, terms);
    if (!is_worth_it(s, count, terms))
        return -2;
    s->split->reassociated++;
    return reassociate(s, i, count, terms, sorts);
}

/* The output of what stands for the first one. */
static int renew_output(const cbi_splitter *s, int i) {
    const cb_node *n = cbi_split_node(s, i), *first = n->owner;
    int renewed = s->renewed[first->index], k = 1;
    while (first->outs[k]->node != n)
        k++;
    return cbi_split_node(s, renewed)->outs[k]->node->index;
}

/* The same op on what stands for its inputs. */
static int renew_op(cbi_splitter *s, int i, int *in) {
    const cb_node *n = cbi_split_node(s, i);
    bool changed = false;
    if (n->owner != NULL)
        return renew_output(s, i);
    for (int k = 0; k < n->count; k++) {
        in[k] = s->renewed[input_of(s, i, k)];
        changed = changed || in[k] != n->in[k]->node->index;
    }
    return changed ? apply(s, in, i) : i;
}

static void count_uses(cbi_splitter *s) {
    int count = s->traced->step_count;
    for (int k = 0; k < s->traced->signature.state_count; k++)
        s->uses[s->next[k]]++;
    for (int i = count - 1; i >= 0; i--) {
        if (s->uses[i] > 0 && cbi_split_node(s, i)->owner != NULL)
            s->uses[cbi_split_node(s, i)->owner->index]++;
        for (int k = 0; s->uses[i] > 0 && k < cbi_split_node(s, i)->count; k++)
            s->uses[input_of(s, i, k)]++;
    }
}

/* Whether a sum is a term of another, and of nothing else. */
static bool is_inner_sum(const cbi_splitter *s, const bool *inner, int i) {
    return s->uses[i] == 1 && inner[i];
}

bool cbi_reassociate(cbi_splitter *s) {
    int count = s->traced->step_count;
    int *memory = cbi_allocate(sizeof(int) * 3 * (size_t)(s->room + 1));
    bool *inner = cbi_allocate((size_t)count + 1);
    bool good = memory != NULL && inner != NULL;
    count_uses(s);
    for (int i = 0; good && i < count; i++)
        for (int k = 0; s->uses[i] > 0 && is_sum(cbi_split_node(s, i)) && k < 2; k++)
            inner[input_of(s, i, k)] = true;
    for (int i = 0; good && i < count; i++) {
        s->renewed[i] = i;
        if (s->uses[i] == 0 || cbi_split_node(s, i)->op == NULL)
            continue;
        int made = -2;
        if (is_sum(cbi_split_node(s, i)) && s->level[i] == CBI_STEP && !is_inner_sum(s, inner, i))
            made = renew_sum(s, i, memory);
        s->renewed[i] = made != -2 ? made : renew_op(s, i, memory);
        good = s->renewed[i] >= 0;
    }
    for (int k = 0; good && k < s->traced->signature.state_count; k++)
        s->next[k] = s->renewed[s->next[k]];
    cbi_free(memory);
    cbi_free(inner);
    return good || cbi_split_fail_traced(s);
}
