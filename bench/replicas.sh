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
rounds=${1:-5} seconds=${2:-1.5}
. bench/postgres.sh
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

echo "load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
for round in $(seq "$rounds"); do
	for n in 0 1 2 3; do
		place=/wechatMP
		if [ $n = 0 ]; then
			bare
			place=/echo?
		fi
		for i in $(seq $n); do
			replica "$i" --data "$dir/data$i" --database "$database" --bot "$dir/bot.yaml"
		done
		for mode in plain secure; do
			load $place/$mode --mode $mode --connections 64 --duration 0.5s >/dev/null
			for connections in 16 64; do
				measure "$n $mode-$connections" $place/$mode --mode $mode --connections $connections --duration "${seconds}s"
			done
		done
		measure "$n new-64" $place/plain --users 100000 --connections 64 --duration "${seconds}s"
		for rate in 500 1000; do
			measure "$n at-$rate" $place/plain --rate $rate --poisson --connections 64 --duration 2s
		done
		stop
	done
	echo "round $round of $rounds, load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
done >"$dir/runs"
echo "load after: $(cut -d ' ' -f 1-3 /proc/loadavg)"

awk "$median"'
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
	turns[k] += $8; commits[k] += $9
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
