/* `cerebra`: one command with subcommands. This file only chooses which of them runs. */
#include "apps/cli/command.h"
#include "tensor/nearest.h"

#include <cerebra/version.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct subcommand {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} subcommand;

static const subcommand subcommands[] = {
    {"train", "train a character model on a text", cerebra_train},
    {"sample", "print text from a trained model", cerebra_sample},
    {"eval", "measure how well a trained model predicts a text", cerebra_eval},
    {"reproduce", "run the experiments of the paper \"Cerebral LSTM\"", cerebra_reproduce},
    {"inspect", "list the tensors of a file, with statistics", cerebra_inspect},
    {"import", "make a checkpoint of a model that PyTorch trained", cerebra_import},
    {"plot", "draw training logs as a chart", cerebra_plot},
    {"cells", "list the recurrent cells with their equations", cerebra_cells},
    {"explain", "print what the compiler makes of a cell", cerebra_explain},
    {"tasks", "list the tasks that networks are compared on", cerebra_tasks},
    {"bench", "time training steps against a large matrix product", cerebra_bench},
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

static void print_help(FILE *stream) {
    fputs("Usage: cerebra SUBCOMMAND [OPTION ...]\n"
          "       cerebra --help | --version\n"
          "Trains and compares recurrent networks that predict text character by character.\n\n",
          stream);
    for (int i = 0; i < SUBCOMMANDS; i++)
        fprintf(stream, "  %-10s %s\n", subcommands[i].name, subcommands[i].summary);
    fputs("\n`cerebra SUBCOMMAND --help` lists a subcommand's options.\n"
          "Exit status: 0 done, 1 failure, 2 wrong usage, 3 training diverged, 130 interrupted.\n",
          stream);
}

static int unknown_subcommand(const char *name) {
    const char *names[SUBCOMMANDS + 1] = {NULL};
    for (int i = 0; i < SUBCOMMANDS; i++)
        names[i] = subcommands[i].name;
    const char *nearest = cbi_nearest_name(name, names);
    fprintf(stderr, "cerebra: unknown %s \"%s\"", name[0] == '-' ? "option" : "subcommand", name);
    if (nearest != NULL)
        fprintf(stderr, " (did you mean %s?)\n", nearest);
    else
        fputs(" (see cerebra --help)\n", stderr);
    return EXIT_USAGE;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--help=words") == 0) { /* for the completion of shells */
        for (int i = 0; i < SUBCOMMANDS; i++)
            puts(subcommands[i].name);
        return EXIT_SUCCESS;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("cerebra %s\n", cb_version());
        return EXIT_SUCCESS;
    }
    for (int i = 0; i < SUBCOMMANDS; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    return unknown_subcommand(argv[1]);
}

int main(int argc, char **argv) {
    int status = run(argc, argv);
    /* A full disk or a closed pipe shows only now for buffered output. */
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_SUCCESS) {
        fprintf(stderr, "cerebra: cannot write standard output: %s\n", strerror(errno));
        status = EXIT_FAILURE;
    }
    return status;
}
