/* What the subcommands of `cerebra` share with its main function: their entry points, the exit
   codes and the form of an error message. */
#ifndef CEREBRA_APPS_CLI_COMMAND_H
#define CEREBRA_APPS_CLI_COMMAND_H

/* Besides EXIT_SUCCESS (0), EXIT_FAILURE (1) and 128 + N after signal N, when a checkpoint was
   saved first. */
enum {
    EXIT_USAGE = 2,    /* the command line is wrong */
    EXIT_DIVERGED = 3, /* training gave a loss that is no finite number, or far above a guess */
};

/* argv[0] is the subcommand's name. Each returns the exit code. */
int cerebra_train(int argc, char **argv);
int cerebra_sample(int argc, char **argv);
int cerebra_eval(int argc, char **argv);
int cerebra_inspect(int argc, char **argv);
int cerebra_import(int argc, char **argv);
int cerebra_cells(int argc, char **argv);
int cerebra_bench(int argc, char **argv);
int cerebra_explain(int argc, char **argv);
int cerebra_reproduce(int argc, char **argv);
int cerebra_plot(int argc, char **argv);
int cerebra_tasks(int argc, char **argv);

/* Writes "cerebra COMMAND: message" to standard error (control characters become '?', but for the
   ends of lines in a message that shows a place in a file; with EXIT_USAGE, one line ends in a hint
   at --help), and returns status. */
int command_fail(const char *command, int status, const char *message);

#endif
