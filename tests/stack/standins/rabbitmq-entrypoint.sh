#!/bin/sh
# As the official image's: root steps down, and the administrator may be given by variables.
set -eu
if [ "$(id -u)" = 0 ]; then
    chown -R rabbitmq:rabbitmq /var/lib/rabbitmq
    exec setpriv --reuid rabbitmq --regid rabbitmq --clear-groups "$0" "$@"
fi
if [ -n "${RABBITMQ_DEFAULT_USER:-}" ]; then
    printf 'default_user = %s\ndefault_pass = %s\n' "$RABBITMQ_DEFAULT_USER" "$RABBITMQ_DEFAULT_PASS" \
        > /etc/rabbitmq/conf.d/default-user.conf
fi
exec "$@"
