#!/bin/sh
# A database that has grown, for docs/benchmarks.md: 10 000 accounts with a
# million turns, 200 000 answers and as many followers, beside an empty one, on
# PostgreSQL and on SQLite. What a message costs then, how long a start, an apply
# and the taking over of a dead replica's turns take, memory, and bytes on disk.
# PostgreSQL, processors and load as in replicas.sh.
#
#   bench/growth.sh [rounds] [turns]    default 3 1000000
set -eu
cd "$(dirname "$0")/.."
if [ -z "${BENCH_POSTGRES:-}" ]; then
	exec env -u WENZI_TEST_POSTGRES BENCH_POSTGRES=own scripts/with-postgres.sh bench/growth.sh "$@"
fi
rounds=${1:-3} turns=${2:-1000000} accounts=10000
. bench/postgres.sh
empty=$database
"$psql" -Xqc 'CREATE DATABASE grown' "$database"
grown=${database%/*}/grown

bot() { # number of accounts
	echo 'accounts:'
	seq 0 $(($1 - 1)) | sed 's|.*|  - {path: a&, token: loadgentoken, mode: plain, rules: [{contains: price of &, reply: "&"}]}|'
}
bot 1 >"$dir/one.yaml"
bot $accounts >"$dir/bot.yaml"
cp "$dir/bot.yaml" "$dir/more.yaml"
echo '  - {path: a'$accounts', token: loadgentoken, mode: plain}' >>"$dir/more.yaml"

ms() { echo $((($(date +%s%N) - $1) / 1000000)); }
begin() { date +%s%N; }
say() { echo "* $1"; }
row() { "$psql" -XAtc "SELECT pg_total_relation_size('$1') / count(*) FROM $1" "$grown"; }
memory() { awk '/^VmRSS/ {printf "%.0f MB", $2 * 1024 / 1e6}' "/proc/${pids##* }/status"; }
serve() { # empty or grown, postgres or sqlite: a replica as it starts on what is there
	case $1-$2 in
	empty-postgres) replica 1 --data "$dir/empty" --database "$empty" ;;
	grown-postgres) replica 1 --data "$dir/grown" --database "$grown" ;;
	*) replica 1 --data "$dir/$1" ;;
	esac
}

echo "load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
printf '\n## Start and memory\n\n'
for engine in postgres sqlite; do
	replica 1 --data "$dir/empty" $([ $engine = sqlite ] || echo "--database $empty") --bot "$dir/one.yaml"
	sleep 1
	say "$engine, one account: memory $(memory)"
	stop
done
t=$(begin)
replica 1 --data "$dir/grown" --database "$grown" --bot "$dir/bot.yaml"
say "first start with a bot.yaml of $accounts accounts: $(ms "$t") ms"
stop

t=$(begin)
"$psql" -Xq "$grown" -v ON_ERROR_STOP=1 -v turns="$turns" <<'SQL'
CREATE TEMP TABLE new AS
SELECT i, account, at, 'oGrown' || substr(md5(account || '/' || i / 10000 % 20), 1, 22) AS openid,
	decode(lpad(to_hex(account), 10, '0') || lpad(to_hex(at / 1000), 8, '0') || lpad(to_hex(i), 8, '0') || substr(md5(i::text), 1, 14), 'hex') AS id
FROM (SELECT i, ids[1 + i * 7919::bigint % cardinality(ids)] AS account,
		(extract(epoch FROM now()) * 1000)::bigint - (:turns - i) * 2592::bigint AS at
	FROM (SELECT array_agg(id ORDER BY id) AS ids FROM accounts) AS a, generate_series(1, :turns) AS i) AS n;
INSERT INTO turns (id, openid, kind, message, state, reply, decided_by, note, arrived_at, answered_at)
SELECT id, openid, 'text',
	convert_to(E'<xml><ToUserName><![CDATA[gh_0123456789ab]]></ToUserName>\n<FromUserName><![CDATA[' || openid || E']]></FromUserName>\n<CreateTime>' || at / 1000
		|| E'</CreateTime>\n<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[' || repeat('你好请问', 5) || E']]></Content>\n<MsgId>' || i || E'</MsgId>\n</xml>', 'UTF8'),
	1,
	convert_to('<xml><ToUserName><![CDATA[' || openid || ']]></ToUserName><FromUserName><![CDATA[gh_0123456789ab]]></FromUserName><CreateTime>' || at / 1000
		|| '</CreateTime><MsgType><![CDATA[text]]></MsgType><Content><![CDATA[' || repeat('你好请问', 5) || ']]></Content></xml>', 'UTF8'),
	'echo', '', at, at + 3
FROM new ORDER BY i;
INSERT INTO followers (account, openid, subscribed, scene, first_seen_at, last_seen_at)
SELECT account, openid, 1, '', min(at), max(at) FROM new GROUP BY account, openid;
-- Each fifth turn had an answer that took time: read in the end, of 500 characters.
INSERT INTO answers (turn, account, openid, state, holder, question, text, done, shown, page, runs, usage, timeline, remembered, asked_at, ready_at)
SELECT id, account, openid, 1, 'gone', repeat('你好请问', 5), string_agg(md5(i || '/' || k), '') || repeat('回答', 170), 1, '', decode(md5(i::text), 'hex'), 1,
	'{"model":"m","prompt_tokens":900,"completion_tokens":300,"calls":1,"total":4000000000}',
	repeat('{"at":1700000000000,"what":"delivery","detail":"1, 4.1 s after the message"}' || E'\n', 4), 1, at, at + 4000
FROM new, generate_series(1, 5) AS k WHERE i % 5 = 0 GROUP BY i, account, openid, id, at ORDER BY i;
-- A thousand wait for their followers, and ten minutes' signatures are kept.
UPDATE answers SET state = 12, expires_at = asked_at + 3000000000 WHERE turn IN (SELECT id FROM new WHERE i % 1000 = 0);
INSERT INTO signatures (hash, turn, expires_at)
SELECT decode(md5(i::text), 'hex'), id, (extract(epoch FROM now()) * 1000)::bigint + i FROM new WHERE i <= 300000;
SQL
"$psql" -Xqc 'VACUUM ANALYZE' "$grown"
say "the database filled with $turns turns: $(ms "$t") ms"
say "PostgreSQL, with indexes: $(row turns) bytes a turn, $(row answers) an answer, $(row followers) a follower, $(row signatures) a signature"
t=$(begin)
"$dir/wenzi" migrate --from "$grown" --to sqlite --data "$dir/grown" >/dev/null
say "all of it copied to SQLite: $(ms "$t") ms, $(($(cat "$dir"/grown/*.db | wc -c) / 1000000)) MB there, $(($("$psql" -XAtc 'SELECT pg_database_size(current_database())' "$grown") / 1000000)) MB in PostgreSQL"
for engine in postgres sqlite; do
	t=$(begin)
	serve grown $engine
	say "$engine, $accounts accounts and $turns turns: start $(ms "$t") ms"
	sleep 1
	say "$engine, memory after the start: $(memory)"
	load /wechatMP/a{} --accounts $accounts --users 100000 --connections 64 --requests 100000 >/dev/null
	say "$engine, memory after 100 000 messages of as many followers: $(memory)"
	stop
done

printf '\n## Several replicas\n\n'
serve grown postgres
replica 2 --data "$dir/second" --database "$grown"
ports=19202
t=$(begin)
"$dir/wenzi" apply --data "$dir/grown" --file "$dir/more.yaml" >/dev/null
say "wenzi apply of one account more among $accounts: $(ms "$t") ms"
until load /wechatMP/a$accounts --requests 1 --connections 1 >/dev/null 2>&1; do [ "$(ms "$t")" -lt 60000 ]; sleep 0.005; done
say "until the other replica answers for it: $(ms "$t") ms"
t=$(begin)
"$psql" -Xq "$grown" <<'SQL'
WITH dead AS (UPDATE answers SET state = 10, done = 0, text = '', holder = 'dead' WHERE turn IN (SELECT turn FROM answers WHERE state = 1 ORDER BY asked_at DESC LIMIT 1000) RETURNING turn)
UPDATE turns SET state = 10, reply = NULL FROM dead WHERE id = turn;
SQL
until [ "$("$psql" -XAtc "SELECT count(*) FROM answers WHERE holder = 'dead' AND (state = 10 OR state > 10 AND done = 0)" "$grown")" = 0 ]; do [ "$(ms "$t")" -lt 60000 ]; sleep 0.02; done
say "1000 turns of a dead replica taken over by two: $(ms "$t") ms"
stop

printf '\n## Queries, EXPLAIN ANALYZE\n\n'
explain() { # name, query
	plan=$("$psql" -XAtc "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $2" "$grown")
	say "$1: $(echo "$plan" | sed -n 's/^Execution Time: //p')$(echo "$plan" | sed -n 's/.*Seq Scan on \([a-z]*\).*/, reads all of \1/p' | sort -u | tr -d '\n')"
}
openid=$("$psql" -XAtc 'SELECT openid FROM answers WHERE state = 12 LIMIT 1' "$grown")
account=$("$psql" -XAtc "SELECT account FROM answers WHERE openid = '$openid' LIMIT 1" "$grown")
gone="NOT EXISTS (SELECT 1 FROM processes WHERE id = answers.holder AND seen_at > (SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)) - 4000)"
explain 'a repeat' "SELECT * FROM turns WHERE id = (SELECT turn FROM answers WHERE state = 12 LIMIT 1)"
explain 'the mailbox of a follower' "SELECT * FROM answers WHERE account = $account AND openid = '$openid' AND (state = 12 OR state = 6 AND sending <> '') ORDER BY asked_at, turn"
explain 'a conversation' "SELECT * FROM answers WHERE account = $account AND openid = '$openid' AND remembered = 1 AND done = 1 AND text <> '' AND state <> 3 ORDER BY asked_at DESC, turn DESC LIMIT 20"
explain 'orphans' "SELECT * FROM answers WHERE (state = 10 OR state > 10 AND done = 0) AND $gone ORDER BY asked_at LIMIT 500"
explain 'unconfirmed' "SELECT * FROM answers WHERE (sending = 'reply' AND (state = 1 OR state = 12)) AND asked_at < 9000000000000 AND $gone ORDER BY asked_at LIMIT 500"
explain 'all mailboxes, at a start' "SELECT DISTINCT account, openid FROM answers WHERE (state = 12 OR state = 6 AND sending <> '')"
explain 'expired, each minute' "SELECT * FROM answers WHERE state >= 10 AND state = 12 AND expires_at > 0 AND expires_at <= 1 ORDER BY expires_at LIMIT 500"
explain 'open turns, for the metrics' "SELECT state, count(*) FROM answers WHERE state >= 10 GROUP BY state"
explain 'the last 20 turns of an account' "SELECT * FROM turns WHERE id >= decode(lpad(to_hex($account), 10, '0') || repeat('0', 30), 'hex') AND id < decode(lpad(to_hex($account + 1), 10, '0') || repeat('0', 30), 'hex') ORDER BY id DESC LIMIT 20"

for round in $(seq "$rounds"); do
	bare
	load '/echo?' --connections 64 --duration 0.5s >/dev/null
	measure bare '/echo?' --users 100000 --connections 64 --duration 1.5s
	stop
	for engine in postgres sqlite; do
		for state in empty grown; do
			serve $state $engine
			n=1
			[ $state = empty ] || n=$accounts
			load /wechatMP/a{} --accounts $n --users 100000 --connections 64 --duration 0.5s >/dev/null
			measure "$engine-$state" /wechatMP/a{} --accounts $n --users 100000 --connections 64 --duration 1.5s
			measure "$engine-$state-500" /wechatMP/a{} --accounts $n --users 100000 --connections 64 --rate 500 --poisson --duration 2s
			stop
		done
	done
	echo "round $round of $rounds, load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
done >"$dir/runs"
awk "$median"'
{
	if ($1 == "bare") bare = $2
	if ($1 ~ /^sqlite/) $3 = 0 # PostgreSQL is at rest then, or cleans up
	cpu[$1] = cpu[$1] " " $2; database[$1] = database[$1] " " $3; rate[$1] = rate[$1] " " $4; p50[$1] = p50[$1] " " $5; p99[$1] = p99[$1] " " $6
	ratio[$1] = ratio[$1] " " ($2 + $3) / bare
	turns[$1] += $7; commits[$1] += $8
}
END {
	print "\n## Plain, 64 connections, each message of another follower: × bare, of the least (both: median of the rounds)\n"
	print "| | wenzi | PostgreSQL | both | messages/s | in a commit | p50 / p99 at 500/s, ms |\n|---|--:|--:|--:|--:|--:|--:|"
	base = least(cpu["bare"])
	split("postgres sqlite", engines, " "); split("empty grown", states, " ")
	for (e = 1; e <= 2; e++) for (s = 1; s <= 2; s++) {
		k = engines[e] "-" states[s]
		printf "| %s, %s | %.2f | %.2f | %.2f (%.2f) | %.0f | %.1f | %.1f / %.1f |\n", engines[e], states[s], least(cpu[k]) / base, least(database[k]) / base,
			(least(cpu[k]) + least(database[k])) / base, median(ratio[k]), median(rate[k]), turns[k] / commits[k], median(p50[k "-500"]) / 1000, median(p99[k "-500"]) / 1000
	}
	printf "\nbare: %.1f µs\n", base
}' "$dir/runs"
echo "load after: $(cut -d ' ' -f 1-3 /proc/loadavg)"
