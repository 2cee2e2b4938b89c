#!/bin/sh
# Installs what the tests use beside Go: PostgreSQL, and strace, which counts
# fsyncs. Where that is not possible they skip what needs it, and say so; in CI
# they fail.
set -eu
pg() { command -v pg_ctl >/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1; }
has_strace() { command -v strace >/dev/null; }
if pg && has_strace; then
	exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	apt-get install -q -y --no-install-recommends postgresql strace
fi
has_strace || echo "strace is not here and cannot be installed: a test will be skipped." >&2
pg || echo "PostgreSQL is not here and cannot be installed: its tests will be skipped." >&2
