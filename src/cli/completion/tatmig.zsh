#compdef tatmig
# Completions of tatmig for zsh. The program itself finds the values.
_tatmig() {
    local -a lines directories others
    local line
    lines=("${(@f)$(
        _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$((CURRENT - 1)) _TATMIG_COMPLETE=zsh \
            tatmig -- "${(@Q)words}" 2>/dev/null
    )}")
    for line in $lines; do
        if [[ $line == */ ]]; then
            directories+=("${line%/}")
        elif [[ -n $line ]]; then
            others+=("$line")
        fi
    done
    ((${#directories} + ${#others})) || return 1
    ((${#directories})) && _describe -V 'values' directories -S / -r /
    ((${#others})) && _describe -V 'values' others
    return 0
}
# The file is either a function in `fpath`, which is called to complete, or sourced.
if [[ ${funcstack[1]} == _tatmig ]]; then
    _tatmig "$@"
else
    compdef _tatmig tatmig
fi
