/* Colours and dashes.

   The colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with any of
   the usual kinds of colour blindness can tell apart, without the yellow that is invisible on white
   paper; dashes tell the curves apart in grey print as well. */
#include "chart_page.h"

static const canvas_color palette[CHART_COLORS] = {
    {0.000, 0.447, 0.698, 1}, {0.835, 0.369, 0.000, 1}, {0.000, 0.620, 0.451, 1},
    {0.800, 0.475, 0.655, 1}, {0.902, 0.624, 0.000, 1}, {0.337, 0.706, 0.914, 1},
    {0.000, 0.000, 0.000, 1}, {0.470, 0.470, 0.470, 1},
};

/* Lengths of dash and gap in multiples of the line's width. */
static const struct {
    size_t count;
    double lengths[CHART_MOST_DASHES];
} dash_styles[CHART_DASHES] = {
    {0, {0}},
    {2, {6, 2.2}},
    {4, {7, 2, 1.4, 2}},
    {2, {2.4, 1.8}},
    {6, {7, 2, 1.4, 2, 1.4, 2}},
    {2, {1.2, 1.6}},
};

canvas_stroke chart_curve_stroke(const chart *c, size_t index, double dashes[CHART_MOST_DASHES]) {
    const chart_series *series = &c->series[index];
    const double width = 1.7 * c->unit;
    size_t color, dash;
    if (series->color > 0) {
        color = (series->color - 1) % CHART_COLORS;
        dash = series->dash % CHART_DASHES;
    } else {
        size_t before = 0;
        for (size_t i = 0; i < index; i++)
            before += c->series[i].color == 0;
        /* After a round through the palette each colour comes with the next dash style. */
        color = before % CHART_COLORS;
        dash = (color + before / CHART_COLORS) % CHART_DASHES;
    }
    size_t count = dash_styles[dash].count;
    for (size_t i = 0; i < count; i++)
        dashes[i] = dash_styles[dash].lengths[i] * width;
    return (canvas_stroke){.width = width,
                           .color = palette[color],
                           .dashes = count == 0 ? NULL : dashes,
                           .dash_count = count};
}
