/* report.md: what was run, our losses beside those of the author's logs, and what became of the
   paper's claims. Epochs count from 0, as in the logs. */
#include "apps/cli/failure.h"
#include "apps/cli/replacement.h"
#include "reproduce.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_SIZE = 128 };

int64_t reproduce_below_from(const csv_series *a, const csv_series *b) {
    size_t common = a->count < b->count ? a->count : b->count;
    size_t from = common;
    while (from > 0 && a->y[from - 1] < b->y[from - 1])
        from--;
    return from == common ? -1 : (int64_t)from;
}

int64_t reproduce_reaches(const csv_series *curve, double value) {
    for (size_t i = 0; i < curve->count; i++)
        if (curve->y[i] < value)
            return (int64_t)i;
    return -1;
}

static bool trained(const reproduction *run, reproduce_model which) {
    return run->models[which].curve.count > 0;
}

static void write_setting(const reproduction *run, FILE *out) {
    const reproduce_request *asked = run->asked;
    fprintf(out,
            "# Reproduction of \"Cerebral LSTM\" (R. Kumar, 2020)\n\n"
            "Made by `cerebra reproduce`, version %s.\n\n"
            "## What was run\n\n"
            "| | |\n| --- | --- |\n"
            "| protocol | %s |\n"
            "| text | %s, %" PRId64 " characters, %" PRId32 " distinct |\n",
            cb_version(), asked->protocol_name, run->data.name, run->data.count,
            run->data.characters.count);
    if (run->data.training < run->data.count) {
        fprintf(out, "| held out | the last %" PRId64 " characters |\n",
                run->data.count - run->data.training);
    }
    fprintf(out,
            "| windows | %" PRId64 " of %" PRId64 " characters, batch %" PRId64
            " drawn without replacement |\n"
            "| epoch | %" PRId64
            " steps; the loss is the mean of theirs, each before its update |\n"
            "| optimizer | %s, learning rate %g, accumulators start at %g |\n"
            "| seed | %" PRIu64 " |\n\n",
            (run->data.training - 1) / asked->seq_len, asked->seq_len, asked->training.batch,
            asked->training.steps_per_epoch, asked->training.optimizer,
            asked->training.optimizer_options.lr,
            asked->training.optimizer_options.initial_accumulator, asked->training.seed);
    fputs(
        asked->protocol == PROTOCOL_PUBLISHED
            ? "`published`: each model starts as the author's did. Recurrent weights are Glorot "
              "uniform with fans\nmultiplied by 4 (single), 8 (two-stacked), 4 and 8 (Cerebral: "
              "input and recurrent weights); no gate has\na bias; two-stacked has one vector "
              "added to each layer's new c and one to its new h.\n\n"
            : "`controlled`: all models start alike. Every matrix is Glorot uniform gate by gate, "
              "biases are ordinary\nones that start at zero, and the widened LSTM has as many "
              "parameters as the Cerebral LSTM.\n\n",
        out);
}

static void write_number(FILE *out, double value) {
    if (isnan(value))
        fputs(" \u2014 |", out);
    else
        fprintf(out, " %.3f |", value);
}

static void write_models(const reproduction *run, FILE *out) {
    fputs("| model | cell | layers | hidden | parameters | epochs | seconds per epoch |\n"
          "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n",
          out);
    for (int i = 0; i < REPRODUCE_MODELS; i++) {
        const reproduced *entry = &run->models[i];
        if (entry->curve.count > 0) {
            const training_result *result = &entry->result;
            fprintf(out, "| %s | %s | %" PRId64 " | %" PRId64 " | %" PRId64 " | %" PRId64 " |",
                    reproduce_names[i].title, entry->job.model.cell->name, entry->job.model.layers,
                    entry->job.model.hidden, result->parameters, result->count);
            write_number(out, result->records[result->count - 1].seconds / (double)result->count);
            fputc('\n', out);
        }
    }
    fputc('\n', out);
}

static double loss_at(const csv_series *curve, int64_t epoch) {
    return epoch >= 0 && epoch < (int64_t)curve->count ? curve->y[epoch] : NAN;
}

/* The author's loss: from the log itself when it is there, else as quoted. */
static double author_at(const reproduction *run, int which, int row) {
    const csv_series *log = &run->models[which].author;
    return log->count > 0 ? loss_at(log, paper_epochs[row]) : paper_losses[which][row];
}

static void write_losses(const reproduction *run, FILE *out) {
    fputs("## Losses\n\nTraining loss in nats per character, here and in the author's logs (his "
          "text, hidden size 512).\n\n| epoch |",
          out);
    for (int i = 0; i < REPRODUCE_PAPER_MODELS; i++)
        fprintf(out, " %s | author |", reproduce_names[i].title);
    fputs("\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n", out);
    for (int row = 0; row < PAPER_EPOCHS; row++) {
        fprintf(out, "| %" PRId64 " |", paper_epochs[row]);
        for (int i = 0; i < REPRODUCE_PAPER_MODELS; i++) {
            write_number(out, loss_at(&run->models[i].curve, paper_epochs[row]));
            write_number(out, author_at(run, i, row));
        }
        fputc('\n', out);
    }
    fputs("| last |", out);
    for (int i = 0; i < REPRODUCE_PAPER_MODELS; i++) {
        const csv_series *curve = &run->models[i].curve;
        write_number(out, loss_at(curve, (int64_t)curve->count - 1));
        write_number(out,
                     run->models[i].author.count > 0
                         ? loss_at(&run->models[i].author, (int64_t)run->models[i].author.count - 1)
                         : paper_last_losses[i]);
    }
    fputs("\n\n", out);
}

/* Under the controlled protocol: where each model ended, on the text it saw and on the rest. */
static void write_held_out(const reproduction *run, FILE *out) {
    if (run->data.training == run->data.count)
        return;
    fputs("## Held-out text\n\n| model | last training loss | last held-out loss | best held-out "
          "loss | at epoch |\n| --- | ---: | ---: | ---: | ---: |\n",
          out);
    for (int i = 0; i < REPRODUCE_MODELS; i++) {
        const training_result *result = &run->models[i].result;
        int64_t best = 0;
        if (run->models[i].curve.count == 0)
            continue;
        for (int64_t k = 1; k < result->count; k++) {
            best =
                result->records[k].held_out_loss < result->records[best].held_out_loss ? k : best;
        }
        fprintf(out, "| %s |", reproduce_names[i].title);
        write_number(out, result->records[result->count - 1].loss);
        write_number(out, result->records[result->count - 1].held_out_loss);
        write_number(out, result->records[best].held_out_loss);
        fprintf(out, " %" PRId64 " |\n", best);
    }
    fputc('\n', out);
}

static void say_below(const reproduction *run, reproduce_model a, reproduce_model b, char *cell) {
    const csv_series *first = &run->models[a].curve;
    const csv_series *second = &run->models[b].curve;
    int64_t from = reproduce_below_from(first, second);
    size_t common = first->count < second->count ? first->count : second->count;
    if (from >= 0)
        snprintf(cell, CELL_SIZE, "from epoch %" PRId64 " of %zu", from, common);
    else
        snprintf(cell, CELL_SIZE, "not within %zu epochs", common);
}

static void say_reaches(const reproduction *run, char *cell) {
    const csv_series *cerebral = &run->models[REPRODUCE_CEREBRAL].curve;
    const csv_series *stacked = &run->models[REPRODUCE_STACKED].curve;
    double last = cerebral->y[cerebral->count - 1];
    int64_t at = reproduce_reaches(stacked, last);
    if (at >= 0) {
        snprintf(cell, CELL_SIZE, "at epoch %" PRId64, at);
    } else {
        snprintf(cell, CELL_SIZE, "not within %zu epochs (%.4f is left)", stacked->count,
                 stacked->y[stacked->count - 1] - last);
    }
}

/* What this run has to say to a claim: "" when it lacks a model that is needed. */
static void say_claim(const reproduction *run, int claim, char *cell) {
    bool single = trained(run, REPRODUCE_LSTM);
    bool stacked = trained(run, REPRODUCE_STACKED);
    bool cerebral = trained(run, REPRODUCE_CEREBRAL);
    snprintf(cell, CELL_SIZE, "\u2014");
    if (claim == CLAIM_STACKED_BELOW_SINGLE && stacked && single) {
        say_below(run, REPRODUCE_STACKED, REPRODUCE_LSTM, cell);
    } else if (claim == CLAIM_CEREBRAL_BELOW_SINGLE && cerebral && single) {
        say_below(run, REPRODUCE_CEREBRAL, REPRODUCE_LSTM, cell);
    } else if (claim == CLAIM_CEREBRAL_BELOW_STACKED && cerebral && stacked) {
        say_below(run, REPRODUCE_CEREBRAL, REPRODUCE_STACKED, cell);
    } else if (claim == CLAIM_CEREBRAL_LAST_LOSS && cerebral) {
        const csv_series *curve = &run->models[REPRODUCE_CEREBRAL].curve;
        snprintf(cell, CELL_SIZE, "%.4f at epoch %zu", curve->y[curve->count - 1],
                 curve->count - 1);
    } else if (claim == CLAIM_STACKED_REACHES_CEREBRAL && cerebral && stacked) {
        say_reaches(run, cell);
    }
}

static claim_verdict judge_below(const reproduction *run, reproduce_model a, reproduce_model b,
                                 const paper_claim *claim) {
    const csv_series *first = &run->models[a].curve, *second = &run->models[b].curve;
    size_t common = first->count < second->count ? first->count : second->count;
    int64_t from = reproduce_below_from(first, second);
    if ((int64_t)common < claim->needs)
        return CLAIM_OPEN;
    return from >= 0 && from <= claim->from ? CLAIM_HELD : CLAIM_NOT_HELD;
}

static claim_verdict judge_crossing(const reproduction *run, const paper_claim *claim) {
    const csv_series *cerebral = &run->models[REPRODUCE_CEREBRAL].curve;
    const csv_series *stacked = &run->models[REPRODUCE_STACKED].curve;
    double around = paper_crossing_tolerance * (double)paper_crossing;
    if ((int64_t)cerebral->count < claim->needs)
        return CLAIM_OPEN;
    int64_t at = reproduce_reaches(stacked, cerebral->y[claim->needs - 1]);
    if (at < 0 && (double)stacked->count <= (double)paper_crossing + around)
        return CLAIM_OPEN;
    return at >= 0 && fabs((double)(at - paper_crossing)) <= around ? CLAIM_HELD : CLAIM_NOT_HELD;
}

claim_verdict reproduce_judge(const reproduction *run, paper_claim_number claim) {
    const paper_claim *of = &paper_claims[claim];
    const csv_series *cerebral = &run->models[REPRODUCE_CEREBRAL].curve;
    switch (claim) {
    case CLAIM_STACKED_BELOW_SINGLE:
        return judge_below(run, REPRODUCE_STACKED, REPRODUCE_LSTM, of);
    case CLAIM_CEREBRAL_BELOW_SINGLE:
        return judge_below(run, REPRODUCE_CEREBRAL, REPRODUCE_LSTM, of);
    case CLAIM_CEREBRAL_BELOW_STACKED:
        return judge_below(run, REPRODUCE_CEREBRAL, REPRODUCE_STACKED, of);
    case CLAIM_CEREBRAL_LAST_LOSS:
        if ((int64_t)cerebral->count < of->needs)
            return CLAIM_OPEN;
        return fabs(cerebral->y[of->needs - 1] - paper_last_losses[REPRODUCE_CEREBRAL]) <=
                       paper_loss_tolerance
                   ? CLAIM_HELD
                   : CLAIM_NOT_HELD;
    default:
        return judge_crossing(run, of);
    }
}

/* How far our losses are from the author's, where his logs are given: the paper's text and sizes.
 */
static void write_distances(const reproduction *run, FILE *out) {
    bool any = false;
    for (int i = 0; i < REPRODUCE_PAPER_MODELS; i++)
        any = any || (trained(run, (reproduce_model)i) && run->models[i].author.count > 0);
    if (!any)
        return;
    fputs(
        "## Distance from the author's logs\n\n| model | epochs of both | largest difference | at "
        "epoch | mean difference | mean without sign |\n| --- | ---: | ---: | ---: | ---: | ---: "
        "|\n",
        out);
    for (int i = 0; i < REPRODUCE_PAPER_MODELS; i++) {
        const csv_series *ours = &run->models[i].curve, *his = &run->models[i].author;
        size_t common = ours->count < his->count ? ours->count : his->count, worst = 0;
        double sum = 0, absolute = 0;
        for (size_t k = 0; k < common; k++) {
            double difference = ours->y[k] - his->y[k];
            sum += difference;
            absolute += fabs(difference);
            worst = fabs(difference) > fabs(ours->y[worst] - his->y[worst]) ? k : worst;
        }
        if (common > 0) {
            fprintf(out, "| %s | %zu | %+.4f | %zu | %+.4f | %.4f |\n", reproduce_names[i].title,
                    common, ours->y[worst] - his->y[worst], worst, sum / (double)common,
                    absolute / (double)common);
        }
    }
    fputc('\n', out);
}

static void write_claims(const reproduction *run, FILE *out) {
    fputs(
        "## The paper's claims\n\n\"Stays below\" means: at every epoch from there to the last "
        "one both models have.\n\n| | the paper | the author's logs | here | |\n| --- | --- | --- "
        "| --- | --- |\n",
        out);
    for (int i = 0; i < PAPER_CLAIMS; i++) {
        static const char *const verdicts[] = {[CLAIM_HELD] = "held",
                                               [CLAIM_NOT_HELD] = "not held",
                                               [CLAIM_OPEN] = "cannot be said at this length"};
        char here[CELL_SIZE];
        say_claim(run, i, here);
        fprintf(out, "| %s | %s | %s | %s | %s |\n", paper_claims[i].claim, paper_claims[i].paper,
                paper_claims[i].logs, here, verdicts[reproduce_judge(run, (paper_claim_number)i)]);
    }
    if (trained(run, REPRODUCE_WIDENED) && trained(run, REPRODUCE_CEREBRAL)) {
        char here[CELL_SIZE];
        say_below(run, REPRODUCE_CEREBRAL, REPRODUCE_WIDENED, here);
        fprintf(out,
                "| Cerebral stays below an LSTM of as many parameters | \u2014 | \u2014 | %s | |\n",
                here);
    }
    fputc('\n', out);
}

static void write_halves(const reproduction *run, FILE *out) {
    static const reproduce_model both[] = {REPRODUCE_EQUAL_HALVES, REPRODUCE_CEREBRAL};
    static const char *const names[] = {"equal", "different"};
    if (!trained(run, REPRODUCE_EQUAL_HALVES) || !trained(run, REPRODUCE_CEREBRAL))
        return;
    fputs(
        "## Section 4.1: initial values of the two halves\n\n"
        "The distance is |U - L| / sqrt((|U|^2 + |L|^2) / 2) over the recurrent part's matrices: 0 "
        "for equal\nhalves, about 1.41 for independent ones. The rows are in `halves-equal.csv` "
        "and `cerebral-lstm.csv`.\n\n"
        "| initial halves | epochs | last loss | distance after the first epoch | after the last "
        "|\n| --- | ---: | ---: | ---: | ---: |\n",
        out);
    for (int i = 0; i < 2; i++) {
        const training_result *result = &run->models[both[i]].result;
        const epoch_record *last = &result->records[result->count - 1];
        fprintf(out, "| %s | %" PRId64 " | %.4f | %.4g | %.4g |\n", names[i], result->count,
                last->loss, result->records[0].distance, last->distance);
    }
    char here[CELL_SIZE];
    say_below(run, REPRODUCE_CEREBRAL, REPRODUCE_EQUAL_HALVES, here);
    fprintf(out, "\nWith different halves the loss stays below that with equal ones: %s.\n\n",
            here);
}

static void write_report(const reproduction *run, FILE *out) {
    write_setting(run, out);
    write_models(run, out);
    write_losses(run, out);
    write_held_out(run, out);
    write_distances(run, out);
    write_claims(run, out);
    write_halves(run, out);
    fputs("## Files\n\nFor each model a log (`.csv`) and its weights (`.safetensors`); "
          "`figure-12.png`, `figure-13.png`,\n`figure-14.png` and `figure-4.1.png` as far as their "
          "models were trained; `table-3.md`, text the\nmodels wrote.\n",
          out);
}

bool reproduce_write_report(const reproduction *run, char *error) {
    char path[REPRODUCE_PATH_SIZE];
    replacement file;
    if (!reproduce_path(run, "report.md", path, error) ||
        !replacement_open(&file, path, error, FAILURE_SIZE))
        return false;
    write_report(run, file.stream);
    return replacement_commit(&file, error, FAILURE_SIZE);
}
