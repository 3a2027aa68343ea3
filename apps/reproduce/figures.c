/* The paper's figures 12, 13 and 14, each two models' training loss, and one of section 4.1. */
#include "apps/chart/chart.h"
#include "apps/cli/failure.h"
#include "reproduce.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIGURES = 3, MOST_CURVES = 4 };

static const struct {
    const char *file, *title;
    reproduce_model first, second;
} figures[FIGURES] = {
    {"figure-12.png", "Figure 12: single and two-stacked LSTM", REPRODUCE_LSTM, REPRODUCE_STACKED},
    {"figure-13.png", "Figure 13: single and Cerebral LSTM", REPRODUCE_LSTM, REPRODUCE_CEREBRAL},
    {"figure-14.png", "Figure 14: two-stacked and Cerebral LSTM", REPRODUCE_STACKED,
     REPRODUCE_CEREBRAL},
};

static void describe(const reproduction *run, char *buffer, size_t size) {
    const reproduce_request *asked = run->asked;
    snprintf(buffer, size,
             "cerebra reproduce: protocol %s, hidden %lld, batch %lld, windows of %lld characters, "
             "%lld steps an epoch, seed %llu.",
             asked->protocol_name, (long long)asked->hidden, (long long)asked->training.batch,
             (long long)asked->seq_len, (long long)asked->training.steps_per_epoch,
             (unsigned long long)asked->training.seed);
}

/* A model has one colour in all figures: solid is ours, dashed the author's. */
static size_t color_of(reproduce_model which) {
    return (size_t)which + 1;
}

/* Adds a model's curve and, where there is one, the author's. */
static size_t add_model(const reproduction *run, reproduce_model which, chart_series *series,
                        size_t count, char label[64]) {
    const reproduced *entry = &run->models[which];
    series[count++] = (chart_series){.label = reproduce_names[which].title,
                                     .count = entry->curve.count,
                                     .x = entry->curve.x,
                                     .y = entry->curve.y,
                                     .color = color_of(which)};
    if (entry->author.count > 0) {
        snprintf(label, 64, "%s, author's log", reproduce_names[which].title);
        series[count++] = (chart_series){.label = label,
                                         .count = entry->author.count,
                                         .x = entry->author.x,
                                         .y = entry->author.y,
                                         .color = color_of(which),
                                         .dash = 1};
    }
    return count;
}

static double last_x(const csv_series *curve) {
    return curve->count == 0 ? 0 : curve->x[curve->count - 1];
}

/* Beside several hundred epochs of the author's a short run would be a line at the left end: then
   the figure ends soon after it, and label says what it leaves out. */
static chart_limit last_epoch(const reproduction *run, size_t figure, char label[96]) {
    const reproduced *first = &run->models[figures[figure].first];
    const reproduced *second = &run->models[figures[figure].second];
    double ours = fmax(last_x(&first->curve), last_x(&second->curve));
    double author = fmax(last_x(&first->author), last_x(&second->author));
    double shown = floor(1.5 * ours) + 2;
    snprintf(label, 96, "epoch");
    if (author < 3 * shown)
        return (chart_limit){0};
    snprintf(label, 96, "epoch (to %.0f of the %.0f in the author's logs)", shown, author);
    return (chart_limit){true, shown};
}

static bool draw_losses(const reproduction *run, size_t figure, char *error) {
    char path[REPRODUCE_PATH_SIZE];
    char description[512];
    char labels[2][64];
    char x_label[96];
    chart_series series[MOST_CURVES];
    size_t count = add_model(run, figures[figure].first, series, 0, labels[0]);
    count = add_model(run, figures[figure].second, series, count, labels[1]);
    describe(run, description, sizeof description);
    const chart_options options = {.title = figures[figure].title,
                                   .x_label = x_label,
                                   .y_label = "training loss (nats per character)",
                                   .x_max = last_epoch(run, figure, x_label),
                                   .description = description};
    return reproduce_path(run, figures[figure].file, path, error) &&
           chart_write(series, count, &options, path, error, FAILURE_SIZE);
}

/* The distances of a run, in an array the caller frees. */
static double *distances(const training_result *result) {
    double *values = calloc((size_t)result->count, sizeof *values);
    for (int64_t i = 0; values != NULL && i < result->count; i++)
        values[i] = result->records[i].distance;
    return values;
}

static bool draw_halves(const reproduction *run, char *error) {
    const reproduced *equal = &run->models[REPRODUCE_EQUAL_HALVES];
    const reproduced *different = &run->models[REPRODUCE_CEREBRAL];
    char path[REPRODUCE_PATH_SIZE];
    char description[512];
    double *equal_distance = distances(&equal->result);
    double *different_distance = distances(&different->result);
    bool ok = equal_distance != NULL && different_distance != NULL;
    if (ok) {
        /* As much of the longer run as there is of the shorter one. */
        size_t shown = equal->curve.count < different->curve.count ? equal->curve.count
                                                                   : different->curve.count;
        chart_series series[4];
        for (size_t i = 0; i < 4; i++) {
            const reproduced *entry = i % 2 == 0 ? equal : different;
            const double *distance = i % 2 == 0 ? equal_distance : different_distance;
            series[i] = (chart_series){
                .label = i % 2 == 0 ? "equal initial halves" : "different initial halves",
                .count = shown,
                .x = entry->curve.x,
                .y = i < 2 ? entry->curve.y : distance,
                .color = color_of(i % 2 == 0 ? REPRODUCE_EQUAL_HALVES : REPRODUCE_CEREBRAL)};
        }
        describe(run, description, sizeof description);
        const chart_panel panels[] = {
            {series, 2, {.y_label = "training loss (nats)"}},
            /* A distance of 0 would lie on the axis. */
            {series + 2,
             2,
             {.x_label = "epoch", .y_label = "distance of the halves", .y_min = {true, -0.1}}},
        };
        const chart_options page = {
            .title = "Section 4.1: Cerebral LSTM with equal and with different initial halves",
            .description = description};
        ok = reproduce_path(run, "figure-4.1.png", path, error) &&
             chart_write_panels(panels, 2, &page, path, error, FAILURE_SIZE);
    } else {
        failure(error, FAILURE_SIZE, "out of memory");
    }
    free(equal_distance);
    free(different_distance);
    return ok;
}

/* Removes a figure that cannot be drawn: an earlier run may have left it. */
static bool leave_out(const reproduction *run, const char *file, char *error) {
    char path[REPRODUCE_PATH_SIZE];
    return reproduce_path(run, file, path, error) && reproduce_remove(path, error);
}

static bool has_both(const reproduction *run, reproduce_model first, reproduce_model second) {
    return run->models[first].curve.count > 0 && run->models[second].curve.count > 0;
}

bool reproduce_write_figures(const reproduction *run, char *error) {
    for (size_t i = 0; i < FIGURES; i++) {
        bool ok = has_both(run, figures[i].first, figures[i].second)
                      ? draw_losses(run, i, error)
                      : leave_out(run, figures[i].file, error);
        if (!ok)
            return false;
    }
    return has_both(run, REPRODUCE_EQUAL_HALVES, REPRODUCE_CEREBRAL)
               ? draw_halves(run, error)
               : leave_out(run, "figure-4.1.png", error);
}
