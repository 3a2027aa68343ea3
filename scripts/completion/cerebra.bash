# Bash completion for cerebra: source this file, or install it as
# /usr/share/bash-completion/completions/cerebra. Subcommands and options come from --help=words and
# cells and tasks from `cerebra cells --names` and the like, so that they are always those of the installed command.

# A line for each option: "--NAME", its value ("" for a flag), and the values that there are.
_cerebra_options() {
    "$1" "$2" --help=words 2>/dev/null
}

# Lines with something in front of each.
_cerebra_behind() {
    local line
    while IFS= read -r line; do
        printf '%s%s\n' "$1" "$line"
    done
}

# Files with the given endings, and folders with a slash.
_cerebra_files() {
    local current=$1 ending
    shift
    for ending in "$@"; do
        compgen -f -X "!*$ending" -- "$current"
    done
    compgen -d -S / -- "$current"
}

# Cells: names and files.
_cerebra_cells() {
    compgen -W "$("$1" cells --names 2>/dev/null)" -- "$2"
    _cerebra_files "$2" .cell .so
}

# What a value can be of which --help says KIND, such as FILE, and which is one of WORDS, if any.
_cerebra_values() {
    local command=$1 kind=$2 words=$3 current=$4 list=
    if [[ $kind == *,... ]]; then # "lstm," of "lstm,gr"
        list=${current%"${current##*,}"}
        current=${current#"$list"}
    fi
    case $kind in
        CELL*) _cerebra_cells "$command" "$current" ;;
        TASK*) compgen -W "$("$command" tasks --names 2>/dev/null)" -- "$current" ;;
        FILE.so*) _cerebra_files "$current" .so ;;
        FILE* | DIR) compgen -f -- "$current" ;;
        *) compgen -W "$words" -- "$current" ;;
    esac | _cerebra_behind "$list"
}

# The word at the cursor in one piece: Bash cuts words at = and :, which are in COMP_WORDBREAKS.
_cerebra() {
    local command=${COMP_WORDS[0]} subcommand=${COMP_WORDS[1]} at=$COMP_CWORD
    local word=${COMP_WORDS[COMP_CWORD]} option=none current lead=
    local kept options name kind words found=""
    while [ "$at" -gt 1 ] && [[ $word == [=:]* || ${COMP_WORDS[at - 1]} == [=:] ]]; do
        at=$((at - 1))
        word=${COMP_WORDS[at]}$word
    done
    current=$word
    if [[ $word == --*=* ]]; then
        option=${word%%=*} current=${word#*=}
        lead=$option=
    elif [ "$at" -gt 2 ]; then
        option=${COMP_WORDS[at - 1]}
    fi

    COMPREPLY=()
    if [ "$at" -eq 1 ]; then
        found=$(compgen -W "$("$command" --help=words 2>/dev/null) --help --version" -- "$word")
    else
        options=$(_cerebra_options "$command" "$subcommand")
        [[ $word != -* || -n $lead ]] || found=$(compgen -W "$(cut -f 1 <<<"$options" | grep '^--')" -- "$word")
        while IFS=$'\t' read -r name kind words; do
            # An operand, unless the word is an option's value.
            [[ $name == "$option" || ($name == operand && $word != -*) ]] || continue
            [ -n "$kind" ] || continue
            found=$(_cerebra_values "$command" "$kind" "$words" "$current")
            [ "$name" = operand ] || break
        done <<<"$options"
    fi
    [ -n "$found" ] || return
    mapfile -t COMPREPLY < <(sort -u <<<"$found" | _cerebra_behind "$lead")

    # Bash puts the reply behind what it cut off.
    kept=$word
    [[ $COMP_WORDBREAKS != *=* ]] || kept=${kept##*=}
    [[ $COMP_WORDBREAKS != *:* ]] || kept=${kept##*:}
    COMPREPLY=("${COMPREPLY[@]#"${word%"$kept"}"}")
    for at in "${!COMPREPLY[@]}"; do # Readline puts the slash behind a folder that it finds
        [ ! -d "${COMPREPLY[at]}" ] || COMPREPLY[at]=${COMPREPLY[at]%/}
    done
    [[ ${#COMPREPLY[@]} -ne 1 || ${COMPREPLY[0]} != */ ]] || compopt -o nospace 2>/dev/null
}

complete -o filenames -F _cerebra cerebra
