/* The bar is redrawn at most ten times a second; without a terminal (or with TERM=dumb) at most one
   line in ten seconds, but always one for the first and the last epoch. */
#define _DEFAULT_SOURCE /* TIOCGWINSZ */
#include "progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const double redraw_seconds = 0.1;
static const double line_seconds = 10;
enum { BAR_WIDTH = 20 };

double progress_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

progress progress_start(const char *label, int64_t epochs, int64_t steps_per_epoch, int64_t epoch,
                        int64_t step, bool quiet) {
    const char *term = getenv("TERM");
    bool dumb = term == NULL || strcmp(term, "dumb") == 0;
    double now = progress_clock();
    return (progress){.label = label,
                      .epochs = epochs,
                      .steps_per_epoch = steps_per_epoch,
                      .quiet = quiet,
                      .before = (double)epoch * (double)steps_per_epoch + (double)step,
                      .terminal = !dumb && isatty(STDERR_FILENO) == 1,
                      .started = now,
                      .shown = now,
                      .held_out_loss = NAN};
}

static void format_duration(double seconds, char *buffer, size_t size) {
    int64_t whole = seconds < 0 || !(seconds < 1e15) ? 0 : (int64_t)(seconds + 0.5);
    if (whole >= 3600) {
        snprintf(buffer, size, "%" PRId64 ":%02d:%02d", whole / 3600, (int)(whole / 60 % 60),
                 (int)(whole % 60));
    } else {
        snprintf(buffer, size, "%d:%02d", (int)(whole / 60), (int)(whole % 60));
    }
}

/* Rate and time left, after so many steps of all. */
static void format_pace(const progress *p, double done, double now, char *buffer, size_t size) {
    double rate = (done - p->before) / fmax(now - p->started, 1e-9);
    double all = (double)p->epochs * (double)p->steps_per_epoch;
    char left[32];
    format_duration((all - done) / fmax(rate, 1e-9), left, sizeof left);
    snprintf(buffer, size, "%.3g steps/s, %s left", rate, left);
}

/* Columns of the terminal; it may have been made wider or narrower. */
static int columns(void) {
    struct winsize size;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

void progress_line(const progress *p, int64_t epoch, int64_t step, double loss, const char *pace,
                   int width, char *line, size_t size) {
    double done = (double)epoch * (double)p->steps_per_epoch + (double)step;
    int filled = (int)(BAR_WIDTH * done / ((double)p->epochs * (double)p->steps_per_epoch));
    char bar[BAR_WIDTH + 4] = " [", rest[256], held_out[48] = "";
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[2 + i] = i < filled ? '#' : '-';
    bar[2 + BAR_WIDTH] = ']';
    bar[3 + BAR_WIDTH] = '\0';
    if (!isnan(p->held_out_loss))
        snprintf(held_out, sizeof held_out, ", held out %.4f", p->held_out_loss);
    snprintf(rest, sizeof rest, " epoch %" PRId64 "/%" PRId64 ", loss %.4f%s, %s", epoch + 1,
             p->epochs, loss, held_out, pace);
    int length = snprintf(line, size, "%s%s%s", p->label, bar, rest);
    if (length > width)
        snprintf(line, size, "%s%s", p->label, rest);
    if (width >= 0 && (size_t)width < size)
        line[width] = '\0';
}

void progress_step(progress *p, int64_t epoch, int64_t step, double loss) {
    double now = progress_clock();
    if (p->quiet || !p->terminal || now - p->shown < redraw_seconds)
        return;
    char pace[80], line[512];
    format_pace(p, (double)epoch * (double)p->steps_per_epoch + (double)step, now, pace,
                sizeof pace);
    /* The last column is left free: some terminals go to the next line when it is written. */
    progress_line(p, epoch, step, loss, pace, columns() - 1, line, sizeof line);
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    p->shown = now;
    p->drawn = true;
}

void progress_epoch(progress *p, int64_t epochs_done, double loss, double held_out_loss) {
    double now = progress_clock();
    p->held_out_loss = held_out_loss;
    bool end = epochs_done == 1 || epochs_done == p->epochs;
    if (p->quiet || p->terminal || (!end && now - p->shown < line_seconds))
        return;
    char pace[80];
    char held_out[48] = "";
    format_pace(p, (double)epochs_done * (double)p->steps_per_epoch, now, pace, sizeof pace);
    if (!isnan(held_out_loss))
        snprintf(held_out, sizeof held_out, ", held out %.4f", held_out_loss);
    fprintf(stderr, "%s: %" PRId64 " of %" PRId64 " epochs, loss %.4f%s, %s\n", p->label,
            epochs_done, p->epochs, loss, held_out, pace);
    p->shown = now;
}

void progress_end(progress *p) {
    if (p->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        p->drawn = false;
    }
}
