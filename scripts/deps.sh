#!/bin/sh
# Installs what the tests use beside Go: PostgreSQL. Where that is not possible
# they skip what needs it, and say so; in CI they fail.
set -eu
pg() { command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1; }
if pg; then
	exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	apt-get install -q -y --no-install-recommends postgresql
fi
pg || echo "PostgreSQL is not here and cannot be installed: its tests will be skipped." >&2
