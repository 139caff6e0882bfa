#!/usr/bin/env bash
# Starts PostgreSQL as the official image does, by that image's documentation: the variables
# POSTGRES_*, the scripts of /docker-entrypoint-initdb.d, the first boot on the socket alone,
# the drop from root to `postgres`.
set -Eeuo pipefail

readonly SCRIPTS=/docker-entrypoint-initdb.d
readonly SOCKETS=/var/run/postgresql

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# Sets the variable NAME from the file that NAME_FILE names, else to itself, else to a default.
settle() {
    local name=$1 default=${2-} file=${1}_FILE
    if [ -n "${!name-}" ] && [ -n "${!file-}" ]; then
        fail "both $name and $file are set (but are exclusive)"
    fi
    local value=${!name:-$default}
    if [ -n "${!file-}" ]; then
        value=$(<"${!file}")
    fi
    export "$name=$value"
    unset "$file"
}

# Whether the arguments ask for words rather than for a server.
asks_for_help() {
    local argument
    for argument; do
        case $argument in
            -'?' | --help | --describe-config | -V | --version) return 0 ;;
        esac
    done
    return 1
}

prepare_folders() {
    mkdir -p "$PGDATA" "$SOCKETS"
    # Some file systems, and whoever isn't the owner, may not; the server tells if it matters.
    chmod 00700 "$PGDATA" || :
    chmod 03775 "$SOCKETS" || :
    if [ -n "${POSTGRES_INITDB_WALDIR-}" ]; then
        mkdir -p "$POSTGRES_INITDB_WALDIR"
        chmod 700 "$POSTGRES_INITDB_WALDIR"
    fi
    [ "$(id -u)" = 0 ] || return 0
    local folder
    for folder in "$PGDATA" "$SOCKETS" ${POSTGRES_INITDB_WALDIR:+"$POSTGRES_INITDB_WALDIR"}; do
        find "$folder" ! -user postgres -exec chown postgres {} +
    done
}

require_password() {
    case ${POSTGRES_PASSWORD:+given}/${POSTGRES_HOST_AUTH_METHOD-} in
        */trust)
            cat >&2 <<'TEXT'
WARNING: POSTGRES_HOST_AUTH_METHOD has been set to "trust": anyone who reaches the port of this
         server has all of it, without a password, even where POSTGRES_PASSWORD is set.
TEXT
            ;;
        given/*) ;;
        *)
            cat >&2 <<'TEXT'
Error: Database is uninitialized and superuser password is not specified.
       You must specify POSTGRES_PASSWORD to a non-empty value for the
       superuser. For example, "-e POSTGRES_PASSWORD=password" on "docker run".

       You may also use "POSTGRES_HOST_AUTH_METHOD=trust" to allow all
       connections without a password. This is *not* recommended.
TEXT
            exit 1
            ;;
    esac
}

# initdb asks for the name of the account that it runs as, which `--user 1234` has none of.
lend_a_name() {
    getent passwd "$(id -u)" >/dev/null && return
    local wrapper
    wrapper=$(find /usr/lib -name libnss_wrapper.so -print -quit)
    [ -n "$wrapper" ] || return 0
    NSS_WRAPPER_PASSWD=$(mktemp) NSS_WRAPPER_GROUP=$(mktemp)
    echo "postgres:x:$(id -u):$(id -g):PostgreSQL:$PGDATA:/bin/false" >"$NSS_WRAPPER_PASSWD"
    echo "postgres:x:$(id -g):" >"$NSS_WRAPPER_GROUP"
    export LD_PRELOAD=$wrapper NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
}

return_the_name() {
    [ -n "${NSS_WRAPPER_PASSWD-}" ] || return 0
    rm -f "$NSS_WRAPPER_PASSWD" "$NSS_WRAPPER_GROUP"
    unset LD_PRELOAD NSS_WRAPPER_PASSWD NSS_WRAPPER_GROUP
}

make_cluster() {
    lend_a_name
    # POSTGRES_INITDB_ARGS is one string with quotes of its own, which only eval takes apart.
    eval 'initdb --username="$POSTGRES_USER" --pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD")' \
        '${POSTGRES_INITDB_WALDIR:+--waldir="$POSTGRES_INITDB_WALDIR"}' \
        "${POSTGRES_INITDB_ARGS-}"
    return_the_name
    # The last line of pg_hba.conf: whoever comes over the network.
    local method=${POSTGRES_HOST_AUTH_METHOD:-$("$@" -C password_encryption)}
    printf '\nhost all all all %s\n' "$method" >>"$PGDATA/pg_hba.conf"
}

sql() {
    PGHOST='' PGHOSTADDR='' psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"
}

make_database() {
    [ "$POSTGRES_DB" != postgres ] || return 0
    local there
    there=$(sql --dbname postgres --tuples-only --no-align --set db="$POSTGRES_DB" \
        <<<"SELECT 1 FROM pg_database WHERE datname = :'db'")
    [ -n "$there" ] || sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db"'
}

run_scripts() {
    local file
    for file in "$SCRIPTS"/*; do
        case $file in
            "$SCRIPTS/*") continue ;; # the folder is empty
            *.sh)
                if [ -x "$file" ]; then
                    echo "$0: running $file"
                    "$file"
                else
                    echo "$0: sourcing $file"
                    # shellcheck source=/dev/null # a user's own
                    . "$file"
                fi
                ;;
            *.sql) echo "$0: running $file" && sql --dbname "$POSTGRES_DB" -f "$file" ;;
            *.sql.gz) echo "$0: running $file" && gunzip -c "$file" | sql --dbname "$POSTGRES_DB" ;;
            *.sql.xz) echo "$0: running $file" && xzcat "$file" | sql --dbname "$POSTGRES_DB" ;;
            *.sql.zst) echo "$0: running $file" && zstdcat "$file" | sql --dbname "$POSTGRES_DB" ;;
            *) echo "$0: ignoring $file" ;;
        esac
        echo
    done
}

# The server's arguments hold for the first boot too, but for where it listens: nobody outside
# may take a half-made server for a ready one.
first_boot() {
    local options
    printf -v options '%q ' "${@:2}" -c listen_addresses= -p "${PGPORT:-5432}"
    PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -o "$options" -w start
    export PGPASSWORD=$POSTGRES_PASSWORD
    make_database
    run_scripts
    unset PGPASSWORD
    PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -m fast -w stop
}

settle_all() {
    settle POSTGRES_PASSWORD
    settle POSTGRES_USER postgres
    settle POSTGRES_DB "$POSTGRES_USER"
    settle POSTGRES_INITDB_ARGS
    : "${POSTGRES_HOST_AUTH_METHOD:=}"
}

serve() {
    prepare_folders
    if [ "$(id -u)" = 0 ]; then
        exec gosu postgres "$0" "$@"
    fi
    settle_all
    if [ -s "$PGDATA/PG_VERSION" ]; then
        printf '\n%s\n\n' \
            'PostgreSQL Database directory appears to contain a database; Skipping initialization'
    else
        require_password
        ls "$SCRIPTS"/ >/dev/null # unreadable scripts are better found out about now
        make_cluster "$@"
        first_boot "$@"
        printf '\n%s\n\n' 'PostgreSQL init process complete; ready for start up.'
    fi
    exec "$@"
}

case ${1-} in
    '' | -*) set -- postgres "$@" ;;
esac
if [ "$1" = postgres ] && ! asks_for_help "$@"; then
    serve "$@"
fi
exec "$@"
