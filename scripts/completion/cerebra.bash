# Bash completion for cerebra: source this file, or install it as
# /usr/share/bash-completion/completions/cerebra. Options come from --help and cells from
# `cerebra cells --names`, so that they are always those of the installed command.

_cerebra_options() {
    "$1" "$2" --help 2>/dev/null | grep -oE '(^|[ ,])--[a-z][a-z0-9-]*' | tr -d ' ,' | sort -u
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

# Cells: names and files; of `sample` and `eval`, shared libraries only.
_cerebra_cells() {
    local command=$1 subcommand=$2 current=$3
    case $subcommand in
        sample | eval) _cerebra_files "$current" .so ;;
        *)
            compgen -W "$("$command" cells --names 2>/dev/null)" -- "$current"
            _cerebra_files "$current" .cell .so
            ;;
    esac
}

# What an option's value can be.
_cerebra_values() {
    local command=$1 subcommand=$2 option=$3 current=$4 words list=
    case $option in
        --cell)
            case $subcommand in
                explain | bench) list=${current%"${current##*,}"} ;; # "lstm," of "lstm,gr"
            esac
            _cerebra_cells "$command" "$subcommand" "${current#"$list"}" | _cerebra_behind "$list"
            return
            ;;
        --data | --validation | --log | --logs | --checkpoint | --resume | --out)
            compgen -f -- "$current"
            return
            ;;
        --optimizer) words="sgd adagrad adam adamw rmsprop" ;;
        --preset) words="char-rnn" ;;
        --schedule) words="constant step multi-step exponential cosine plateau" ;;
        --lr-unit) words="step epoch" ;;
        --init) words="default glorot-uniform glorot-normal kaiming-uniform kaiming-normal orthogonal" ;;
        --step) words="forward training" ;;
        --dtype) words="f32 f64" ;;
        --protocol) words="published controlled" ;;
        --models) words="lstm stacked-lstm cerebral-lstm widened-lstm" ;;
        *) return 1 ;;
    esac
    compgen -W "$words" -- "$current"
}

# The word at the cursor in one piece: Bash cuts words at = and :, which are in COMP_WORDBREAKS.
_cerebra() {
    local command=${COMP_WORDS[0]} subcommand=${COMP_WORDS[1]} at=$COMP_CWORD
    local word=${COMP_WORDS[COMP_CWORD]} option=none current lead kept found
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
        found=$(compgen -W "train sample eval reproduce plot cells explain bench --help --version" -- "$word")
    elif ! found=$(_cerebra_values "$command" "$subcommand" "$option" "$current") && [ -z "$found" ]; then
        case $subcommand,$word in
            *,-*) found=$(compgen -W "$(_cerebra_options "$command" "$subcommand")" -- "$word") ;;
            plot,*) found=$(compgen -f -- "$word") ;;
            cells,*) found=$(_cerebra_cells "$command" cells "$word") ;;
        esac
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
