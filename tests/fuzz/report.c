/* The tables at the end of a campaign. */
#include "report.h"

#include "forms.h"

#include <inttypes.h>
#include <string.h>

static double percent(uint64_t part, uint64_t whole) {
    return whole > 0 ? 100 * (double)part / (double)whole : 0;
}

static void report_reasons(FILE *stream, const tally *t) {
    bool told[MOST_REASONS] = {false};
    for (int n = 0; n < t->reason_count; n++) {
        int most = -1;
        for (int i = 0; i < t->reason_count; i++)
            if (!told[i] && (most < 0 || t->reasons[i].count > t->reasons[most].count))
                most = i;
        told[most] = true;
        fprintf(stream, "  %8" PRIu64 "  %s\n", t->reasons[most].count, t->reasons[most].text);
    }
}

void report_numbers(FILE *stream, const campaign *c, const tally *t, double seconds) {
    uint64_t failures = 0;
    fprintf(stream,
            "%" PRIu64 " seeds from %" PRIu64 " in %.1f s: %.0f a second, %.0f a second and "
            "worker; %.1f values a program\n",
            t->seeds, c->first, seconds, (double)t->seeds / seconds,
            (double)t->seeds / seconds / c->jobs,
            (double)t->values / (double)(t->seeds > 0 ? t->seeds : 1));
    fprintf(stream, "%8" PRIu64 "  compiled (%.1f %%)\n", t->compiled,
            percent(t->compiled, t->seeds));
    fprintf(stream, "op by op, because of\n");
    report_reasons(stream, t);
    for (int i = 0; i < VERDICT_KINDS; i++) {
        bool failed = kind_is_failure((verdict_kind)i);
        failures += failed ? t->kinds[i] : 0;
        if (t->kinds[i] > 0)
            fprintf(stream, "%8" PRIu64 "  %s%s\n", t->kinds[i], failed ? "FAILED: " : "",
                    kind_text((verdict_kind)i));
    }
    fprintf(stream, "%8" PRIu64 "  failures, %.1f of 10,000 programs\n", failures,
            100 * percent(failures, t->seeds));
}

static void report_row(FILE *stream, const char *text, const uint64_t counts[2]) {
    fprintf(stream, "  %-40s %9" PRIu64 " %9" PRIu64 "\n", text, counts[0], counts[1]);
}

void report_coverage(FILE *stream, const tally *t) {
    const char *group = "";
    fprintf(stream, "%-42s %9s %9s\n", "programs that have", "in all", "compiled");
    for (int i = 0; all_forms[i] != NULL; i++)
        report_row(stream, all_forms[i]->name, t->forms[i]);
    for (int i = 0; all_features[i].text != NULL; i++) {
        if (strcmp(group, all_features[i].group) != 0)
            fprintf(stream, "%s\n", all_features[i].group);
        group = all_features[i].group;
        report_row(stream, all_features[i].text, t->features[i]);
    }
}
