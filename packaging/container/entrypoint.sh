#!/bin/sh
# Migrates the databases, then starts the application. Copy it into the application's image:
#
#   COPY --from=tatmig /usr/local/bin/tatmig /usr/local/bin/tatmig
#   COPY MIGRATIONS.md tatmig.toml entrypoint.sh /app/
#   ENTRYPOINT ["/app/entrypoint.sh"]
#   CMD ["python", "-m", "notes"]
#
# A database that fails stays at its version and is reported. With `set -e` the application does not
# start then; without it, the application serves the users whose databases were migrated.
set -e
cd /app
tatmig upgrade --all-users
# `exec`: the application gets the signals of the container.
exec "$@"
