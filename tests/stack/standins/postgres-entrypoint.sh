#!/bin/sh
# As the official image's: options alone are those of the server; the first start makes the cluster and runs what is
# in docker-entrypoint-initdb.d.
set -eu
case "$1" in
-*) set -- postgres "$@" ;;
esac
if [ "$(id -u)" = 0 ]; then
    chown -R postgres:postgres /var/lib/postgresql /var/run/postgresql
    exec setpriv --reuid postgres --regid postgres --clear-groups "$0" "$@"
fi
if [ "$1" = postgres ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
    mkdir -p "$PGDATA" && chmod 700 "$PGDATA"
    word=$(mktemp)
    if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
        cat "$POSTGRES_PASSWORD_FILE" > "$word"
    else
        printf '%s' "$POSTGRES_PASSWORD" > "$word"
    fi
    # shellcheck disable=SC2086 - several arguments in one variable, as the original takes them
    initdb --username "${POSTGRES_USER:-postgres}" --pwfile "$word" ${POSTGRES_INITDB_ARGS:-}
    printf '\nhost all all all scram-sha-256\n' >> "$PGDATA/pg_hba.conf"
    pg_ctl start --wait --options "-c listen_addresses= -c unix_socket_directories=/var/run/postgresql"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        [ -e "$file" ] || continue
        PGPASSWORD=$(cat "$word") psql --host /var/run/postgresql --no-psqlrc --quiet -v ON_ERROR_STOP=1 \
            --username "${POSTGRES_USER:-postgres}" --dbname postgres --file "$file"
    done
    pg_ctl stop --mode fast --wait
    rm "$word"
fi
exec "$@" -c listen_addresses='*' -c unix_socket_directories=/var/run/postgresql
