#!/bin/sh
# Runs a command with WENZI_TEST_POSTGRES naming a PostgreSQL of its own, on
# loopback and in a new directory, and stops and deletes it afterwards. Without
# PostgreSQL the command runs all the same. Nothing is synced to the disk: in the
# tests processes die, the machine does not.
set -eu
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$bin" ] && command -v pg_ctl >/dev/null; then
	bin=$(dirname "$(command -v pg_ctl)")
fi
if [ -z "$bin" ] || [ -n "${WENZI_TEST_POSTGRES:-}" ]; then
	exec "$@"
fi
dir=$(mktemp -d)
port=$(shuf -i 20000-32000 -n 1) # below the ports that the system gives out
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
	chown postgres "$dir"
	as() { runuser -u postgres -- "$@"; }
fi
stop() {
	(cd / && as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1) || true
	rm -rf "$dir"
}
trap stop EXIT INT TERM
(
	cd /
	as "$bin/initdb" -D "$dir/data" -U postgres --auth=trust --encoding=UTF8 --locale=C >/dev/null
	as "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-c listen_addresses=127.0.0.1 -p $port -k $dir -c max_connections=600 -c fsync=off" start >/dev/null
) || { cat "$dir/log" >&2; exit 1; }
chmod 755 "$dir"
WENZI_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable" "$@"
