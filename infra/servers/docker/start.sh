# What a container of the target `container` runs first, as root, before the image's own
# entrypoint: it sees that the volume fits, and lays out what the server reads but the image has
# not. Its parameters are the server's command line. POSIX sh: an image need not have bash first.
set -eu
umask 077

here=/run/groundwork

stop() {
    echo "groundwork: $*" >&2
    exit 1
}

# One server for a volume. PostgreSQL's own lock file tells processes apart by their ids, and in
# every container the server has the same one. The lock goes with the last process of the server.
exec 9< "$PGDATA"
if command -v flock > /dev/null; then
    tries=0
    until flock -n 9; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || stop "another container runs a server on this volume; the rows are" \
            "untouched; stop that container (docker ps)"
        sleep 1
    done
fi

version=$(postgres --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')
found=$(cat "$PGDATA/PG_VERSION" 2> /dev/null || true)
if [ -n "$found" ] && [ "$found" != "$version" ]; then
    stop "the volume belongs to PostgreSQL $found, and the image has PostgreSQL $version; the rows" \
        "are untouched; set groundwork:image to one with PostgreSQL $found, or groundwork:volume" \
        "to another volume and move the rows over with pg_dump"
fi

# In memory, with the owner and the mode that the server asks for: what the stack uploaded belongs
# to root, and the number of the user postgres is the image's.
cp /groundwork/* "$here"
{
    echo "local all all peer"
    echo "local replication all peer"
    echo "$GROUNDWORK_TRANSPORT all all all scram-sha-256"
} > "$here/pg_hba.conf"
chown postgres "$here" "$here"/*

# The first cluster is made aside, and PG_VERSION comes last: killed at any moment, the next start
# goes on. For a while `postgres` is a command that only succeeds: what the entrypoint ends with,
# after initdb and all that the image does with a new cluster.
new=$PGDATA/groundwork.new
bin=$PGDATA/groundwork.bin
if [ -z "$found" ]; then
    if [ ! -e "$new/groundwork.done" ]; then
        rm -rf "$new" "$bin"
        mkdir -m 0755 "$bin"
        echo '#!/bin/sh' > "$bin/postgres"
        chmod 0755 "$bin/postgres"
        PATH=$bin:$PATH PGDATA=$new docker-entrypoint.sh "$@"
        : > "$new/groundwork.done"
    fi
    find "$new" -mindepth 1 -maxdepth 1 ! -name PG_VERSION ! -name groundwork.done \
        -exec mv {} "$PGDATA" \;
    mv "$new/PG_VERSION" "$PGDATA"
fi
rm -rf "$new" "$bin"

# A cluster that another state made, or a password that somebody changed: at every start the server
# takes the one of this stack before it listens. The file holds a verifier of it; even so, that is
# in no log and no command line.
if [ -n "$found" ]; then
    echo "ALTER ROLE postgres PASSWORD '$(cat "$here/password")'" |
        docker-entrypoint.sh postgres --single -c log_statement=none \
            -c log_min_error_statement=panic -c log_min_duration_statement=-1 postgres > /dev/null
fi

exec docker-entrypoint.sh "$@"
