# Completions of tatmig for bash 3.2 and later. The program itself finds the values.
_tatmig() {
    local IFS=$'\013' count=0 is_value="" prefix="" word i
    local -a words=()
    # bash splits at `=`: `--user=ann` is three words here and one for the program.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((count > 0)) && [[ $word == = && ${words[count - 1]} == --* && ${words[count - 1]} != *=* ]]; then
            words[count - 1]+="="
            is_value=1
        elif [[ -n $is_value ]]; then
            words[count - 1]+=$word
            is_value=""
        else
            words[count]=$word
            count=$((count + 1))
        fi
    done
    local current=${words[count - 1]}
    if [[ $current == --*=* ]]; then
        prefix=${current%%=*}=
    fi
    COMPREPLY=()
    # `read` splits without the expansion of patterns such as `*`, which a name may hold.
    read -r -d '' -a COMPREPLY < <(
        _CLAP_IFS="$IFS" _CLAP_COMPLETE_INDEX=$((count - 1)) _TATMIG_COMPLETE=bash \
            tatmig -- "${words[@]}" 2>/dev/null
    )
    local typed=${current#"$prefix"}
    for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do
        word=${COMPREPLY[i]#"$prefix"}
        if [[ $typed != [\'\"]* && $word == *[!A-Za-z0-9_./:@%+=,-]* ]]; then
            printf -v word '%q' "$word"
        fi
        COMPREPLY[i]=$word
    done
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o nosort -F _tatmig tatmig 2>/dev/null || complete -F _tatmig tatmig
