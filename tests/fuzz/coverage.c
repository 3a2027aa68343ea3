/* The list of properties that are counted. */
#include "coverage.h"

#include "execute.h"
#include "forms.h"

#include <string.h>

#define OF_PROGRAM(name, expression)                                                               \
    static bool name(const program *p) {                                                           \
        return expression;                                                                         \
    }
#define OF_VALUE(name, expression)                                                                 \
    static bool name(const program *p, const value *v) {                                           \
        (void)p;                                                                                   \
        return expression;                                                                         \
    }

/* ---- Runs ------------------------------------------------------------------------------------ */

OF_PROGRAM(is_f32, p->dtype == CB_F32)
OF_PROGRAM(is_f64, p->dtype == CB_F64)
OF_PROGRAM(time_0, p->run.time == 0)
OF_PROGRAM(time_1, p->run.time == 1)
OF_PROGRAM(time_17, p->run.time == 17)
OF_PROGRAM(batch_0, p->run.batch == 0)
OF_PROGRAM(batch_1, p->run.batch == 1)
OF_PROGRAM(batch_33, p->run.batch >= 33)
OF_PROGRAM(lengths, p->run.lengths)
OF_PROGRAM(reverse, p->run.reverse)
OF_PROGRAM(table, p->run.table > 0)
OF_PROGRAM(rows, p->run.rows)
OF_PROGRAM(strided_x, p->run.table == 0 && p->run.x_layout != PLAIN)
OF_PROGRAM(constant_x, p->run.constant_x)
OF_PROGRAM(no_gradient, p->run.no_gradient)
OF_PROGRAM(into, p->run.into)
OF_PROGRAM(asked, p->run.asked != 0)
OF_PROGRAM(two_sweeps, p->run.sweeps > 1)
OF_PROGRAM(two_runs, p->run.runs > 1)
OF_PROGRAM(unread_output, p->run.output == UNREAD)
OF_PROGRAM(last_output, p->run.output == LAST)

static bool starts_from(const program *p, origin s) {
    for (int i = 0; i < p->state_count; i++)
        if (origin_of(p, i) == s)
            return true;
    return false;
}
OF_PROGRAM(from_zeros, starts_from(p, ZEROS))
OF_PROGRAM(from_constant, starts_from(p, CONSTANT))
OF_PROGRAM(from_spread, starts_from(p, SPREAD))
OF_PROGRAM(from_shared, starts_from(p, SHARED))

/* ---- States ---------------------------------------------------------------------------------- */

OF_PROGRAM(one_state, p->state_count == 1)
OF_PROGRAM(two_states, p->state_count == 2)
OF_PROGRAM(more_states, p->state_count > 2)

static bool sizes_differ(const program *p) {
    for (int i = 1; i < p->state_count; i++)
        if (p->state_size[i] != p->state_size[0])
            return true;
    return false;
}

static const form *next_form(const program *p, int state) {
    return p->values[p->next[state]].form;
}

static bool becomes(const program *p, const form *f) {
    for (int i = 0; i < p->state_count; i++)
        if (next_form(p, i) == f)
            return true;
    return false;
}
OF_PROGRAM(becomes_part, becomes(p, &form_slice) || becomes(p, &form_chunk))
OF_PROGRAM(becomes_join, becomes(p, &form_concat))
OF_PROGRAM(becomes_x, becomes(p, &form_x))
OF_PROGRAM(becomes_constant, becomes(p, &form_full))
OF_PROGRAM(becomes_product, becomes(p, &form_linear) || becomes(p, &form_matmul))
OF_PROGRAM(becomes_view, becomes(p, &form_reshape) || becomes(p, &form_expand) ||
                             becomes(p, &form_transpose) || becomes(p, &form_flip))

static bool keeps_state(const program *p) {
    for (int i = 0; i < p->state_count; i++)
        if (next_form(p, i) == &form_state && p->values[p->next[i]].number[0] == i)
            return true;
    return false;
}

static bool exchanges_states(const program *p) {
    for (int i = 0; i < p->state_count; i++)
        if (next_form(p, i) == &form_state && p->values[p->next[i]].number[0] != i)
            return true;
    return false;
}

static bool one_for_two(const program *p) {
    for (int i = 1; i < p->state_count; i++)
        for (int k = 0; k < i; k++)
            if (p->next[i] == p->next[k])
                return true;
    return false;
}

static bool sums(const program *p) {
    for (int i = 0; i < p->state_count; i++)
        if (p->sums[i])
            return true;
    return false;
}

static bool is_read(const program *p, const form *leaf, int64_t number) {
    bool live[MOST_VALUES];
    int at = program_leaf(p, leaf, number);
    program_live(p, live);
    return at != NO_VALUE && live[at];
}

static bool unread_state(const program *p) {
    for (int i = 0; i < p->state_count; i++)
        if (!is_read(p, &form_state, i))
            return true;
    return false;
}
OF_PROGRAM(unread_x, !is_read(p, &form_x, 0))

/* ---- Weights --------------------------------------------------------------------------------- */

static bool unread_weight(const program *p) {
    for (int i = 0; i < p->weight_count; i++)
        if (!is_read(p, &form_weight, i))
            return true;
    return false;
}

static bool has_layout(const program *p, layout l) {
    for (int i = 0; i < p->weight_count; i++)
        if (p->weights[i].layout == l && p->weights[i].shape.rank > (l == TRANSPOSED))
            return true;
    return false;
}
OF_PROGRAM(transposed_weight, has_layout(p, TRANSPOSED))
OF_PROGRAM(flipped_weight, has_layout(p, FLIPPED))
OF_PROGRAM(expanded_weight, has_layout(p, EXPANDED))
OF_PROGRAM(sliced_weight, has_layout(p, SLICED))

static bool one_weight_twice(const program *p) {
    for (int i = 0; i < p->weight_count; i++)
        if (weight_slot(p, i) != i)
            return true;
    return false;
}

static bool constant_weight(const program *p) {
    for (int i = 0; i < p->weight_count; i++)
        if (p->weights[i].constant)
            return true;
    return false;
}

static bool weight_read_twice(const program *p) {
    int uses[MOST_VALUES] = {0};
    bool live[MOST_VALUES];
    program_live(p, live);
    for (int i = 0; i < p->value_count; i++)
        for (int k = 0; live[i] && k < p->values[i].count; k++)
            if (p->values[i].in[k] != NO_VALUE &&
                p->values[p->values[i].in[k]].form == &form_weight &&
                ++uses[p->values[i].in[k]] > 1)
                return true;
    return false;
}

static bool dead_values(const program *p) {
    bool live[MOST_VALUES];
    program_live(p, live);
    for (int i = 0; i < p->value_count; i++)
        if (!live[i] && !form_is_leaf(p->values[i].form))
            return true;
    return false;
}

/* ---- Products -------------------------------------------------------------------------------- */

static const value *input(const program *p, const value *v, int i) {
    return &p->values[v->in[i]];
}

static bool is_product(const value *v) {
    return v->form == &form_linear || v->form == &form_matmul;
}

/* A matrix product whose operands have these shapes; B: the batch, 1: an extent of 1, n: any other,
   and nothing else. */
static bool has_shapes(const program *p, const value *v, const char *left, const char *right) {
    const char *patterns[2] = {left, right};
    if (v->form != &form_matmul)
        return false;
    for (int i = 0; i < 2; i++) {
        const extents *shape = &input_type(p, v, i)->shape;
        if (shape->rank != (int)strlen(patterns[i]))
            return false;
        for (int k = 0; k < shape->rank; k++) {
            char c = shape->at[k].batch ? 'B' : shape->at[k].times == 1 ? '1' : 'n';
            if (c != patterns[i][k] && !(c == '1' && patterns[i][k] == 'n'))
                return false;
        }
    }
    return true;
}
OF_VALUE(rows_times_matrix, has_shapes(p, v, "Bn", "nn"))
OF_VALUE(batched, has_shapes(p, v, "Bnn", "Bnn"))
OF_VALUE(batched_shared, has_shapes(p, v, "Bnn", "nn"))
OF_VALUE(shared_batched, has_shapes(p, v, "nn", "Bnn"))
OF_VALUE(block_diagonal, has_shapes(p, v, "nBn", "nnn"))
OF_VALUE(inner_product, has_shapes(p, v, "B1n", "Bn1"))
OF_VALUE(outer_product, has_shapes(p, v, "Bn1", "B1n"))
OF_VALUE(of_weights, has_shapes(p, v, "nn", "nn"))
OF_VALUE(across_batch, has_shapes(p, v, "Bn", "nB") || has_shapes(p, v, "BB", "Bn"))

static bool in_a_row(const program *p, const value *v) {
    return is_product(v) && is_product(input(p, v, 0)) &&
           batch_count(&input(p, v, 0)->type.shape) > 0;
}
OF_VALUE(biased, v->form == &form_linear && v->in[2] != NO_VALUE)

static bool computed_weight(const program *p, const value *v) {
    return is_product(v) && !form_is_leaf(input(p, v, 1)->form) &&
           batch_count(&input(p, v, 1)->type.shape) == 0;
}

static bool joined_operand(const program *p, const value *v) {
    return is_product(v) && input(p, v, 0)->form == &form_concat;
}

static bool sliced_operand(const program *p, const value *v) {
    return is_product(v) &&
           (input(p, v, 0)->form == &form_slice || input(p, v, 0)->form == &form_chunk);
}

/* ---- Broadcasts ------------------------------------------------------------------------------ */

/* Two operands of which one has this shape and the result has that one. */
static bool spreads(const program *p, const value *v, const extents *from, int rank) {
    if (v->form->arity < 2 || v->type.shape.rank != rank || same_extents(from, &v->type.shape))
        return false;
    return same_extents(from, &input_type(p, v, 0)->shape) ||
           same_extents(from, &input_type(p, v, 1)->shape);
}

static extent last(const value *v) {
    return v->type.shape.rank > 0 ? v->type.shape.at[v->type.shape.rank - 1] : fixed(1);
}
OF_VALUE(spreads_number, spreads(p, v, &(extents){.rank = 0}, 2))
OF_VALUE(spreads_vector, spreads(p, v, &(extents){1, {last(v)}}, 2))
OF_VALUE(spreads_row, spreads(p, v, &(extents){2, {fixed(1), last(v)}}, 2))
OF_VALUE(spreads_column, spreads(p, v, &(extents){2, {batches(1), fixed(1)}}, 2))

static bool spreads_both(const program *p, const value *v) {
    return v->form->arity == 2 && !same_extents(&input_type(p, v, 0)->shape, &v->type.shape) &&
           !same_extents(&input_type(p, v, 1)->shape, &v->type.shape);
}
OF_VALUE(spreads_in_three,
         v->form->arity == 2 && v->type.shape.rank >= 3 &&
             !same_extents(&input_type(p, v, 0)->shape, &input_type(p, v, 1)->shape))

/* ---- Shapes ---------------------------------------------------------------------------------- */

OF_VALUE(rank_3, v->type.shape.rank == 3 && batch_count(&v->type.shape) > 0)
OF_VALUE(rank_4, v->type.shape.rank == 4 && batch_count(&v->type.shape) > 0)
OF_VALUE(rank_5, v->type.shape.rank == 5 && batch_count(&v->type.shape) > 0)
OF_VALUE(batch_inside, batch_axis(&v->type.shape) > 0)
OF_VALUE(batch_alone, v->type.shape.rank == 1 && batch_count(&v->type.shape) == 1)

static bool heads_in_batch(const program *p, const value *v) {
    int axis = batch_axis(&v->type.shape);
    (void)p;
    return axis >= 0 && v->type.shape.at[axis].times > 1;
}
OF_VALUE(is_wide, v->type.shape.rank == 2 && batch_axis(&v->type.shape) == 0 &&
                      v->type.shape.at[1].times > 64)
OF_VALUE(is_integer, !cb_dtype_is_float(v->type.dtype))
OF_VALUE(is_other_float, cb_dtype_is_float(v->type.dtype) && v->type.dtype != p->dtype)
OF_VALUE(in_steps, v->form == &form_slice && v->number[2] > 1)
OF_VALUE(many_joined, (v->form == &form_concat || v->form == &form_stack) && v->count > 2)

/* Takes axes to reduce, so many of them; the batch among them or not. */
static bool reduces(const program *p, const value *v, int count, bool over_batch) {
    bool reduction = v->form == &form_sum || v->form == &form_mean || v->form == &form_max ||
                     v->form == &form_min || v->form == &form_var || v->form == &form_logsumexp;
    bool found = false;
    for (int i = 0; reduction && i < v->axis_count; i++)
        found = found || input_type(p, v, 0)->shape.at[v->axes[i]].batch;
    return reduction && v->axis_count >= count && found == over_batch;
}
OF_VALUE(reduces_columns, reduces(p, v, 1, false))
OF_VALUE(reduces_several, reduces(p, v, 2, false))
OF_VALUE(reduces_batch, reduces(p, v, 1, true))
OF_VALUE(axes_removed, reduces(p, v, 1, false) && !v->flag)

const feature all_features[] = {
    {"run", "f32", is_f32, NULL},
    {"run", "f64", is_f64, NULL},
    {"run", "no time steps", time_0, NULL},
    {"run", "1 time step", time_1, NULL},
    {"run", "17 time steps", time_17, NULL},
    {"run", "no sequences", batch_0, NULL},
    {"run", "1 sequence", batch_1, NULL},
    {"run", "33 or 70 sequences", batch_33, NULL},
    {"run", "lengths", lengths, NULL},
    {"run", "reverse", reverse, NULL},
    {"run", "x looked up in a table", table, NULL},
    {"run", "x looked up by the scan", rows, NULL},
    {"run", "x strided", strided_x, NULL},
    {"run", "x without a gradient", constant_x, NULL},
    {"run", "on a tape without gradients", no_gradient, NULL},
    {"run", "gradients added to the caller's", into, NULL},
    {"run", "gradients of some variables, by cb_grad", asked, NULL},
    {"run", "two backward sweeps", two_sweeps, NULL},
    {"run", "two runs, states carried on", two_runs, NULL},
    {"run", "outputs that the loss does not read", unread_output, NULL},
    {"run", "the loss reads the last output only", last_output, NULL},
    {"run", "a state starts from zeros", from_zeros, NULL},
    {"run", "a state starts without a gradient", from_constant, NULL},
    {"run", "a state starts from one row for all", from_spread, NULL},
    {"run", "two states start from one tensor", from_shared, NULL},
    {"states", "1", one_state, NULL},
    {"states", "2", two_states, NULL},
    {"states", "3 or 4", more_states, NULL},
    {"states", "of different sizes", sizes_differ, NULL},
    {"states", "becomes a part of a value", becomes_part, NULL},
    {"states", "becomes a join", becomes_join, NULL},
    {"states", "becomes a product", becomes_product, NULL},
    {"states", "becomes another view", becomes_view, NULL},
    {"states", "becomes x", becomes_x, NULL},
    {"states", "becomes a constant", becomes_constant, NULL},
    {"states", "stays", keeps_state, NULL},
    {"states", "becomes another state", exchanges_states, NULL},
    {"states", "two become one value", one_for_two, NULL},
    {"states", "grows", sums, NULL},
    {"states", "unread", unread_state, NULL},
    {"states", "x unread", unread_x, NULL},
    {"weights", "unread", unread_weight, NULL},
    {"weights", "read twice", weight_read_twice, NULL},
    {"weights", "one tensor in two places", one_weight_twice, NULL},
    {"weights", "without a gradient", constant_weight, NULL},
    {"weights", "transposed in memory", transposed_weight, NULL},
    {"weights", "flipped in memory", flipped_weight, NULL},
    {"weights", "expanded in memory", expanded_weight, NULL},
    {"weights", "every other column in memory", sliced_weight, NULL},
    {"weights", "computed from weights", NULL, computed_weight},
    {"products", "rows x matrix: [B,k] [k,n]", NULL, rows_times_matrix},
    {"products", "with a bias", NULL, biased},
    {"products", "of a product", NULL, in_a_row},
    {"products", "of a join", NULL, joined_operand},
    {"products", "of a part", NULL, sliced_operand},
    {"products", "[B,m,k] [B,k,n]", NULL, batched},
    {"products", "[B,m,k] [k,n]", NULL, batched_shared},
    {"products", "[m,k] [B,k,n]", NULL, shared_batched},
    {"products", "[h,B,k] [h,k,n]: block-diagonal", NULL, block_diagonal},
    {"products", "[B,1,k] [B,k,1]: inner", NULL, inner_product},
    {"products", "[B,m,1] [B,1,n]: outer", NULL, outer_product},
    {"products", "[m,k] [k,n]: weights", NULL, of_weights},
    {"products", "across the batch", NULL, across_batch},
    {"broadcasts", "a number over [B,n]", NULL, spreads_number},
    {"broadcasts", "[n] over [B,n]", NULL, spreads_vector},
    {"broadcasts", "[1,n] over [B,n]", NULL, spreads_row},
    {"broadcasts", "[B,1] over [B,n]", NULL, spreads_column},
    {"broadcasts", "both operands", NULL, spreads_both},
    {"broadcasts", "in three axes or more", NULL, spreads_in_three},
    {"shapes", "three axes", NULL, rank_3},
    {"shapes", "four axes", NULL, rank_4},
    {"shapes", "five axes", NULL, rank_5},
    {"shapes", "the batch is not the first axis", NULL, batch_inside},
    {"shapes", "the batch is the only axis", NULL, batch_alone},
    {"shapes", "heads or more merged with the batch", NULL, heads_in_batch},
    {"shapes", "more than 64 columns", NULL, is_wide},
    {"shapes", "integers", NULL, is_integer},
    {"shapes", "the other float", NULL, is_other_float},
    {"shapes", "a slice in steps", NULL, in_steps},
    {"shapes", "a join of more than two", NULL, many_joined},
    {"shapes", "values that nothing reads", dead_values, NULL},
    {"reductions", "within a sequence", NULL, reduces_columns},
    {"reductions", "over several axes", NULL, reduces_several},
    {"reductions", "that remove the axis", NULL, axes_removed},
    {"reductions", "over the batch", NULL, reduces_batch},
    {NULL, NULL, NULL, NULL},
};

void cover(const program *p, bool has_form[MOST_FORMS], bool has_feature[MOST_FEATURES]) {
    bool live[MOST_VALUES];
    program_live(p, live);
    memset(has_form, 0, MOST_FORMS);
    memset(has_feature, 0, MOST_FEATURES);
    for (int f = 0; all_features[f].text != NULL; f++)
        has_feature[f] = all_features[f].of_program != NULL && all_features[f].of_program(p);
    for (int i = 0; i < p->value_count; i++) {
        const value *v = &p->values[i];
        if (!live[i])
            continue;
        for (int f = 0; all_forms[f] != NULL; f++)
            has_form[f] = has_form[f] || all_forms[f] == v->form;
        for (int f = 0; all_features[f].text != NULL; f++)
            has_feature[f] = has_feature[f] ||
                             (all_features[f].of_value != NULL && all_features[f].of_value(p, v));
    }
}
