#!/bin/sh
# wenzi serve on PostgreSQL with one, two and three replicas, for
# docs/benchmarks.md: CPU per message of the replicas and of PostgreSQL, each as a
# ratio to a bare net/http server in the same run, throughput, and latency at
# fixed rates. PostgreSQL is one of its own, with the settings of initdb: fsync and
# synchronous_commit are on. Replicas run on one processor, the load on the other,
# PostgreSQL on both. Messages go to the replicas in turn. Linux, loopback.
#
#   bench/replicas.sh [rounds] [seconds of each measurement]    default 5 1.5
set -eu
cd "$(dirname "$0")/.."
if [ -z "${BENCH_POSTGRES:-}" ]; then
	exec env -u WENZI_TEST_POSTGRES BENCH_POSTGRES=own scripts/with-postgres.sh bench/replicas.sh "$@"
fi
database=${WENZI_TEST_POSTGRES:?PostgreSQL is not here} rounds=${1:-5} seconds=${2:-1.5}
psql=$(command -v psql || ls /usr/lib/postgresql/*/bin/psql | tail -n 1)
postgres=$(head -n 1 "$("$psql" -XAtc 'SHOW data_directory' "$database")/postmaster.pid")
dir=$(mktemp -d)
pids=
trap 'kill $pids 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
go build -o "$dir/wenzi" ./cmd/wenzi
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

start() { # number of replicas; 0: the bare server
	pids='' ports=''
	if [ "$1" = 0 ]; then
		taskset -c 0 "$dir/refserver" -listen 127.0.0.1:19200 &
		pids=$! ports=19200
		until curl -so /dev/null http://127.0.0.1:19200/; do kill -0 $pids; sleep 0.05; done
		return
	fi
	for i in $(seq "$1"); do
		: >"$dir/out$i"
		taskset -c 0 "$dir/wenzi" serve --listen 127.0.0.1:1920"$i" --data "$dir/data$i" --database "$database" \
			--bot "$dir/bot.yaml" --log-level warn >"$dir/out$i" &
		pids="$pids $!" ports="$ports 1920$i"
		until grep -q 1920"$i" "$dir/out$i"; do kill -0 $!; sleep 0.05; done
	done
}
stop() {
	kill $pids
	wait $pids || true
	pids=
}
committed() { # turns and commits of all replicas
	for port in $ports; do
		curl -s "http://127.0.0.1:$port/metrics"
	done | awk '/^wenzi_store_turns_total/ {t += $2} /^wenzi_store_commits_total/ {c += $2} END {print t + 0, c + 0}'
}
measure() { # replicas, name of the row, path, options of loadgen
	replicas=$1 name=$2 path=$3
	shift 3
	urls=$(printf "http://127.0.0.1:%s$path\n" $ports | paste -sd,)
	before=0\ 0
	[ "$replicas" = 0 ] || before=$(committed)
	taskset -c 1 "$dir/loadgen" --url "$urls" --pid "$(echo $pids | tr ' ' ,)" --database-pid "$postgres" "$@" >"$dir/json" ||
		{ cat "$dir/json" >&2; exit 1; }
	after=0\ 0
	[ "$replicas" = 0 ] || after=$(committed)
	# shellcheck disable=SC2046 # words
	echo "$replicas $name" $(awk -F '[:,]' '
		/"(server_cpu_us_per_msg|database_cpu_us_per_msg|req_per_s|p50_us|p99_us)"/ && !seen[$1]++ {gsub(/[ "]/, "", $1); v[$1] = $2 + 0}
		END {print v["server_cpu_us_per_msg"] + 0, v["database_cpu_us_per_msg"] + 0, v["req_per_s"] + 0, v["p50_us"] + 0, v["p99_us"] + 0}' "$dir/json") "$before $after"
}

echo "load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
for round in $(seq "$rounds"); do
	for n in 0 1 2 3; do
		start $n
		place=/wechatMP
		[ $n -gt 0 ] || place=/echo?
		for mode in plain secure; do
			taskset -c 1 "$dir/loadgen" --url "$(printf "http://127.0.0.1:%s$place/$mode\n" $ports | paste -sd,)" --mode $mode --duration 0.3s >/dev/null
			for connections in 16 64; do
				measure $n $mode-$connections $place/$mode --mode $mode --connections $connections --duration "${seconds}s"
			done
		done
		measure $n new-64 $place/plain --users 100000 --connections 64 --duration "${seconds}s"
		for rate in 500 1000; do
			measure $n at-$rate $place/plain --rate $rate --poisson --connections 64 --duration 2s
		done
		stop
	done
	echo "round $round of $rounds, load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
done >"$dir/runs"
echo "load after: $(cut -d ' ' -f 1-3 /proc/loadavg)"
[ -z "${BENCH_RUNS:-}" ] || cp "$dir/runs" "$BENCH_RUNS"

awk '
function median(list, n,   a, i, j, t) {
	n = split(list, a, " ")
	for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j - 1] + 0 > a[j] + 0; j--) {t = a[j]; a[j] = a[j - 1]; a[j - 1] = t}
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}
function least(list,   a, i, m) {
	split(list, a, " ")
	m = a[1] + 0
	for (i in a) if (a[i] + 0 < m) m = a[i] + 0
	return m
}
function row(title, what, n,   i, k) {
	printf "| %s ", title
	for (i = 1; i <= 5; i++) {
		k = n " " columns[i]
		printf "| %.2f (%.2f) ", least(cpu[what, k]) / least(cpu["server", "0 " columns[i]]), median(ratio[what, k])
	}
	print "|"
}
{
	k = $1 " " $2
	if ($1 == 0) bare[$2] = $3
	both = $3 + $4
	cpu["server", k] = cpu["server", k] " " $3; ratio["server", k] = ratio["server", k] " " $3 / bare[$2]
	cpu["database", k] = cpu["database", k] " " $4; ratio["database", k] = ratio["database", k] " " $4 / bare[$2]
	cpu["both", k] = cpu["both", k] " " both; ratio["both", k] = ratio["both", k] " " both / bare[$2]
	rate[k] = rate[k] " " $5; p50[k] = p50[k] " " $6; p99[k] = p99[k] " " $7
	turns[k] += $10 - $8; commits[k] += $11 - $9
}
END {
	split("plain-16 secure-16 plain-64 secure-64 new-64", columns, " ")
	head = "| | 16 connections, plain | secure | 64 connections, plain | secure | plain, each follower new |\n|---|--:|--:|--:|--:|--:|"
	print "\n## CPU per message, × bare: ratio of the least (median of the ratios of the rounds)\n\n" head
	for (n = 1; n <= 3; n++) {
		who = n == 1 ? "1 replica" : n " replicas"
		row(who ": wenzi", "server", n); row(who ": PostgreSQL", "database", n); row(who ": both", "both", n)
	}
	printf "| bare, µs "
	for (i = 1; i <= 5; i++) printf "| %.1f (%.1f) ", least(cpu["server", "0 " columns[i]]), median(cpu["server", "0 " columns[i]])
	print "|\n\n## Messages a second on these two processors (messages in a commit)\n\n" head
	for (n = 1; n <= 3; n++) {
		printf "| %d ", n
		for (i = 1; i <= 5; i++) {k = n " " columns[i]; printf "| %.0f (%.1f) ", median(rate[k]), turns[k] / (commits[k] + (commits[k] == 0))}
		print "|"
	}
	print "\n## At fixed rates, 64 connections, plain, medians of the rounds\n"
	print "| replicas | rate | p50 ms | p99 ms | CPU µs wenzi | PostgreSQL | messages in a commit |\n|--:|--:|--:|--:|--:|--:|--:|"
	for (n = 1; n <= 3; n++) for (r = 500; r <= 1000; r += 500) {
		k = n " at-" r
		printf "| %d | %d/s | %.1f | %.1f | %.0f | %.0f | %.1f |\n", n, r, median(p50[k]) / 1000, median(p99[k]) / 1000, median(cpu["server", k]), median(cpu["database", k]), turns[k] / (commits[k] + (commits[k] == 0))
	}
}' "$dir/runs"
