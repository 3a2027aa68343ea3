/* Strings of the Reber grammar (Reber 1967), and of the embedded one (Fahlman 1991; Hochreiter &
   Schmidhuber 1997), symbol by symbol: what may come next? Two symbols may, at most places; either
   is right. In the embedded one the last symbol but one is the second again, however long the
   string between them is. */
#include "random.h"
#include "tasks.h"

enum { SYMBOLS = 7, STATES = 7 };
enum { MOST };
typedef enum reber_symbol { B, T, S, X, P, V, E } reber_symbol;

/* The two ways out of each state of the grammar; of the last state one, which ends the string. */
static const struct {
    reber_symbol symbol;
    int next;
} ways[STATES][2] = {
    {{B, 1}, {B, 1}}, {{T, 2}, {P, 3}}, {{S, 2}, {X, 4}},           {{T, 3}, {V, 5}},
    {{X, 3}, {S, 6}}, {{P, 4}, {V, 6}}, {{E, STATES}, {E, STATES}},
};

static uint32_t ways_out(int state) {
    return (1U << ways[state][0].symbol) | (1U << ways[state][1].symbol);
}

/* A string with what may stand at each of its places. */
typedef struct string {
    int64_t length;
    int32_t *symbols;
    uint32_t *allowed;
} string;

static void put(string *s, int32_t symbol, uint32_t allowed) {
    s->symbols[s->length] = symbol;
    s->allowed[s->length++] = allowed;
}

/* Appends a string of the grammar; false when it would have more than `most` symbols. */
static bool put_reber(string *s, cb_random *random, int64_t most) {
    for (int state = 0; state < STATES;) {
        int way = draw_below(random, 2);
        if (s->length == most)
            return false;
        put(s, (int32_t)ways[state][way].symbol, ways_out(state));
        state = ways[state][way].next;
    }
    return true;
}

static bool put_embedded(string *s, cb_random *random, int64_t most) {
    int32_t kind = draw_below(random, 2) == 0 ? T : P;
    put(s, B, 1U << B);
    put(s, kind, 1U << T | 1U << P);
    if (!put_reber(s, random, most - 2))
        return false;
    put(s, kind, 1U << kind);
    put(s, E, 1U << E);
    return true;
}

/* The symbol of the step after is the target, so that the last one is not read. */
static void draw_string(const task_setup *setup, cb_random *random, task_batch *batch, int64_t k,
                        bool (*put_string)(string *, cb_random *, int64_t)) {
    enum { LONGEST = 1024 };
    int32_t symbols[LONGEST];
    uint32_t allowed[LONGEST];
    string s = {0, symbols, allowed};
    while (!put_string(&s, random, setup->parameter[MOST]))
        s.length = 0; /* longer than a batch has room for */
    batch->lengths[k] = (int32_t)s.length - 1;
    for (int64_t t = 0; t + 1 < s.length; t++) {
        int64_t at = task_at(batch, t, k);
        batch->symbols[at] = symbols[t];
        batch->classes[at] = symbols[t + 1];
        batch->allowed[at] = allowed[t + 1];
    }
}

static void draw_reber(const task_setup *setup, cb_random *random, task_batch *batch, int64_t k) {
    draw_string(setup, random, batch, k, put_reber);
}

static void draw_embedded(const task_setup *setup, cb_random *random, task_batch *batch,
                          int64_t k) {
    draw_string(setup, random, batch, k, put_embedded);
}

static void set_form(task_setup *setup) {
    setup->form =
        (task_form){.time = setup->parameter[MOST] - 1, .symbols = SYMBOLS, .classes = SYMBOLS};
}

const task task_reber = {
    .name = "reber",
    .summary = "which symbols may come next in a string of the Reber grammar",
    .equation = "y_t = x_(t+1); right is every symbol that the grammar allows there",
    .source = "Reber 1967",
    .parameters = {{"length", "symbols of the longest string", 40, 8, 1024}},
    .set_form = set_form,
    .draw = draw_reber,
    .several_right = true,
};

const task task_embedded_reber = {
    .name = "embedded-reber",
    .summary = "the same, where the second symbol comes again at the end",
    .equation = "y_t = x_(t+1); right is every symbol that the grammar allows there",
    .source = "Fahlman 1991; Hochreiter & Schmidhuber 1997",
    .parameters = {{"length", "symbols of the longest string", 40, 12, 1024}},
    .set_form = set_form,
    .draw = draw_embedded,
    .several_right = true,
};
