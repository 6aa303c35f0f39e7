# Completions of tatmig for fish. The program itself finds the values.
function __tatmig_complete
    set -lx _TATMIG_COMPLETE fish
    command tatmig -- (commandline --current-process --tokenize --cut-at-cursor) \
        (commandline --current-token --cut-at-cursor) 2>/dev/null
end
complete --command tatmig --keep-order --no-files --arguments '(__tatmig_complete)'
