#!/bin/sh
# Installs what the tests use beside Go: PostgreSQL, strace, which counts fsyncs,
# nginx and Caddy for examples/replicas, and Flask and Node.js for the programs of
# internal/app/testdata/foreign, with the npm packages of theirs. Where that is not possible the tests skip what
# needs it, and say so; in CI they fail.
set -eu
cd "$(dirname "$0")/.."
has() { command -v "$1" >/dev/null; }
pg() { has pg_ctl || ls /usr/lib/postgresql/*/bin/pg_ctl >/dev/null 2>&1; }
flask() {
	for python in /usr/bin/python3 python3; do # the first in PATH may be none of Debian's
		"$python" -c 'import flask' >/dev/null 2>&1 && return
	done
	return 1
}
PATH=$PATH:/usr/sbin
proxies=
has nginx || proxies="$proxies nginx"
has caddy || proxies="$proxies caddy"
missing=$proxies
pg || missing="$missing postgresql"
has strace || missing="$missing strace"
flask || missing="$missing python3-flask"
has node || missing="$missing nodejs"
has npm || missing="$missing npm"
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && has apt-get; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	# The packages of the proxies start them on port 80, now and at every boot,
	# where systemd runs. The tests start them themselves.
	services() { [ -z "$proxies" ] || [ ! -d /run/systemd/system ] || systemctl --quiet "$@"; }
	# shellcheck disable=SC2086 # lists of words
	{
		services mask --runtime $proxies
		apt-get install -q -y --no-install-recommends $missing
		services unmask --runtime $proxies
		services disable $proxies
	}
fi
absent() { echo "$1 not here and cannot be installed: $2 skipped." >&2; }
packages=internal/app/testdata/foreign/node
installed=$packages/node_modules/.package-lock.json
if has npm && [ ! "$installed" -nt "$packages/package-lock.json" ]; then
	if (cd "$packages" && npm ci --ignore-scripts --no-audit --no-fund); then
		touch "$installed"
	else
		absent "The npm packages are" "their tests will be"
	fi
fi
has strace || absent "strace is" "a test will be"
pg || absent "PostgreSQL is" "its tests will be"
{ has nginx && has caddy; } || absent "nginx or Caddy is" "a test will be"
flask || absent "Flask is" "a test will be"
{ has node && has npm; } || absent "Node.js is" "its tests will be"
