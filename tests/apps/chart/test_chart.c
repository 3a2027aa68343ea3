/* Whole charts: what the files hold, where the legend and the ink are, and that failures leave an
   existing file alone. PNG chunks are read here by hand, so that the writer is not its own judge.
 */
#include "apps/chart/chart.h"
#include "apps/chart/chart_page.h"

#include "tests/support.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[CBT_PATH_SIZE];
static char path[CBT_PATH_SIZE];
static char error[512];

static const double xs[] = {0, 1, 2, 3};
static const double ys[] = {4, 3, NAN, 2};
static const chart_series two[] = {{.label = "falling", .count = 4, .x = xs, .y = ys},
                                   {.label = "point", .count = 1, .x = xs, .y = xs + 1}};

static void set_up(void) {
    cbt_directory_make(directory);
}

static void tear_down(void) {
    cbt_directory_remove(directory);
}

TestSuite(chart, .init = set_up, .fini = tear_down);

static const char *in_directory(const char *name) {
    return cbt_join(path, directory, name);
}

/* The whole file, with a zero behind it; the caller frees. */
static unsigned char *slurp(const char *name, size_t *length) {
    FILE *file = fopen(name, "rb");
    cr_assert_not_null(file, "%s", name);
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = malloc(*length + 1);
    cr_assert_eq(fread(bytes, 1, *length, file), *length);
    bytes[*length] = '\0';
    fclose(file);
    return bytes;
}

static size_t big_endian(const unsigned char *bytes) {
    return (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
}

/* The body of the nth chunk of a type, or NULL. */
static const unsigned char *chunk(const unsigned char *png, size_t length, const char *type,
                                  size_t n, size_t *body_length) {
    for (size_t at = 8; at + 12 <= length; at += 12 + *body_length) {
        *body_length = big_endian(png + at);
        if (memcmp(png + at + 4, type, 4) == 0 && n-- == 0)
            return png + at + 8;
    }
    return NULL;
}

/* The text of a tEXt chunk with this keyword, for the caller to free; NULL when there is none. */
static char *png_text_of(const unsigned char *png, size_t length, const char *keyword) {
    size_t body_length;
    const unsigned char *body;
    for (size_t n = 0; (body = chunk(png, length, "tEXt", n, &body_length)) != NULL; n++) {
        if (strcmp((const char *)body, keyword) == 0) {
            size_t start = strlen(keyword) + 1;
            return strndup((const char *)body + start, body_length - start);
        }
    }
    return NULL;
}

Test(chart, png_has_the_size_and_the_texts) {
    chart_options options = {.title = "Loss of two models",
                             .x_label = "epoch",
                             .description = "cerebra plot a.csv",
                             .width = 640,
                             .height = 400};
    cr_assert(chart_write(two, 2, &options, in_directory("c.png"), error, sizeof error), "%s",
              error);
    size_t length, header_length;
    unsigned char *png = slurp(path, &length);
    cr_assert_arr_eq(png, "\x89PNG\r\n\x1a\n", 8);
    const unsigned char *header = chunk(png, length, "IHDR", 0, &header_length);
    cr_assert_eq(big_endian(header), 640);
    cr_assert_eq(big_endian(header + 4), 400);
    char *title = png_text_of(png, length, "Title");
    char *software = png_text_of(png, length, "Software");
    char *description = png_text_of(png, length, "Description");
    cr_assert_str_eq(title, "Loss of two models");
    cr_assert_str_eq(software, "cerebra");
    cr_assert_eq(strncmp(description, "cerebra plot a.csv\n", 19), 0);
    cr_assert_not_null(strstr(description, "falling (4 points), point (1 points)"));
    cr_assert_not_null(chunk(png, length, "IEND", 0, &header_length));
    free(title);
    free(software);
    free(description);
    free(png);
    cr_assert_eq(cbt_directory_count(directory), 1);
}

Test(chart, text_beyond_ascii_is_stored_as_utf8) {
    chart_options options = {.title = "Verlust λ", .width = 300, .height = 200};
    cr_assert(chart_write(two, 2, &options, in_directory("c.png"), error, sizeof error));
    size_t length, body_length;
    unsigned char *png = slurp(path, &length);
    const unsigned char *body = chunk(png, length, "iTXt", 0, &body_length);
    cr_assert_not_null(body);
    /* keyword 0 compressed method language 0 translated 0 text */
    cr_assert_str_eq((const char *)body, "Title");
    cr_assert_eq(memcmp(body + 10, "Verlust λ", strlen("Verlust λ")), 0);
    free(png);
}

Test(chart, the_same_chart_is_the_same_file) {
    chart_options options = {.title = "t", .width = 300, .height = 200};
    size_t first_length, second_length;
    cr_assert(chart_write(two, 2, &options, in_directory("a.png"), error, sizeof error));
    unsigned char *first = slurp(path, &first_length);
    cr_assert(chart_write(two, 2, &options, in_directory("b.png"), error, sizeof error));
    unsigned char *second = slurp(path, &second_length);
    cr_assert_eq(first_length, second_length);
    cr_assert_arr_eq(first, second, first_length);
    free(first);
    free(second);
}

Test(chart, svg_contains_title_and_labels) {
    chart_vline mark = {1.5, "crossing"};
    chart_options options = {
        .title = "A < B & C", .y_label = "loss", .vlines = &mark, .vline_count = 1};
    cr_assert(chart_write(two, 2, &options, in_directory("c.svg"), error, sizeof error));
    size_t length;
    char *svg = (char *)slurp(path, &length);
    cr_assert_not_null(strstr(svg, "<title>A &lt; B &amp; C</title>"));
    cr_assert_not_null(strstr(svg, "Line chart of loss"));
    cr_assert_not_null(strstr(svg, "falling (4 points), point (1 points)"));
    cr_assert_not_null(strstr(svg, "Marked at 1.5: crossing."));
    cr_assert_lt(strstr(svg, "<svg") - svg, strstr(svg, "<title>") - svg);
    cr_assert_not_null(strstr(svg, "</svg>"));
    free(svg);
}

/* Writes with options that cannot work over a file that holds "old". */
static void expect_failure(const chart_series *series, size_t count, chart_options options,
                           const char *name, const char *part) {
    FILE *old = fopen(in_directory(name), "w");
    fputs("old", old);
    fclose(old);
    cr_assert_not(chart_write(series, count, &options, path, error, sizeof error), "%s", part);
    cr_assert_not_null(strstr(error, part), "%s", error);
    size_t length;
    char *now = (char *)slurp(path, &length);
    cr_assert_str_eq(now, "old");
    free(now);
    cr_assert_eq(cbt_directory_count(directory), 1);
    unlink(path);
}

Test(chart, failures_leave_the_existing_file) {
    const chart_series empty = {.label = "nothing", .x = xs, .y = ys};
    expect_failure(two, 0, (chart_options){0}, "c.png", "there is no series");
    expect_failure(&empty, 1, (chart_options){0}, "c.png", "series \"nothing\" is empty");
    expect_failure(two, 2, (chart_options){.width = 20}, "c.png", "20 x 1000 pixels");
    expect_failure(two, 2, (chart_options){0}, "c.gif", "must end in .png, .svg or .pdf");
    expect_failure(two, 2, (chart_options){.y_min = {true, 9}}, "c.png", "limits of the axes");
}

Test(chart, unwritable_places_are_errors) {
    cr_assert_not(
        chart_write(two, 2, &(chart_options){0}, in_directory("no/c.png"), error, sizeof error));
    cr_assert_not_null(strstr(error, "No such file or directory"), "%s", error);
    in_directory("d.png");
    cr_assert_eq(mkdir(path, 0777), 0);
    cr_assert_not(chart_write(two, 2, &(chart_options){0}, path, error, sizeof error));
    cr_assert_not_null(strstr(error, "Is a directory"), "%s", error);
    rmdir(path);
}

Test(chart, a_symbolic_link_and_permissions_survive) {
    char link_path[CBT_PATH_SIZE];
    struct stat status;
    cbt_join(link_path, directory, "link.png");
    in_directory("target.png");
    fclose(fopen(path, "w"));
    cr_assert_eq(chmod(path, 0640), 0);
    cr_assert_eq(symlink("target.png", link_path), 0);
    cr_assert(chart_write(two, 2, &(chart_options){0}, link_path, error, sizeof error), "%s",
              error);
    cr_assert_eq(lstat(link_path, &status), 0);
    cr_assert(S_ISLNK(status.st_mode));
    cr_assert_eq(stat(path, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0640);
    cr_assert_gt(status.st_size, 100);
}

/* Lays a chart out as chart_write does, without saving it. */
static void lay_out(chart *c, const double *x, const double *y, size_t count) {
    static chart_series series;
    static curve only;
    static const chart_options options = {0};
    series = (chart_series){.label = "curve", .count = count, .x = x, .y = y};
    only = (curve){0};
    *c = (chart){.series = &series,
                 .series_count = 1,
                 .options = &options,
                 .width = 800,
                 .height = 500,
                 .unit = 1,
                 .tick_size = 12,
                 .legend_size = 12,
                 .x = {0, 10, false, false},
                 .y = {0, 10, false, false},
                 .curves = &only};
    c->page = canvas_new(CANVAS_PNG, 800, 500, 96);
    chart_lay_out(c);
    cr_assert(chart_project_curves(c));
    cr_assert(chart_place_legend(c));
}

Test(chart, the_legend_avoids_the_curve) {
    chart c;
    const double falling[] = {10, 7, 5, 3, 0};
    const double rising[] = {0, 3, 5, 7, 10};
    const double x[] = {0, 2.5, 5, 7.5, 10};
    lay_out(&c, x, falling, 5);
    cr_assert_gt(c.legend.box.x, 400, "beside a falling curve: upper right");
    cr_assert_lt(c.legend.box.y, 250);
    chart_free_curves(&c);
    canvas_free(c.page);
    lay_out(&c, x, rising, 5);
    cr_assert_lt(c.legend.box.x, 400, "beside a rising curve: upper left");
    cr_assert_lt(c.legend.box.y, 250);
    chart_free_curves(&c);
    canvas_free(c.page);
}

Test(chart, a_legend_without_a_free_place_goes_above_the_plot) {
    enum { COUNT = 200 };
    chart c;
    static double x[COUNT], y[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        x[i] = (double)i * 10 / (COUNT - 1);
        y[i] = i % 2 == 0 ? 0 : 10;
    }
    lay_out(&c, x, y, COUNT);
    cr_assert(c.legend.shown && c.legend.above);
    chart_free_curves(&c);
    canvas_free(c.page);
}

Test(chart, long_texts_are_cut_to_fit) {
    chart c = {.page = canvas_new(CANVAS_PNG, 200, 200, 96)};
    char fitted[CHART_LONGEST_TEXT];
    char long_text[1001];
    for (size_t i = 0; i < 500; i++)
        memcpy(long_text + 2 * i, "é", 2);
    long_text[1000] = '\0';
    chart_fit_text(&c, "short", 12, false, 100, fitted);
    cr_assert_str_eq(fitted, "short");
    chart_fit_text(&c, long_text, 12, false, 100, fitted);
    cr_assert_leq(canvas_text_width(c.page, fitted, 12, false), 100);
    cr_assert_str_eq(fitted + strlen(fitted) - 5, "é…");
    chart_fit_text(&c, long_text, 12, false, 1e9, fitted);
    cr_assert_str_eq(fitted + strlen(fitted) - 5, "é…");
    chart_fit_text(&c, "wide", 12, false, 0, fitted);
    canvas_free(c.page);
}

/* Every combination of these must be drawn, with or without room for it. */
Test(chart, many_shapes_can_be_drawn) {
    enum { SERIES = 20 };
    static const double extreme[] = {1e300, -1e300, 1e-320, 1};
    chart_series many[SERIES];
    for (size_t i = 0; i < SERIES; i++) {
        many[i] = (chart_series){.label = i % 3 == 0 ? "a rather long label for a curve" : "b",
                                 .count = 4,
                                 .x = xs,
                                 .y = i == 7 ? extreme : ys,
                                 .low = i == 9 ? extreme : NULL,
                                 .high = i == 9 ? ys : NULL};
    }
    const int sizes[][2] = {{100, 100}, {100, 900}, {900, 100}, {640, 480}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned flags = 0; flags < 8; flags++) {
            chart_options options = {.width = sizes[i][0],
                                     .height = sizes[i][1],
                                     .title = flags & 1U ? "Title" : NULL,
                                     .log_y = (flags & 2U) != 0,
                                     .smooth = flags & 4U ? 3 : 0};
            cr_assert(
                chart_write(many, SERIES, &options, in_directory("m.png"), error, sizeof error),
                "%s", error);
        }
    }
}

/* Everything about a style but its width. */
static bool same_style(const chart *c, size_t i, size_t j) {
    double one[CHART_MOST_DASHES], other[CHART_MOST_DASHES];
    canvas_stroke a = chart_curve_stroke(c, i, one);
    canvas_stroke b = chart_curve_stroke(c, j, other);
    return memcmp(&a.color, &b.color, sizeof a.color) == 0 && a.dash_count == b.dash_count &&
           (a.dash_count == 0 || memcmp(one, other, a.dash_count * sizeof *one) == 0);
}

Test(chart, styles_differ) {
    chart_series many[CHART_STYLES] = {{.label = NULL}};
    chart c = {.series = many, .series_count = CHART_STYLES, .unit = 1};
    for (size_t i = 0; i < CHART_STYLES; i++)
        for (size_t j = 0; j < i; j++)
            cr_assert_not(same_style(&c, i, j), "%zu and %zu", i, j);
    many[1] = (chart_series){.color = 1, .dash = 0};
    cr_assert(same_style(&c, 0, 1), "the first colour, solid");
}

Test(chart, texts_of_any_bytes_are_drawn) {
    static const char *const names[] = {"c.png", "c.svg", "c.pdf"};
    const chart_series odd = {.label = "r\xe9sum\xe9\n\x1b[31m", .count = 4, .x = xs, .y = ys};
    chart_options options = {.title = "\xff\xc3", .x_label = "\xed\xa0\x80", .width = 300};
    for (size_t i = 0; i < 3; i++) {
        size_t length;
        cr_assert(chart_write(&odd, 1, &options, in_directory(names[i]), error, sizeof error), "%s",
                  error);
        char *bytes = (char *)slurp(path, &length);
        if (i == 1)
            cr_assert_not_null(strstr(bytes, "r\xef\xbf\xbdsum\xef\xbf\xbd\n [31m (4 points)"));
        free(bytes);
    }
    char *clean = chart_clean_text("a\xc3", false);
    cr_assert_str_eq(clean, "a\xef\xbf\xbd");
    free(clean);
}

Test(chart, letters_without_a_font_are_said) {
    char notice[CHART_NOTICE_SIZE] = "?";
    chart_options options = {.title = "loss", .notice = notice};
    cr_assert(chart_write(two, 2, &options, in_directory("c.png"), error, sizeof error));
    cr_assert_str_eq(notice, "");
    options.title = "\xf3\xb0\x80\x80"; /* U+F0000, for private use */
    cr_assert(chart_write(two, 2, &options, in_directory("c.png"), error, sizeof error));
    cr_assert_not_null(strstr(notice, "no installed font has them"), "%s", notice);
}

Test(chart, a_pdf_is_the_same_each_time_and_has_its_title) {
    chart_options options = {.title = "Loss", .width = 300, .height = 200};
    size_t first_length, second_length;
    cr_assert(chart_write(two, 2, &options, in_directory("a.pdf"), error, sizeof error));
    unsigned char *first = slurp(path, &first_length);
    sleep(1);
    cr_assert(chart_write(two, 2, &options, in_directory("b.pdf"), error, sizeof error));
    unsigned char *second = slurp(path, &second_length);
    cr_assert_arr_eq(first, "%PDF-", 5);
    cr_assert_eq(first_length, second_length);
    cr_assert_arr_eq(first, second, first_length);
    free(first);
    free(second);
}

Test(chart, panels_have_the_same_left_and_right_end) {
    const double wide[] = {123456, 123457, 123458, 123459};
    const chart_series other = {.label = "wide", .count = 4, .x = xs, .y = wide};
    const chart_panel panels[] = {{two, 2, {.y_label = "loss"}}, {&other, 1, {.x_label = "epoch"}}};
    chart_options page = {.title = "Two", .width = 640, .height = 600};
    cr_assert(chart_write_panels(panels, 2, &page, in_directory("p.svg"), error, sizeof error),
              "%s", error);
    size_t length;
    char *svg = (char *)slurp(path, &length);
    cr_assert_not_null(strstr(svg, "falling (4 points), point (1 points)"));
    cr_assert_not_null(strstr(svg, "wide (4 points)"));
    free(svg);
    const chart_panel bad[] = {panels[0], {&other, 0, {0}}};
    cr_assert_not(chart_write_panels(bad, 2, &page, path, error, sizeof error));
}
