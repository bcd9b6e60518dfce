#!/bin/sh
# What happens before PID 1 proper: who owns what, how much memory there is, is the configuration sound.
# Started as root it prepares the directories and continues as user samovar; started as anyone else it needs them ready.
# Ends with 78 and the reason when the container cannot work as it was configured.
set -eu

export SAMOVAR_RUN_DIR="${SAMOVAR_RUN_DIR:-/run/samovar}" DATA_DIR="${DATA_DIR:-/data}"
run=$SAMOVAR_RUN_DIR

say() { printf 'samovar: %s\n' "$*"; }
refuse() {
  say "$*" >&2
  exit 78
}

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$run" "$DATA_DIR" 2>/dev/null || true
  { [ -w "$run" ] && [ -w "$DATA_DIR" ]; } ||
    refuse "a read-only root needs --tmpfs /run, --tmpfs /tmp and a volume at $DATA_DIR"
  # An earlier run of this container may have left its files; a platform mounts the volume owned by root.
  find "$run" -mindepth 1 -delete
  { chown samovar:samovar "$run" && chmod 700 "$run" &&
    find "$DATA_DIR" -xdev -maxdepth 3 ! -user samovar -exec chown -h samovar:samovar '{}' +; } ||
    refuse "root may not hand $DATA_DIR and $run over here: give the container CAP_CHOWN or run it with --user 1000"
  # The children of PID 1 write where it writes, and they are not root any more.
  chown samovar /proc/self/fd/1 /proc/self/fd/2 || true
  exec setpriv --reuid samovar --regid samovar --clear-groups --no-new-privs bash --posix "$0" "$@"
fi

mkdir -p "$run" 2>/dev/null || true
[ -w "$run" ] || refuse "$run is not writable for user $(id -u): mount a tmpfs there (--tmpfs $run:uid=$(id -u),mode=700)"
[ -w /tmp ] || refuse "/tmp is not writable: a read-only root needs --tmpfs /tmp"
[ -d "$DATA_DIR" ] && [ -w "$DATA_DIR" ] ||
  refuse "$DATA_DIR is not writable for user $(id -u): mount a volume there that this user owns, or start as root"
find "$run" -mindepth 1 -delete
export HOME="$run" USER=samovar

# pm2 takes these names for keys of its cloud, stores them in a file and starts an agent.
unset SECRET_KEY PUBLIC_KEY PM2_SECRET_KEY PM2_PUBLIC_KEY KEYMETRICS_SECRET KEYMETRICS_PUBLIC
unset NODE_OPTIONS

# Memory: 2 × state (an append-only file being rewritten) + cache, and a quarter more, + Node's heap + 125 MiB of
# fixed costs (supervisor, pm2, the rest of Node) fit into the limit. Without a limit the smallest plan is assumed.
host_mb=$(($(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo) / 1024))
limit=$(cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || echo max)
case $limit in
  max | ??????????????????*) limit_mb=$host_mb ;;
  *) limit_mb=$((limit / 1048576)) ;;
esac
if [ "$limit_mb" -lt "$host_mb" ]; then
  source="the container's limit of"
else
  source="no limit on the container, assuming"
  limit_mb=$((host_mb < 512 ? host_mb : 512))
fi
free_mb=$((limit_mb - 125))
[ "$free_mb" -ge 100 ] || free_mb=100
state_mb=$((free_mb * 12 / 100))
cache_mb=$((free_mb * 22 / 100))
heap_mb=$((free_mb * 42 / 100))
[ "$heap_mb" -le 2048 ] || heap_mb=2048
workers=${WEB_CONCURRENCY:-1}
case $workers in *[!0-9]* | '' | 0) workers=1 ;; esac # what it should be instead is said below
export SAMOVAR_HEAP_MB="$heap_mb" MEMORY_BUDGET_MB="${MEMORY_BUDGET_MB:-$((heap_mb * 40 / 100 / workers + 1))}"
say "memory: $source $limit_mb MiB gives cache $cache_mb, state $state_mb, Node's heap $heap_mb, in-process budget $MEMORY_BUDGET_MB MiB"

# The configuration is read in one place, by the app's own code; it lists all problems itself.
umask 077
code=0
answer=$(node --max-semi-space-size=1 /app/dist/cli/embedded.js) || code=$?
[ "$code" = 0 ] || exit "$code"
newline='
'
variant=${answer%%"$newline"*}
case $variant in
  embedded)
    # On a volume without a trace of an earlier life nobody knows more than the app does (src/core/state/absence).
    [ -n "$(ls -A "$DATA_DIR/state" 2>/dev/null)" ] || : >"$run/first"
    for name in installation samovar.db records.db session-secret state.converting; do
      [ ! -e "$DATA_DIR/$name" ] || rm -f "$run/first"
    done
    export SAMOVAR_EMBEDDED=true STATE_REDIS_URL="unix://$run/redis-state.sock"
    {
      cat /app/image/redis-cache.conf
      printf 'dir %s/cache\nmaxmemory %smb\n' "$DATA_DIR" "$cache_mb"
      printf '%s\n' "$answer" | sed 1d
    } >"$run/redis-cache.conf"
    {
      cat /app/image/redis-state.conf
      printf 'dir %s/state\nmaxmemory %smb\nunixsocket %s/redis-state.sock\n' "$DATA_DIR" "$state_mb" "$run"
    } >"$run/redis-state.conf"
    ;;
  external | memory) export SAMOVAR_EMBEDDED=false ;;
  *) refuse "dist/cli/embedded.js answered '$variant' instead of a variant" ;;
esac
say "variant: $variant"
unset answer
umask 022

exec python3 -I /app/image/init
