#!/bin/sh
# Migrates the databases, then starts the application. Copy it into the application's image:
#
#   COPY --from=tatmig /usr/local/bin/tatmig /usr/local/bin/tatmig
#   COPY MIGRATIONS.md tatmig.toml entrypoint.sh /app/
#   WORKDIR /app
#   USER app
#   ENTRYPOINT ["/app/entrypoint.sh"]
#   CMD ["python", "-m", "notes"]
#
# The directories that tatmig.toml names are on a volume that the user of the image can write to.
#
# If a database fails, it stays at its version, the others are migrated, and the application does not
# start. To start it all the same, for an application that migrates each user at log-in and answers
# the users that failed with an error, write `migrate || [ $? = 1 ]`: exit status 1 means that some
# databases failed, 2 that nothing was changed.
set -eu

# This shell is process 1 of the container, which a signal ends only if it is handled. A stopped
# migration rolls back, and the application does not start.
run() {
    "$@" &
    process=$!
    trap 'kill -TERM "$process"; wait "$process"; exit 143' TERM INT
    status=0
    wait "$process" || status=$?
    trap - TERM INT
    return "$status"
}

migrate() {
    run tatmig upgrade --all-users
}

# Creates the system database at the first start.
run tatmig init
migrate
# `exec`: the application becomes process 1, and gets the signals of the container.
exec "$@"
