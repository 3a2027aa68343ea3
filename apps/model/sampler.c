/* The order of a pass is a function of its key, so that a checkpoint holds a number in place of a
   permutation, and a text of any size needs no memory for it. */
#include "sampler.h"

/* Rounds of the Feistel network below; four are enough for a pseudo-random permutation (Luby &
   Rackoff 1988), the others are for its small halves. */
enum { FEISTEL_ROUNDS = 8 };

/* The finalizer of SplitMix64 (Steele et al. 2014). */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A Feistel network permutes the numbers of twice `half` bits. Numbers of count and above are sent
   through it again until they fall below (cycle walking); there are fewer than 3 count of them. */
int64_t sampler_permuted(uint64_t key, int64_t count, int64_t i) {
    int half = 1;
    while (half < 31 && ((int64_t)1 << (2 * half)) < count)
        half++;
    uint64_t mask = ((uint64_t)1 << half) - 1, place = (uint64_t)i;
    do {
        uint64_t left = place >> half, right = place & mask;
        for (uint64_t round = 0; round < FEISTEL_ROUNDS; round++) {
            uint64_t next = left ^ (mix(mix(key + round) ^ right) & mask);
            left = right;
            right = next;
        }
        place = left << half | right;
    } while (place >= (uint64_t)count);
    return (int64_t)place;
}

bool sampler_make(const sampling *how, passage characters, int64_t length, int64_t time,
                  int64_t batch, int64_t steps_per_epoch, sampler *made, char *error) {
    window_batch probe = {0};
    *made = (sampler){.how = *how};
    /* Any offset leaves the same number of windows. */
    int64_t spare = how->random_offsets ? time - 1 : 0;
    bool ok = windows_make(characters, length - spare, time, &made->windows, error) &&
              window_batch_make(&made->windows, batch, &probe, error);
    window_batch_free(&probe);
    if (ok)
        made->round = how->pass || how->carried ? made->windows.count / batch : steps_per_epoch;
    return ok;
}

bool sampler_state_is_valid(const sampler *s, const sampler_state *state) {
    int64_t offsets = s->how.random_offsets ? s->windows.time : 1;
    return state->offset >= 0 && state->offset < offsets && state->cursor >= 0 &&
           state->cursor < s->round;
}

bool sampler_next(sampler *s, cb_random *random, window_batch *batch, char *error) {
    sampler_state *state = &s->state;
    bool pass = s->how.pass && !s->how.carried;
    if (state->cursor == 0 && s->how.random_offsets)
        state->offset = (int64_t)cb_random_below(random, (uint64_t)s->windows.time);
    if (state->cursor == 0 && pass)
        state->key = cb_random_u64(random);
    s->windows.offset = state->offset;
    if (!pass && !s->how.carried) {
        if (!window_batch_draw(&s->windows, random, batch, error))
            return false;
    } else {
        for (int64_t b = 0; b < batch->size; b++) {
            batch->chosen[b] = s->how.carried ? b * s->round + state->cursor
                                              : sampler_permuted(state->key, s->round * batch->size,
                                                                 state->cursor * batch->size + b);
        }
        if (!window_batch_fill(&s->windows, batch->size, batch, error))
            return false;
    }
    state->cursor = (state->cursor + 1) % s->round;
    return true;
}
