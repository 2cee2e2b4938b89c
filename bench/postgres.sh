# What replicas.sh and growth.sh have in common: a PostgreSQL of their own (they
# are run by scripts/with-postgres.sh), the programs, servers and measurements.
# Servers are on the first processor, the load on the second, PostgreSQL on both.

database=${WENZI_TEST_POSTGRES:?PostgreSQL is not here}
psql=$(command -v psql || ls /usr/lib/postgresql/*/bin/psql | tail -n 1)
postgres=$(head -n 1 "$("$psql" -XAtc 'SHOW data_directory' "$database")/postmaster.pid")
dir=$(mktemp -d)
pids='' ports=''
trap 'kill $pids 2>/dev/null || true; wait; rm -rf "$dir"' EXIT
trap 'exit 1' INT TERM
go build -o "$dir/wenzi" ./cmd/wenzi
(cd bench/loadgen && go build -o "$dir/loadgen" . && go build -o "$dir/refserver" ./refserver)

bare() {
	taskset -c 0 "$dir/refserver" -listen 127.0.0.1:19200 &
	pids=$! ports=19200
	until curl -so /dev/null http://127.0.0.1:19200/; do kill -0 $pids; sleep 0.05; done
}
replica() { # number, options of serve
	port=1920$1
	: >"$dir/out$1"
	out=$dir/out$1
	shift
	taskset -c 0 "$dir/wenzi" serve --listen 127.0.0.1:$port --log-level warn "$@" >"$out" 2>&1 &
	pids="$pids $!" ports="$ports $port"
	until grep -q $port "$out"; do
		kill -0 $! 2>/dev/null || { cat "$out" >&2; exit 1; }
		sleep 0.01
	done
}
stop() {
	kill $pids || true
	wait $pids 2>/dev/null || true
	pids='' ports=''
}
load() { # path, options of loadgen
	urls=$(printf "http://127.0.0.1:%s$1\n" $ports | paste -sd,)
	shift
	taskset -c 1 "$dir/loadgen" --url "$urls" "$@"
}
committed() { # turns and commits of all replicas
	for port in $ports; do
		curl -s "http://127.0.0.1:$port/metrics"
	done | awk '/^wenzi_store_turns_total/ {t += $2} /^wenzi_store_commits_total/ {c += $2} END {print t + 0, c + 0}'
}
# measure prints: the given name, CPU of the servers and of PostgreSQL in µs per
# message, messages a second, p50 and p99 in µs, turns, commits.
measure() { # name, path, options of loadgen
	name=$1
	shift
	before=$(committed)
	load "$@" --pid "$(echo $pids | tr ' ' ,)" --database-pid "$postgres" >"$dir/json" || { cat "$dir/json" >&2; exit 1; }
	awk -F '[:,]' -v counts="$before $(committed)" -v name="$name" '
		/"(server_cpu_us_per_msg|database_cpu_us_per_msg|req_per_s|p50_us|p99_us)"/ && !seen[$1]++ {gsub(/[ "]/, "", $1); v[$1] = $2 + 0}
		END {
			split(counts, c, " ")
			print name, v["server_cpu_us_per_msg"] + 0, v["database_cpu_us_per_msg"] + 0, v["req_per_s"] + 0, v["p50_us"] + 0, v["p99_us"] + 0, c[3] - c[1], c[4] - c[2]
		}' "$dir/json"
}
median='function median(list,   a, n, i, j, t) {
	n = split(list, a, " ")
	for (i = 2; i <= n; i++) for (j = i; j > 1 && a[j - 1] + 0 > a[j] + 0; j--) {t = a[j]; a[j] = a[j - 1]; a[j - 1] = t}
	return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
}
function least(list,   a, i, m) {
	split(list, a, " ")
	m = a[1] + 0
	for (i in a) if (a[i] + 0 < m) m = a[i] + 0
	return m
}'
