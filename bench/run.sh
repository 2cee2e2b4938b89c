#!/bin/sh
# The speed figures of docs/benchmarks.md: oa in a plain net/http server, and
# wenzi serve recording every message, beside a bare net/http server in the same
# run (bench/loadgen/README.md says how). Linux, two processors, loopback.
#
#   bench/run.sh [rounds]     default 7
set -eu
rounds=${1:-7}
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'kill $(cat "$dir"/pid 2>/dev/null) 2>/dev/null || true; rm -rf "$dir"' EXIT
go build -o "$dir/wenzi" ./cmd/wenzi
go build -o "$dir/oaecho" ./bench/oaecho
(cd bench/loadgen && go build -o "$dir/loadgen" . && go build -o "$dir/refserver" ./refserver)

cat >"$dir/bot.yaml" <<'Y'
accounts:
  - path: plain
    token: loadgentoken
    mode: plain
  - path: secure
    token: loadgentoken
    app_id: wx0123456789abcdef
    aes_key: abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG
    mode: secure
Y

entry() { # name, port, path, mode, command…
	name=$1 url=http://127.0.0.1:$2$3 mode=$4
	shift 4
	printf '{"name":"%s","url":"%s","modes":["%s"],"cmd":[' "$name" "$url" "$mode"
	sep=
	for word; do
		printf '%s"%s"' "$sep" "$word"
		sep=,
	done
	printf ']}'
}
{
	printf '['
	port=19100 comma=
	for mode in plain secure; do
		printf '%s' "$comma"
		entry "oa, $mode" $port /wx $mode "$dir/oaecho" --listen 127.0.0.1:$port --mode $mode
		port=$((port + 1)) comma=,
		for sync in normal full; do
			printf ,
			entry "wenzi serve, $sync, $mode" $port /wechatMP/$mode $mode "$dir/wenzi" serve --listen 127.0.0.1:$port \
				--data "$dir/data-$sync-$mode" --bot "$dir/bot.yaml" --synchronous $sync --log-level warn
			port=$((port + 1))
		done
	done
	printf ']'
} >"$dir/servers.json"

for connections in 16 64; do
	echo
	echo "## $connections connections"
	taskset -c 1 "$dir/loadgen" compare --ref "$dir/refserver" --config "$dir/servers.json" --connections $connections \
		--rounds "$rounds" --half 0.5 --rss-requests 200000 2>"$dir/log" || { cat "$dir/log" >&2; exit 1; }
done

echo
echo "## 1000 messages a second, recorded, and the batch size"
for sync in normal full; do
	taskset -c 0 "$dir/wenzi" serve --listen 127.0.0.1:19120 --data "$dir/batch-$sync" --bot "$dir/bot.yaml" \
		--synchronous $sync --log-level warn >"$dir/out" &
	echo $! >"$dir/pid"
	until grep -q 19120 "$dir/out"; do kill -0 "$(cat "$dir/pid")"; done
	taskset -c 1 "$dir/loadgen" --url http://127.0.0.1:19120/wechatMP/plain --rate 1000 --poisson --connections 64 --duration 10s |
		awk -v s="$sync" '/"p50_us"|"p99_us"/ {gsub(/[",]/, ""); printf "%s: %s %s µs\n", s, $1, $2} /lateness/ {exit}'
	for connections in 16 64; do
		before=$(curl -s http://127.0.0.1:19120/metrics | awk '/^wenzi_store_turns_total/ {t=$2} /^wenzi_store_commits_total/ {c=$2} END {print t, c}')
		taskset -c 1 "$dir/loadgen" --url http://127.0.0.1:19120/wechatMP/plain --connections $connections --duration 3s >/dev/null
		after=$(curl -s http://127.0.0.1:19120/metrics | awk '/^wenzi_store_turns_total/ {t=$2} /^wenzi_store_commits_total/ {c=$2} END {print t, c}')
		echo "$before $after" | awk -v s="$sync" -v n=$connections '{printf "%s, %d connections: %.1f messages a commit\n", s, n, ($3-$1)/($4-$2)}'
	done
	kill "$(cat "$dir/pid")"
	wait
done
