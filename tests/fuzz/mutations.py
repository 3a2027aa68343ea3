#!/usr/bin/env python3
"""Breaks the compiler of steps on purpose and sees whether the fuzzer notices.

    mutations.py SOURCE BUILD [--count N] [--only NAMES] [--unverified]

SOURCE is a copy of the tree that may be changed, BUILD a build directory of it. Each mutation drops
one condition in a pass. The compiler is built with it, and fuzz_steps runs new seeds, N at most
(20,000). Prints for each mutation how many of the seeds failed, and who noticed: the verifier, the
check of a plan at first use (which one run in eight makes), or the fuzzer itself, by a result that
differs, a crash or an error. With --unverified the verifier is left out as well, so that what it
keeps from running runs. Exit status 1 when a mutation is not noticed, or does not apply any more.
"""

import argparse
import pathlib
import re
import subprocess
import sys

BUG = "the compiler says that it has a bug"
# faults.h, and what leaves the verifier out.
VERIFIED = "#define CBI_FAULT(n) false"
UNVERIFIED = "#define CBI_FAULT(n) ((n) == CBI_FAULT_UNVERIFIED)"

# Name, file of autograd/, what it is about, text, and what takes its place.
MUTATIONS = [
    ("view-of-all", "compiler/simplify.c", "all elements in another order are the value itself",
     "return cbi_view_is_run(view) && view->offset == 0 &&\n           view->shape[0]",
     "return view->offset == 0 &&\n           cbi_view_count(view)"),
    ("neutral-zero", "compiler/simplify.c", "a product with any number is 0",
     "if (algebra->absorbs && is_number(graph, v->in[k], 0))",
     "if (algebra->absorbs && cbi_is_constant(graph, v->in[k]))"),
    ("concat-filled", "compiler/concat.c", "what fills an inner concatenation is not looked at",
     "bool opens = piece->kind == CBI_CONCAT &&\n                 (memcmp(piece->parameters, "
     "concat->parameters, sizeof(double)) == 0 ||",
     "bool opens = piece->kind == CBI_CONCAT &&\n                 (true ||"),
    ("concat-continues", "compiler/concat.c", "slices of a value join whatever their order",
     "           *start + a->place.shape[0] == of_b;", "           of_b >= 0;"),
    ("merge-groups", "compiler/merge.c", "products of several groups are put on top of each other",
     "rewrite->uses[term] == 1 && v->groups == 1 && v->m == 1 &&", "rewrite->uses[term] == 1 && v->m == 1 &&"),
    ("merge-left", "compiler/merge.c", "products of different operands become one",
     "bool fit = a->in[0] == b->in[0] && a->groups == 1", "bool fit = a->groups == 1"),
    ("sink-kind", "compiler/sink.c", "reductions are computed slice by slice",
     "uses[v] > 0 && value->kind == CBI_ELEMENTWISE &&", "uses[v] > 0 && value->count > 0 &&"),
    ("unread-gaps", "compiler/unread_columns.c", "what is between a concatenation's pieces is 0",
     "if (v->kind != CBI_CONCAT || v->parameters[0] != 0)", "if (v->kind != CBI_CONCAT)"),
    ("materialize-lookup", "compiler/materialize.c", "rows of a table are taken for rows in order",
     "return pass->looked_up && v->kind == CBI_ROW_INPUT;",
     "return pass->looked_up && v->kind == CBI_STATE;"),
    ("materialize-call", "compiler/materialize.c", "calls read their operands through views",
     "return !is_run_of(graph, in) || is_looked_up(pass, in);", "return is_looked_up(pass, in);"),
    ("materialize-passing", "compiler/materialize.c", "cotangents of states are there after the loop",
     "bool passes = v->kind == CBI_COTANGENT && v->index < pass->graph->state_count;",
     "bool passes = false;"),
    ("residual-left", "compiler/plan_internal.h",
     "the states of sequences that are over are taken for what was computed of them",
     "cbi_value_at(p, v)->type.rows && !p->plan->whole;", "cbi_value_at(p, v)->type.rows;"),
    ("residual-inputs", "compiler/residuals.c", "what is computed again needs nothing",
     "        if (computed)\n            need_inputs(p, v, 1);",
     "        if (computed && v >= graph->forward_count)\n            need_inputs(p, v, 1);"),
    ("residual-again", "compiler/residuals.c", "what is computed again from residuals needs nothing",
     "        if (!is_had(p, from))\n            compute_again(p, from);\n", ""),
    ("contract-vector", "compiler/contract.c", "a factor that varies with the sums is taken for a vector",
     "(s->outer == 1 || s->stride[k][0] == 0)", "(s->outer == 1 || s->stride[k][0] >= 0)"),
    ("stage-crosses", "compiler/schedule.c", "what the next stage reads may be in a register",
     "if (p->stage[from] < p->stage[v])", "if (p->stage[from] + 1 < p->stage[v])"),
    ("pieces-runs", "compiler/buffers.c", "pieces with gaps are computed in place",
     "    return runs || left == 0;", "    return runs || left >= 0;"),
    ("pieces-stay", "compiler/buffers.c", "what stays is computed in what does not",
     "if (is_piece(p, v, k) && (!stays(p, value->in[k]) || all_stay))",
     "if (is_piece(p, v, k) && (!stays(p, value->in[k]) || all_stay || k >= 0))"),
    ("register-last", "compiler/registers.c", "a register is given away before it was read",
     "if (slots[k].last < at && slots[k].bytes >= bytes &&",
     "if (slots[k].last < at + 2 && slots[k].bytes >= bytes &&"),
    ("register-size", "compiler/registers.c", "a register is given to what is larger",
     "if (slots[k].last < at && slots[k].bytes >= bytes &&", "if (slots[k].last < at &&"),
    ("alias-free", "compiler/alias.c", "a residual is written over before it was read",
     "if (place->buffer == buffer && !before && !in_place)",
     "if (place->buffer == buffer && !before && !in_place && i <= at)"),
    ("alias-summed", "compiler/alias.c", "a residual is written over that is read after the loop",
     "fits(p, b, writer) && !is_summed(p, b) && is_free(p, b, i)",
     "fits(p, b, writer) && (!is_summed(p, b) || b >= 0) && is_free(p, b, i)"),
    ("share-options", "compiler/traced.c", "ops that differ in their options are shared",
     "cbi_draw_of(n) != NULL ||\n            !same_options(n->op, n->options, batch, "
     "other->options, batch))",
     "cbi_draw_of(n) != NULL ||\n            (batch == 0 && !same_options(n->op, n->options, batch, "
     "other->options, batch)))"),
    ("view-together", "compiler/view.c", "axes of a view that run along one axis may leave it",
     "if (least[i] < 0 || most[i] >= a->shape[i])\n            return false;",
     "if (least[i] < 0)\n            return false;"),
    ("ended-rows", "runtime/run_call.c", "ops are applied to sequences that are over",
     "while (row < end && cbi_is_running(t, row))", "while (row < end)"),
]


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)


def verdicts(output):
    """Who noticed a failure of a campaign, with how often: the table counts all of a kind, and the
    lines of seeds say what the compiler said."""
    found = {}
    for times, what in re.findall(r"^ *(\d+)  FAILED: (.*)$", output, re.M):
        if what == BUG:
            said = re.findall(r"^seed \d+: " + BUG + ": (.*)$", output, re.M)
            check = sum("compiled, " in line or "only where compiled" in line for line in said)
            found["the check at first use"] = check
            found["the verifier"] = int(times) - check
        else:
            found[f"the fuzzer ({what})"] = int(times)
    return {who: times for who, times in found.items() if times > 0}


def seeds_of(output):
    found = re.search(r"^(\d+) seeds from (\d+)", output, re.M)
    return (int(found[1]), found[2]) if found else (0, "?")


def try_mutation(mutation, source, build, count):
    name, file, what, old, new = mutation
    path = source / "autograd" / file
    text = path.read_text()
    if text.count(old) == 0:
        print(f"| {name} | `{file}` | {what} | DOES NOT APPLY |", flush=True)
        return False
    path.write_text(text.replace(old, new, 1))
    try:
        built = run(["ninja", "-C", build, "tests/fuzz/fuzz_steps"])
        if built.returncode != 0:
            print(f"| {name} | `{file}` | {what} | DOES NOT BUILD |\n{built.stdout}", flush=True)
            return False
        tried, failed, found = 0, 0, {}
        while tried < count and failed < 3:
            output = run([build / "tests/fuzz/fuzz_steps", "--count", "500", "--reductions", "0"]).stdout
            ran, _ = seeds_of(output)
            if ran == 0:
                found["the fuzzer itself ended"] = 1
                failed += 3
                break
            tried += ran
            for who, times in verdicts(output).items():
                found[who] = found.get(who, 0) + times
                failed += times
    finally:
        path.write_text(text)
    list_of = ", ".join(f"{who}: {times}" for who, times in sorted(found.items()))
    result = f"{failed} of {tried}: {list_of}" if failed else f"NOT NOTICED in {tried}"
    print(f"| {name} | `{file}` | {what} | {result} |", flush=True)
    return failed > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--only", help="names, with commas between them")
    parser.add_argument("--unverified", action="store_true", help="leave the verifier out")
    asked = parser.parse_args()
    faults = asked.source / "autograd/compiler/faults.h"
    switches = faults.read_text()
    assert VERIFIED in switches
    if asked.unverified:
        faults.write_text(switches.replace(VERIFIED, UNVERIFIED))
    print("| mutation | file | what it lets through | failures of seeds |\n|---|---|---|---|")
    try:
        good = [try_mutation(m, asked.source, asked.build, asked.count)
                for m in MUTATIONS if asked.only is None or m[0] in asked.only.split(",")]
    finally:
        faults.write_text(switches)
    print(f"{sum(good)} of {len(good)} noticed")
    return 0 if good and all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
