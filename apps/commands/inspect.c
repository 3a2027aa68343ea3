/* `cerebra inspect`: what is in a file of tensors. */
#include "apps/cli/command.h"
#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "apps/model/tensor_file.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char about[] =
    "Lists the tensors of a safetensors, .npy or .npz file: names, element types, shapes, and of "
    "the "
    "finite elements smallest, largest, mean and standard deviation; how many are not finite. Of "
    "safetensors also the metadata, and of a checkpoint which model it is.\n";

static const char notes[] = "The format is told by the file's first bytes. Elements are read a few "
                            "thousand at a time, so that "
                            "files larger than memory can be looked at.\n"
                            "\n"
                            "Exit status: 0 done, 1 failure, 2 wrong usage.\n";

enum { SHAPE_SIZE = 256, WIDEST_NAME = 48, LONGEST_VALUE = 160 };

typedef struct request {
    option_list files;
    bool json, no_statistics;
} request;

/* ---- Statistics ------------------------------------------------------------------------------ */

/* Of the elements seen so far. */
typedef struct statistics {
    bool known;
    const char *reason; /* why they are not; NULL: the tensor's own objection, or nobody asked */
    int64_t finite, not_finite;
    double smallest, largest;
    long double mean, squares; /* and the sum of squared deviations, which double may not hold */
} statistics;

static double element_at(cb_dtype dtype, const void *elements, int64_t i) {
    switch (dtype) {
    case CB_F32:
        return (double)((const float *)elements)[i];
    case CB_F64:
        return ((const double *)elements)[i];
    case CB_I32:
        return (double)((const int32_t *)elements)[i];
    case CB_I64:
        return (double)((const int64_t *)elements)[i];
    }
    return NAN;
}

/* Adds some elements: their own mean and squares first, joined with what was there by the formula
   of Chan, Golub & LeVeque (1979). */
static cb_status add_elements(void *context, cb_dtype dtype, const void *elements, int64_t count,
                              cb_error *error) {
    statistics *all = context;
    long double sum = 0, squares = 0;
    int64_t finite = 0;
    (void)error;
    for (int64_t i = 0; i < count; i++) {
        double x = element_at(dtype, elements, i);
        if (!isfinite(x))
            continue;
        all->smallest = all->finite + finite == 0 || x < all->smallest ? x : all->smallest;
        all->largest = all->finite + finite == 0 || x > all->largest ? x : all->largest;
        sum += x;
        finite++;
    }
    all->not_finite += count - finite;
    if (finite == 0)
        return CB_OK;
    long double mean = sum / (long double)finite;
    for (int64_t i = 0; i < count; i++) {
        double x = element_at(dtype, elements, i);
        squares += isfinite(x) ? ((long double)x - mean) * ((long double)x - mean) : 0;
    }
    long double before = (long double)all->finite, now = (long double)finite;
    long double whole = before + now, shift = mean - all->mean;
    all->squares += squares + shift * shift * before * now / whole;
    all->mean += shift * now / whole;
    all->finite += finite;
    return CB_OK;
}

/* What the elements of tensor i are like; not known when there are none, or no numbers. */
static bool measure(const tensor_file *file, int i, const request *asked, statistics *found,
                    char *error) {
    cb_error reason = {.status = CB_OK};
    *found = (statistics){.known = false};
    if (asked->no_statistics)
        return true;
    cb_status status = tensor_file_visit(file, i, add_elements, found, &reason);
    found->known = status == CB_OK;
    if (status == CB_ERROR_VALUE)
        found->reason = "a value above 2^63 - 1";
    return status == CB_OK || status == CB_ERROR_DTYPE || status == CB_ERROR_VALUE ||
           failure(error, FAILURE_SIZE, "%s", reason.message);
}

static double deviation(const statistics *s) {
    return (double)sqrtl(s->squares / (long double)s->finite);
}

/* ---- For people ------------------------------------------------------------------------------ */

/* Text of a file, cut, with control characters made visible as '?'. */
static void print_text(const char *text, int most) {
    int printed = 0;
    for (; *text != '\0' && printed < most; text++, printed++)
        putchar(iscntrl((unsigned char)*text) ? '?' : *text);
    if (*text != '\0')
        fputs("...", stdout);
}

static char *format_shape(const cb_stored_tensor *t, char text[SHAPE_SIZE]) {
    size_t used = (size_t)snprintf(text, SHAPE_SIZE, "[");
    for (int i = 0; i < t->rank && used + 24 < SHAPE_SIZE; i++)
        used += (size_t)snprintf(text + used, SHAPE_SIZE - used, "%s%" PRId64, i > 0 ? "," : "",
                                 t->shape[i]);
    snprintf(text + used, SHAPE_SIZE - used, "]");
    return text;
}

static int name_width(const char *name) {
    size_t length = strlen(name);
    return length < WIDEST_NAME ? (int)length : WIDEST_NAME;
}

static void print_tensor(const cb_stored_tensor *t, const statistics *s, int width,
                         int shape_width) {
    char shape[SHAPE_SIZE];
    print_text(t->name, WIDEST_NAME);
    printf("%*s %-11s %-*s", width - name_width(t->name), "", t->type, shape_width,
           format_shape(t, shape));
    if (s->known && s->finite > 0)
        printf(" %12.6g %12.6g %12.6g %12.6g", s->smallest, s->largest, (double)s->mean,
               deviation(s));
    if (s->known && s->not_finite > 0)
        printf(" %s%" PRId64 " not finite", s->finite == 0 ? "" : " ", s->not_finite);
    if (t->objection != NULL || s->reason != NULL)
        printf(" (%s)", t->objection != NULL ? t->objection : s->reason);
    putchar('\n');
}

static bool print_tensors(const tensor_file *file, const request *asked, char *error) {
    int width = 4, shape_width = 5, count = tensor_file_count(file);
    for (int i = 0; i < count; i++) {
        char shape[SHAPE_SIZE];
        cb_stored_tensor t = tensor_file_at(file, i);
        int long_shape = (int)strlen(format_shape(&t, shape));
        width = name_width(t.name) > width ? name_width(t.name) : width;
        shape_width = long_shape > shape_width && long_shape < 40 ? long_shape : shape_width;
    }
    if (count > 0)
        printf("%-*s %-11s %-*s%s\n", width, "name", "type", shape_width, "shape",
               asked->no_statistics ? "" : "     smallest      largest         mean    deviation");
    for (int i = 0; i < count; i++) {
        statistics found;
        cb_stored_tensor t = tensor_file_at(file, i);
        if (!measure(file, i, asked, &found, error))
            return false;
        print_tensor(&t, &found, width, shape_width);
    }
    return true;
}

/* The configuration of a checkpoint, NULL: it is none. The caller ends it with json_decref. */
static json_t *checkpoint_config(const tensor_file *file) {
    const cb_safetensors *stored = file->safetensors;
    const char *format = stored == NULL ? NULL : cb_safetensors_metadata(stored, "format");
    const char *config = stored == NULL ? NULL : cb_safetensors_metadata(stored, "config");
    if (format == NULL || strcmp(format, "cerebra-character-model") != 0 || config == NULL)
        return NULL;
    json_t *object = json_loads(config, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static void print_checkpoint(const tensor_file *file) {
    json_t *config = checkpoint_config(file);
    const char *key, *between = "";
    json_t *value;
    if (config == NULL)
        return;
    fputs("a checkpoint of cerebra: ", stdout);
    json_object_foreach(config, key, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
        fputs(between, stdout);
        print_text(key, LONGEST_VALUE);
        putchar(' ');
        print_text(json_is_string(value) ? json_string_value(value)
                   : text == NULL        ? ""
                                         : text,
                   LONGEST_VALUE);
        between = ", ";
        free(text);
    }
    putchar('\n');
    json_decref(config);
}

static bool print_file(const char *path, const tensor_file *file, const request *asked,
                       char *error) {
    uint64_t bytes = 0;
    int count = tensor_file_count(file);
    for (int i = 0; i < count; i++)
        bytes += tensor_file_at(file, i).bytes;
    print_text(path, FAILURE_SIZE);
    printf(": %s, %d tensor%s, %" PRIu64 " bytes of elements\n", file->format, count,
           count == 1 ? "" : "s", bytes);
    print_checkpoint(file);
    if (!print_tensors(file, asked, error))
        return false;
    int entries = file->safetensors == NULL ? 0 : cb_safetensors_metadata_count(file->safetensors);
    for (int i = 0; i < entries; i++) {
        cb_metadata entry = cb_safetensors_metadata_at(file->safetensors, i);
        fputs(i == 0 ? "metadata\n    " : "    ", stdout);
        print_text(entry.key, LONGEST_VALUE);
        fputs(": ", stdout);
        print_text(entry.value, LONGEST_VALUE);
        putchar('\n');
    }
    return true;
}

/* ---- For programs ---------------------------------------------------------------------------- */

/* Text of a file as JSON; what is not UTF-8 (a name in .npz) is cut where it ceases to be. */
static json_t *text_json(const char *text) {
    size_t length = strlen(text);
    json_t *string = json_stringn(text, length);
    while (string == NULL && length > 0)
        string = json_stringn(text, --length);
    return string;
}

/* null where there is no number. */
static json_t *number_json(bool known, double value) {
    return known && isfinite(value) ? json_real(value) : json_null();
}

static json_t *tensor_json(const cb_stored_tensor *t, const statistics *s) {
    json_t *shape = json_array();
    for (int i = 0; i < t->rank; i++)
        json_array_append_new(shape, json_integer(t->shape[i]));
    bool some = s->known && s->finite > 0;
    json_t *object =
        json_pack("{s:o, s:s, s:o, s:I, s:o?, s:o, s:o, s:o, s:o, s:o}", "name", text_json(t->name),
                  "type", t->type, "shape", shape, "bytes", (json_int_t)t->bytes, "objection",
                  t->objection == NULL ? NULL : text_json(t->objection), "smallest",
                  number_json(some, s->smallest), "largest", number_json(some, s->largest), "mean",
                  number_json(some, (double)s->mean), "deviation", number_json(some, deviation(s)),
                  "not_finite", s->known ? json_integer(s->not_finite) : json_null());
    return object;
}

static json_t *metadata_json(const tensor_file *file) {
    json_t *object = json_object();
    int count = file->safetensors == NULL ? 0 : cb_safetensors_metadata_count(file->safetensors);
    for (int i = 0; i < count; i++) {
        cb_metadata entry = cb_safetensors_metadata_at(file->safetensors, i);
        json_object_set_new(object, entry.key, json_string(entry.value));
    }
    return object;
}

static bool print_json(const char *path, const tensor_file *file, const request *asked,
                       char *error) {
    json_t *tensors = json_array(), *checkpoint = checkpoint_config(file);
    int count = tensor_file_count(file);
    bool ok = true;
    for (int i = 0; i < count && ok; i++) {
        statistics found;
        cb_stored_tensor t = tensor_file_at(file, i);
        ok = measure(file, i, asked, &found, error) &&
             (json_array_append_new(tensors, tensor_json(&t, &found)) == 0 ||
              failure(error, FAILURE_SIZE, "out of memory"));
    }
    json_t *whole =
        json_pack("{s:o, s:s, s:o, s:o, s:o}", "file", text_json(path), "format", file->format,
                  "checkpoint", checkpoint == NULL ? json_null() : checkpoint, "tensors", tensors,
                  "metadata", metadata_json(file));
    if (ok && (whole == NULL || json_dumpf(whole, stdout, JSON_INDENT(2)) != 0))
        ok = failure(error, FAILURE_SIZE, "cannot write standard output");
    else if (ok)
        putchar('\n');
    json_decref(whole);
    return ok;
}

/* ---- The command ----------------------------------------------------------------------------- */

static options_outcome parse(request *asked, int argc, char **argv, char *error) {
    option_row rows[] = {
        {"json", .flag = &asked->json, .help = "print a JSON object"},
        {"no-statistics", .flag = &asked->no_statistics,
         .help = "read no elements, only what the file says of them"},
        {.name = NULL},
    };
    const option_table table = {.command = "inspect",
                                .synopsis = "[OPTION ...] FILE",
                                .about = about,
                                .notes = notes,
                                .rows = rows,
                                .operand = "FILE",
                                .operands = &asked->files};
    options_outcome outcome = options_parse(&table, argc, argv, error);
    if (outcome == OPTIONS_RUN && asked->files.count != 1) {
        failure(error, FAILURE_SIZE, "one FILE is needed");
        return OPTIONS_BAD;
    }
    return outcome;
}

int cerebra_inspect(int argc, char **argv) {
    char error[FAILURE_SIZE] = "";
    request asked = {.json = false};
    tensor_file file;
    options_outcome outcome = parse(&asked, argc, argv, error);
    int status = EXIT_SUCCESS;
    if (outcome == OPTIONS_BAD) {
        status = command_fail("inspect", EXIT_USAGE, error);
    } else if (outcome == OPTIONS_RUN) {
        const char *path = asked.files.values[0];
        bool ok = tensor_file_open(path, &file, error) &&
                  (asked.json ? print_json : print_file)(path, &file, &asked, error);
        tensor_file_close(&file);
        status = ok ? EXIT_SUCCESS : command_fail("inspect", EXIT_FAILURE, error);
    }
    free(asked.files.values);
    return status;
}
