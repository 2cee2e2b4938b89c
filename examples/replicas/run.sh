#!/bin/sh
# Starts PostgreSQL, three replicas of wenzi and a proxy in front of them, all on
# loopback and in one new directory. Ctrl-C stops and removes all of it.
#
#   examples/replicas/run.sh [nginx|caddy]
#
# Variables, with what they are otherwise:
#   PORT=8080  REPLICA_PORTS="8081 8082 8083"  ADMIN_PORTS="9081 9082 9083"
#   POSTGRES_PORT=15432
#   DIR     a new directory, made and removed: a temporary one
#   WENZI   a wenzi that is already built: one is built with Go
# WENZI_MODEL_URL, WENZI_BOT and the like reach all three replicas.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
here=$root/examples/replicas
PATH=$PATH:/usr/sbin:/usr/local/go/bin

proxy=${1:-nginx}
port=${PORT:-8080}
replicas=${REPLICA_PORTS:-8081 8082 8083}
admins=${ADMIN_PORTS:-9081 9082 9083}
pgport=${POSTGRES_PORT:-15432}

fail() {
	echo "$1" >&2
	exit 1
}
need() { # need PROGRAM PACKAGE
	command -v "$1" >/dev/null || fail "没有 $1，先安装：apt-get install $2（$1 is not here; install it first: apt-get install $2）"
}
case $proxy in
nginx | caddy) need "$proxy" "$proxy" ;;
*) fail "用法：$0 [nginx|caddy]（usage）" ;;
esac
pg=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$pg" ]; then
	need pg_ctl postgresql
	pg=$(dirname "$(command -v pg_ctl)")
fi
[ -n "${WENZI:-}" ] || command -v go >/dev/null || fail "没有 Go，要 1.26 或更新的：https://go.dev/dl/（Go is not here; 1.26 or later is needed）"
need setsid util-linux

if [ -n "${DIR:-}" ]; then
	mkdir "$DIR" || fail "DIR 要是一个还没有的目录（DIR must be a directory that is not there yet）"
	dir=$(cd "$DIR" && pwd)
else
	dir=$(mktemp -d)
fi
chmod 755 "$dir" # PostgreSQL and nginx may run as users of their own

children=
stop() {
	trap '' HUP INT TERM
	trap - EXIT
	# shellcheck disable=SC2086 # a list
	[ -z "$children" ] || kill $children 2>/dev/null || true
	wait
	if [ -e "$dir/postgres/postmaster.pid" ]; then
		as "$pg/pg_ctl" -D "$dir/postgres" -m fast stop >/dev/null || true
	fi
	rm -rf "$dir"
	echo "都停了，$dir 已删除（all is stopped, and $dir is removed）"
}
trap 'stop' EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM

if [ -n "${WENZI:-}" ]; then
	wenzi=$WENZI
else
	wenzi=$dir/wenzi
	echo "编译 wenzi，要等一会儿（building wenzi, which takes a while）"
	(cd "$root" && go build -o "$wenzi" ./cmd/wenzi)
fi

# PostgreSQL, which refuses to run as root. A password keeps out others who use
# this machine.
as() { (cd / && "$@"); }
mkdir "$dir/postgres"
if [ "$(id -u)" = 0 ]; then
	chown postgres "$dir/postgres"
	as() { (cd / && runuser -u postgres -- "$@"); }
	as test -x "$dir" || fail "用户 postgres 进不了 $dir：DIR 换成 /tmp 里的目录（the user postgres cannot enter $dir: choose a DIR in /tmp）"
fi
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "启动 PostgreSQL（starting PostgreSQL）"
printf %s "$password" >"$dir/password"
[ "$(id -u)" != 0 ] || chown postgres "$dir/password"
chmod 600 "$dir/password"
as "$pg/initdb" -D "$dir/postgres" -U wenzi --pwfile="$dir/password" --auth=scram-sha-256 --encoding=UTF8 --locale=C >/dev/null
rm "$dir/password"
as "$pg/pg_ctl" -D "$dir/postgres" -w -l "$dir/postgres/log" \
	-o "-c listen_addresses=127.0.0.1 -p $pgport -c unix_socket_directories= -c max_connections=50" start >/dev/null ||
	fail "PostgreSQL 没有启动，端口 $pgport 可能有人在用：换一个 POSTGRES_PORT（PostgreSQL did not start; port $pgport may be taken: choose another POSTGRES_PORT）"
export WENZI_DATABASE="postgres://wenzi:$password@127.0.0.1:$pgport/postgres"

# keep runs a replica, and again 5 s after it died, as systemd does. A session of
# their own keeps Ctrl-C away from the replicas: they are stopped in order.
keep() { # keep NUMBER LISTEN ADMIN
	trap '' HUP INT
	trap 'kill "$child" 2>/dev/null; wait "$child" 2>/dev/null; exit 0' TERM
	while :; do
		setsid "$wenzi" serve --listen "$2" --admin-listen "$3" --data "$dir/$1" >>"$dir/$1.log" 2>&1 &
		child=$!
		echo "$child" >"$dir/$1.pid"
		code=0
		wait "$child" 2>/dev/null || code=$?
		echo "副本 $1（PID $child）停了，5 秒后再启动，就像 systemd 那样（replica $1 has ended with $code and starts again in 5 s, as systemd would do it）"
		sleep 5 &
		child=$!
		wait "$child" 2>/dev/null
	done
}
up() { # up NUMBER: waits until the replica serves
	tries=0
	until grep -qs 'is running' "$dir/$1.log"; do
		tries=$((tries + 1))
		if [ "$tries" -gt 150 ] || grep -qs '^wenzi: ' "$dir/$1.log"; then
			cat "$dir/$1.log" >&2
			fail "副本 $1 没有启动（replica $1 did not start）"
		fi
		sleep 0.2
	done
}
echo "启动副本（starting the replicas）"
set -- $admins
n=0
for listen in $replicas; do
	n=$((n + 1))
	[ $# -gt 0 ] || fail "ADMIN_PORTS 要和 REPLICA_PORTS 一样多（ADMIN_PORTS needs as many as REPLICA_PORTS）"
	keep $n "127.0.0.1:$listen" "127.0.0.1:$1" &
	children="$children $!"
	shift
done
[ $n = 3 ] || fail "REPLICA_PORTS 要三个端口（REPLICA_PORTS needs three）"
for i in 1 2 3; do up $i; done

# The proxy's file, with these ports and this directory.
fill() {
	# shellcheck disable=SC2086 # three ports
	set -- "$1" $replicas
	sed -e 's/127\.0\.0\.1:8080/@front@/; s/127\.0\.0\.1:808\([123]\)/@replica\1@/g' "$here/$1" |
		sed -e "s/@front@/127.0.0.1:$port/; s/@replica1@/127.0.0.1:$2/; s/@replica2@/127.0.0.1:$3/; s/@replica3@/127.0.0.1:$4/" \
			-e "s#/var/log/[a-z]*/#$dir/proxy/#"
}
mkdir "$dir/proxy"
case $proxy in
nginx)
	fill nginx.conf >"$dir/proxy/wenzi.conf"
	cat >"$dir/proxy/nginx.conf" <<END
daemon off;
pid $dir/proxy/pid;
error_log $dir/proxy/start.log;
worker_processes 2;
events { worker_connections 4096; }
http {
    client_body_temp_path $dir/proxy/body;
    proxy_temp_path $dir/proxy/temp;
    fastcgi_temp_path $dir/proxy/temp;
    uwsgi_temp_path $dir/proxy/temp;
    scgi_temp_path $dir/proxy/temp;
    include $dir/proxy/wenzi.conf;
}
END
	setsid nginx -c "$dir/proxy/nginx.conf" >>"$dir/proxy/start.log" 2>&1 &
	;;
caddy)
	{ # not at the address where a Caddy of the system is administered
		printf '{\n\tadmin off\n'
		fill Caddyfile | sed '1,/^{$/d'
	} >"$dir/proxy/Caddyfile"
	XDG_CONFIG_HOME=$dir/proxy XDG_DATA_HOME=$dir/proxy \
		setsid caddy run --adapter caddyfile --config "$dir/proxy/Caddyfile" --pidfile "$dir/proxy/pid" >>"$dir/proxy/start.log" 2>&1 &
	;;
esac
front=$!
children="$children $front"
until [ -s "$dir/proxy/pid" ]; do
	kill -0 "$front" 2>/dev/null || {
		cat "$dir/proxy/start.log" >&2
		fail "$proxy 没有启动，端口 $port 可能有人在用：换一个 PORT（$proxy did not start; port $port may be taken: choose another PORT）"
	}
	sleep 0.2
done

cat <<END

三个副本、一个数据库和 $proxy 在运行（three replicas, one database and $proxy are running）

  入口 front       http://127.0.0.1:$port/wechatMP/…   $proxy，日志 log $dir/proxy/wenzi.log
END
set -- $admins
n=0
for listen in $replicas; do
	n=$((n + 1))
	echo "  副本 replica $n   127.0.0.1:$listen   管理 admin http://127.0.0.1:$1   PID $(cat "$dir/$n.pid")   日志 log $dir/$n.log"
	shift
done
cat <<END
  数据库 database  PostgreSQL, 127.0.0.1:$pgport

试试（try）：

  $wenzi say --url http://127.0.0.1:$port/wechatMP/hello 你好
  kill -9 $(cat "$dir/2.pid")      # 副本 2 没了，照样回答；5 秒后它又启动（replica 2 is gone, answers go on; it is back after 5 s）
  curl http://127.0.0.1:${admins%% *}/readyz      # 数据库可写（the database can be written）
  curl http://127.0.0.1:${admins%% *}/metrics     # 这个副本的计数（what this replica counts）
  $wenzi turns --data $dir/1      # 消息怎么答的，问哪个副本都一样（how messages were answered; any replica knows）

按 Ctrl-C 全部停止并删除（Ctrl-C stops and removes all of it）
END
wait "$front" || true
fail "$proxy 自己停了（$proxy has ended by itself）：$(cat "$dir/proxy/start.log")"
