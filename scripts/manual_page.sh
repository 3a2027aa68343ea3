#!/bin/sh
# Makes the manual page: the options of each subcommand, as the command itself knows them, in the
# place of the template's line @SUBCOMMANDS@. Usage: manual_page.sh CEREBRA TEMPLATE
set -eu
cerebra=$1
version=$("$cerebra" --version)
while IFS= read -r line; do
    case $line in
    @SUBCOMMANDS@)
        for subcommand in $("$cerebra" --help=words); do
            "$cerebra" "$subcommand" --help=man
        done
        ;;
    *@VERSION@*) printf '%s\n' "${line%@VERSION@*}$version${line#*@VERSION@}" ;;
    *) printf '%s\n' "$line" ;;
    esac
done <"$2"
