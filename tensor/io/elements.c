/* The pieces are a multiple of eight elements, so that those of four and six bits begin with a
   byte. Bytes that are elements already are read into the tensor, without a buffer between. */
#include "tensor/io/elements.h"

#include "tensor/io/file_data.h"
#include "tensor/kernels.h"
#include "tensor/memory.h"

#include <inttypes.h>
#include <string.h>

enum { PIECE = 8192, WIDEST = 8 };

/* Room for a piece, before and after it is widened. */
typedef struct buffers {
    unsigned char bytes[PIECE * WIDEST];
    unsigned char elements[PIECE * WIDEST];
} buffers;

bool cbi_stored_bytes(const cbi_element_type *type, cb_stored_tensor *stored) {
    uint64_t count = 1, bits = (uint64_t)type->bits;
    for (int i = 0; i < stored->rank; i++) {
        uint64_t extent = (uint64_t)stored->shape[i];
        if (extent > 0 && count > UINT64_MAX / extent)
            return false;
        count *= extent;
    }
    stored->bytes = count * bits / 8;
    return count <= UINT64_MAX / bits && count * bits % 8 == 0;
}

void cbi_stored_judge(const cbi_element_type *type, cb_stored_tensor *stored) {
    stored->dtype = type->dtype;
    stored->objection = type->objection;
    if (type->objection == NULL && stored->rank > CB_MAX_RANK)
        stored->objection = "more than 8 axes";
    else if (type->objection == NULL && !cbi_shape_valid(type->dtype, stored->rank, stored->shape))
        stored->objection = "a shape too large for a tensor";
}

static void reverse_bytes(unsigned char *bytes, int64_t count, size_t size) {
    for (int64_t i = 0; i < count; i++, bytes += size) {
        for (size_t k = 0; k < size / 2; k++) {
            unsigned char byte = bytes[k];
            bytes[k] = bytes[size - 1 - k];
            bytes[size - 1 - k] = byte;
        }
    }
}

static cb_status not_held(const cbi_stream *stream, const char *name, int64_t element,
                          cb_dtype dtype, cb_error *error) {
    char what[100];
    snprintf(what, sizeof what, "element %" PRId64 " is a value that %s does not hold", element,
             cb_dtype_name(dtype));
    return cbi_tensor_error(error, CB_ERROR_VALUE, stream->path, name, what);
}

/* Gives count elements to a visitor. */
static cb_status visit_elements(cbi_stream *stream, const cbi_layout *layout, const char *name,
                                int64_t count, cbi_element_visitor *visit, void *context,
                                cb_error *error) {
    const cbi_element_type *type = layout->type;
    cb_status status = CB_OK;
    buffers *room = cbi_allocate(sizeof *room);
    if (room == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, stream->path, "no memory to read it");
    for (int64_t done = 0; done < count && status == CB_OK;) {
        int64_t piece = count - done < PIECE ? count - done : PIECE, widened = piece;
        status = stream->read(stream, room->bytes, (size_t)(piece * type->bits + 7) / 8, error);
        if (status != CB_OK)
            break;
        if (layout->big_endian)
            reverse_bytes(room->bytes, piece, (size_t)type->bits / 8);
        if (type->widen != NULL)
            widened = type->widen(type, room->bytes, piece, room->elements);
        if (widened < piece)
            status = not_held(stream, name, done + widened, type->dtype, error);
        else
            status = visit(context, type->dtype, type->widen == NULL ? room->bytes : room->elements,
                           piece, error);
        done += piece;
    }
    cbi_free(room);
    return status;
}

cb_status cbi_elements_visit(cbi_stream *stream, const cbi_layout *layout,
                             const cb_stored_tensor *stored, cbi_element_visitor *visit,
                             void *context, cb_error *error) {
    if (layout->type == NULL || layout->type->objection != NULL)
        return cbi_tensor_error(error, CB_ERROR_DTYPE, stream->path, stored->name,
                                stored->objection);
    uint64_t count =
        stored->bytes / (uint64_t)layout->type->bits * 8 +
        stored->bytes % (uint64_t)layout->type->bits * 8 / (uint64_t)layout->type->bits;
    return visit_elements(stream, layout, stored->name, (int64_t)count, visit, context, error);
}

/* A tensor that elements are put into, in the order of the file. */
typedef struct placing {
    cbi_stream *stream;
    const char *name;
    cb_tensor *target;
    bool in_order; /* the file's order is that of the memory */
    bool fortran_order;
    int64_t done;               /* elements that are in their places */
    int64_t index[CB_MAX_RANK]; /* of the next one */
    int64_t offset;             /* its place, unless in order */
    double cast[PIECE];         /* elements in the target's dtype, which has at most eight bytes */
} placing;

/* Puts elements one by one where their index says. */
static void scatter(placing *p, const char *elements, int64_t count) {
    cb_tensor *t = p->target;
    size_t size = cb_dtype_size(t->dtype);
    for (int64_t i = 0; i < count; i++) {
        memcpy((char *)t->data + p->offset * (int64_t)size, elements + (size_t)i * size, size);
        for (int k = 0; k < t->rank; k++) {
            int axis = p->fortran_order ? k : t->rank - 1 - k;
            p->offset += t->stride[axis];
            if (++p->index[axis] < t->shape[axis])
                break;
            p->offset -= t->shape[axis] * t->stride[axis];
            p->index[axis] = 0;
        }
    }
}

static cb_status place(void *context, cb_dtype dtype, const void *elements, int64_t count,
                       cb_error *error) {
    placing *p = context;
    cb_tensor *t = p->target;
    void *room =
        p->in_order ? (char *)t->data + (size_t)p->done * cb_dtype_size(t->dtype) : (void *)p->cast;
    int64_t held = cbi_cast_elements(dtype, elements, count, t->dtype, room);
    if (held < count)
        return not_held(p->stream, p->name, p->done + held, t->dtype, error);
    if (!p->in_order)
        scatter(p, room, count);
    p->done += count;
    return CB_OK;
}

cb_status cbi_elements_read(cbi_stream *stream, const cbi_layout *layout, const char *name,
                            cb_tensor *target, cb_error *error) {
    int64_t count = cb_tensor_count(target);
    if (count == 0)
        return CB_OK;
    bool in_order =
        cb_tensor_is_contiguous(target) && (!layout->fortran_order || target->rank <= 1);
    if (in_order && layout->type->widen == NULL && layout->type->dtype == target->dtype &&
        !layout->big_endian)
        return stream->read(stream, target->data, cb_tensor_bytes(target), error);
    placing *p = cbi_allocate(sizeof *p);
    if (p == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, stream->path, "no memory to read it");
    p->stream = stream;
    p->name = name;
    p->target = target;
    p->in_order = in_order;
    p->fortran_order = layout->fortran_order;
    cb_status status = visit_elements(stream, layout, name, count, place, p, error);
    cbi_free(p);
    return status;
}

cb_tensor *cbi_elements_load(cbi_stream *stream, const cbi_layout *layout,
                             const cb_stored_tensor *stored, const cb_dtype *dtype,
                             cb_error *error) {
    cb_dtype wanted = dtype == NULL ? stored->dtype : *dtype;
    if (stored->objection != NULL) {
        cbi_tensor_error(error, CB_ERROR_DTYPE, stream->path, stored->name, stored->objection);
        return NULL;
    }
    cb_tensor *t = cbi_shape_valid(wanted, stored->rank, stored->shape)
                       ? cb_tensor_new(wanted, stored->rank, stored->shape)
                       : NULL;
    if (t == NULL) {
        cbi_tensor_error(error, CB_ERROR_MEMORY, stream->path, stored->name, "no memory for it");
    } else if (cbi_elements_read(stream, layout, stored->name, t, error) != CB_OK) {
        cb_tensor_free(t);
        t = NULL;
    }
    return t;
}
