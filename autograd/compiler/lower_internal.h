/* What the files of the lowering share. */
#ifndef CEREBRA_AUTOGRAD_COMPILER_LOWER_INTERNAL_H
#define CEREBRA_AUTOGRAD_COMPILER_LOWER_INTERNAL_H

#include "autograd/compiler/call_site.h"
#include "autograd/compiler/graph.h"
#include "autograd/compiler/lower.h"
#include "autograd/compiler/traced.h"

/* Where a traced tensor's elements are in a value: those of row b at offset + sum of index *
   stride, in the value's own order. */
typedef struct cbi_layout {
    int value;
    int64_t offset;
    int rank;
    cbi_axis axis[CB_MAX_RANK];
} cbi_layout;

/* What a node was lowered to. A tensor that is not a view has its elements, less the batch's axis,
   in the order of the value. */
typedef struct cbi_lowered {
    int value;      /* -1: none */
    int deferred;   /* a sum over rows, of use only as a gradient; -1: none */
    int64_t inner;  /* elements of a row that come after the batch's axis */
    bool has_batch; /* whether there is such an axis */
} cbi_lowered;

/* What a leaf of the graph is: CBI_CAPTURED, CBI_ROW_INPUT, CBI_STATE or CBI_COTANGENT and its
   number; number -1: no leaf. */
typedef struct cbi_role {
    cbi_kind kind;
    int number;
} cbi_role;

struct cbi_lowerer {
    cbi_traced *traced;
    cbi_graph *graph;
    const cbi_role *roles; /* of each node */
    cbi_lowered *lowered;  /* of each node */
    int node;              /* the one being lowered */
};

/* The axes of a tensor that is yet to be, of which only extents matter. */
typedef struct cbi_frame {
    int rank;
    cbi_axis axis[CB_MAX_RANK];
} cbi_frame;

/* layout.c */
/* Where a node's elements are; false when they have no place in rows. */
bool cbi_layout_of(cbi_lowerer *l, int node, cbi_layout *map);
/* The node that a chain of views leads to. */
int cbi_base_of(const cbi_traced *traced, int node);
/* A frame from a node's extents; the batch's axis, if it is a multiple, as [batch, multiple]. False
   when an extent is neither constant nor a multiple of the batch. */
bool cbi_frame_of(const cbi_lowerer *l, int node, cbi_frame *frame);
/* The batch's axis, major part and minor part, as what it is in a map with rows. False when it is
   something else already. */
bool cbi_frame_agree(cbi_frame *frame, int axis, const cbi_axis *with);
/* Adds what an axis is within a row to a list of extents and strides; false when there are too
   many. */
bool cbi_add_axis(cbi_view *view, const cbi_axis *axis);
/* A map's elements in the order of its tensor. */
int cbi_mapped_value(cbi_lowerer *l, const cbi_layout *map);
/* Makes a value the lowered node's, whose elements lie as the frame says. */
bool cbi_set_value(cbi_lowerer *l, int value, const cbi_frame *frame);
bool cbi_set_deferred(cbi_lowerer *l, int value);

/* call.c */
/* Lowers a node to an op that is applied as it is. False when the op's result has no form in a
   graph: then it is computed where it is used. */
bool cbi_lower_call(cbi_lowerer *l, int node);

/* lower_graph.c */
/* Lowers nodes, and before them what they are computed from, down to the leaves. */
bool cbi_lower_nodes(cbi_lowerer *l, int count, const int *nodes);
/* A lowered node's elements in the order of its tensor; -1 when it has no form. */
int cbi_lowered_value(cbi_lowerer *l, int node);

static inline const cbi_type *cbi_type_of(const cbi_lowerer *l, int value) {
    return &l->graph->values[value].type;
}
static inline const cb_node *cbi_lowered_node(const cbi_lowerer *l) {
    return cbi_traced_node(l->traced, 0, l->node);
}
static inline int cbi_input_of(const cbi_lowerer *l, int i) {
    return cbi_lowered_node(l)->in[i]->node->index;
}

#endif
