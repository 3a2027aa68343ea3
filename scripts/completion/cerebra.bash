# Bash completion for cerebra: source this file, or install it as
# /usr/share/bash-completion/completions/cerebra. Options come from --help, so that they are always
# those of the installed command.

_cerebra_options() {
    "$1" "$2" --help 2>/dev/null | grep -oE '(^|[ ,])--[a-z][a-z0-9-]*' | tr -d ' ,' | sort -u
}

_cerebra() {
    local command=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]}
    local previous=${COMP_WORDS[COMP_CWORD - 1]} subcommand=${COMP_WORDS[1]}
    local words=
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="train sample eval reproduce plot cells explain bench --help --version"
    else
        case $previous in
            --cell) words=$("$command" cells 2>/dev/null | grep -E '^[a-z]') ;;
            --optimizer) words="sgd adagrad adam adamw rmsprop" ;;
            --init) words="default glorot-uniform glorot-normal kaiming-uniform kaiming-normal orthogonal" ;;
            --step) words="forward training" ;;
            --dtype) words="f32 f64" ;;
            --protocol) words="published controlled" ;;
            --models) words="lstm stacked-lstm cerebral-lstm widened-lstm" ;;
            --data | --log | --logs | --checkpoint | --resume | --out)
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return
                ;;
            *)
                if [ "${current#-}" != "$current" ]; then
                    words=$(_cerebra_options "$command" "$subcommand")
                elif [ "$subcommand" = plot ]; then
                    mapfile -t COMPREPLY < <(compgen -f -- "$current")
                    return
                fi
                ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o filenames -F _cerebra cerebra
