#!/bin/sh
# Slow answers under load, for docs/benchmarks.md: followers of an account that
# cannot push ask a simulated model whose answer times are drawn from the three
# distributions of docs/slow-answers.md, with a budget of deliberate time-outs of
# 20 in five minutes (the default), without a limit (where WeChat never pauses its
# pushes; with its threshold at 30 failures it would), and with the right to push.
# The three ways run at the same time, each with a server of its own. Linux,
# loopback.
#
#   bench/slow.sh [followers] [questions a second]     default 1000 20
set -eu
followers=${1:-1000} rate=${2:-20}
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'kill $(cat "$dir"/*.pid 2>/dev/null) 2>/dev/null || true; rm -rf "$dir"' EXIT
go build -o "$dir/wenzi" ./cmd/wenzi
port=19300
run() { # name, model, budget, kind, failures that make WeChat pause
	name=$1 model=$2 budget=$3 kind=$4 mark=$5
	api=$((port + 1)) answers=$((port + 2))
	cat >"$dir/$name.yaml" <<Y
accounts:
  - path: load
    token: loadtoken
    app_id: wx0123456789abcdef
    app_secret: 0123456789abcdef0123456789abcdef
    rules: []
    model: {provider: openai-compatible, base_url: 'http://127.0.0.1:$answers/v1', key: sk-sim, name: $model, concurrency: 1000, timeout: 300s, first_token: 300s}
Y
	"$dir/wenzi" serve --listen 127.0.0.1:$port --data "$dir/$name" --bot "$dir/$name.yaml" --api-url http://127.0.0.1:$api \
		--timeout-budget=$budget --log-level warn >"$dir/$name.out" 2>&1 &
	pid=$!
	echo $pid >"$dir/$name.pid"
	until grep -qs 127.0.0.1:$port "$dir/$name.out"; do kill -0 $pid; sleep 0.1; done
	"$dir/wenzi" sim load --url http://127.0.0.1:$port/wechatMP/load --token loadtoken --app-id wx0123456789abcdef --kind "$kind" --mark-failures=$mark \
		--api-listen 127.0.0.1:$api --model-listen 127.0.0.1:$answers --model-name "$model" --pid $pid \
		--followers "$followers" --messages 1 --rate "$rate" --taps 10 --think 3s --patience 2m --seed 1 \
		--allow notices,duplicates,lost --json "$dir/$name.json" >"$dir/$name.table" 2>"$dir/$name.log" &
	echo $! >"$dir/$name.load"
	port=$((port + 3))
}
for model in fast typical reasoning; do
	run $model-20 $model 20 subscription 30
	run $model-unlimited $model -1 subscription -1
	run $model-push $model 20 certified_service 30
	for load in "$dir"/$model-*.load; do
		tail --pid="$(cat "$load")" -f /dev/null
	done
	kill $(cat "$dir"/$model-*.pid)
done
echo '| model | way | no further act | one | more | lost | notices | duplicates | model calls a message | time-outs a message | first content p50 / p90 | whole p50 / p90 |'
echo '|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|'
for model in fast typical reasoning; do
	for way in 20 unlimited push; do
		f=$dir/$model-$way.json
		[ -s "$f" ] || { cat "$dir/$model-$way.log" >&2; continue; }
		node -e '
const r = JSON.parse(require("fs").readFileSync(process.argv[1]));
const pc = n => (100 * n / r.messages).toFixed(1) + " %", times = t => (t.p50_ms / 1e3).toFixed(1) + " / " + (t.p90_ms / 1e3).toFixed(1) + " s";
const [a, b, c] = r.whole_after_0_1_more_taps;
console.log(`| ${process.argv[2]} | ${process.argv[3]} | ${pc(a)} | ${pc(b)} | ${pc(c)} | ${r.lost + r.partial + r.waiting} | ${r.fault_notices} | ${r.duplicates} | ${r.model.calls_per_message.toFixed(3)} | ${(r.timeouts / r.messages).toFixed(2)} | ${times(r.first_content)} | ${times(r.whole_answer)} |`);' "$f" $model $way
	done
done
