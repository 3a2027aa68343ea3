/* `cerebra plot`: loss charts from training logs. */
#ifndef CEREBRA_APPS_COMMANDS_PLOT_H
#define CEREBRA_APPS_COMMANDS_PLOT_H

/* argv[0] is the subcommand's name. Returns the exit code: 0 done, 1 failure, 2 wrong usage. */
int cerebra_plot(int argc, char **argv);

#endif
