#!/bin/sh
# What happens before PID 1 proper: who owns what, how much memory there is, is the configuration sound.
# Started as root it prepares the directories; PID 1 and the guard stay root with few capabilities, the app becomes user
# samovar and the Redis servers become samovar-redis. Started as anyone else, that user runs all of it, and needs the
# directories ready.
# Ends with 78 and the reason when the container cannot work as it was configured.
set -eu

export SAMOVAR_RUN_DIR="${SAMOVAR_RUN_DIR:-/run/samovar}"
run=$SAMOVAR_RUN_DIR
export SAMOVAR_REDIS_DIR="$run/redis" SAMOVAR_AS_APP='' SAMOVAR_AS_REDIS='' SAMOVAR_USERS=''

say() { printf 'samovar: %s\n' "$*"; }
refuse() {
  say "$*" >&2
  exit 78
}

# What the shell can read by itself is read without a program: some forty of them are a seventh of a start's work.
user='' has=0x0
while read -r _name _first _second _; do
  case $_name in
    Uid:) user=$_second ;;
    CapEff:) has=0x$_first ;;
  esac
done </proc/self/status
user=${user:-$(id -u)}

# Those of the list that root does not have here. docs/deploying.md has the same list.
missing_capabilities() {
  for _pair in CHOWN:0 DAC_OVERRIDE:1 KILL:5 SETGID:6 SETUID:7; do
    [ $((has >> ${_pair#*:} & 1)) = 1 ] || printf ' %s' "${_pair%:*}"
  done
}

# Of the container, in MiB; nothing where it has none, or more than the machine.
limit=max
for _file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  [ ! -r "$_file" ] || { read -r limit <"$_file" && break; } || limit=max
done 2>/dev/null
case $limit in
  max | ??????????????????*) limit='' ;;
  *) limit=$((limit / 1048576)) ;;
esac
read -r _ host _ </proc/meminfo # MemTotal, kB

low_ports=''
if [ "$user" = 0 ]; then
  missing=$(missing_capabilities)
  [ -z "$missing" ] || refuse "root lacks capabilities in this container: add them ($(
    for name in $missing; do printf -- '--cap-add %s ' "$name"; done
  )) or run it with --user 1000"
  while IFS=: read -r _name _ _id _; do
    case $_name in
      samovar) app=$_id ;;
      samovar-redis) redis=$_id ;;
    esac
  done </etc/passwd
  SAMOVAR_AS_APP="setpriv --reuid $app --regid $app --clear-groups --no-new-privs"
  SAMOVAR_AS_REDIS="setpriv --reuid $redis --regid $redis --clear-groups --no-new-privs"
  SAMOVAR_USERS="$app $redis" # each has the group of the same number
  # NET_BIND_SERVICE, which the app gets only for a port below 1024 that it could not open without.
  [ $((has >> 10 & 1)) = 0 ] || low_ports='--inh-caps=+net_bind_service --ambient-caps=+net_bind_service'
fi

# pm2 takes these names for keys of its cloud, stores them in a file and starts an agent.
unset SECRET_KEY PUBLIC_KEY PM2_SECRET_KEY PM2_PUBLIC_KEY KEYMETRICS_SECRET KEYMETRICS_PUBLIC
unset NODE_OPTIONS

# The configuration is read in one place, by the app's own code; it lists all problems itself. What it answers are
# assignments: nothing below reads a variable as somebody wrote it.
# embedded-alone is the same without what serves requests, which an app of the user's may need (scripts/bundle.ts).
embedded=embedded
[ -n "${USER_DIR:-}" ] || [ -e /app/user ] || embedded=embedded-alone
answer=$($SAMOVAR_AS_APP $low_ports node --max-semi-space-size=1 "/app/dist/$embedded.js" "$limit" \
  "$((host / 1024))") || exit $?
variant=''
eval "$answer"
[ -n "$variant" ] || refuse "dist/embedded.js gave no answer"
export PORT DATA_DIR WEB_CONCURRENCY SAMOVAR_HEAP_MB MEMORY_BUDGET_MB SAMOVAR_SERVER
if [ -n "$is_low_port" ]; then SAMOVAR_AS_APP="$SAMOVAR_AS_APP $low_ports"; else low_ports=''; fi

if [ -n "$SAMOVAR_USERS" ]; then
  mkdir -p "$run" "$DATA_DIR" 2>/dev/null || true
  # The app owns that directory: a link of its making would lead root elsewhere.
  for name in samovar.lock samovar.lock.next; do
    [ ! -L "$DATA_DIR/$name" ] || rm -f "$DATA_DIR/$name" 2>/dev/null || true
  done
  touch "$run/.writable" "$DATA_DIR/samovar.lock" 2>/dev/null ||
    refuse "a read-only root needs --tmpfs /run, --tmpfs /tmp and a volume at $DATA_DIR"
  # An earlier run of this container may have left its files.
  find "$run" -mindepth 1 -delete
  chown 0:0 "$run" && chmod 755 "$run"
  # In a directory of somebody's, which the app may own: both users, and root without its rights, must get through.
  dir=$DATA_DIR
  while dir=${dir%/*} && [ -n "$dir" ]; do
    [ -n "$(find "$dir" -maxdepth 0 -perm -111)" ] || chmod a+x "$dir" 2>/dev/null ||
      $SAMOVAR_AS_APP chmod a+x "$dir" 2>/dev/null ||
      refuse "$dir does not let users into $DATA_DIR: make it executable for all (chmod a+x), or give DATA_DIR another one"
  done
  # A platform mounts the volume owned by root, and releases before this one gave everything to the app's user.
  # Group samovar may still write among Redis' files: a container of such a release may be about to save there.
  cd "$DATA_DIR"
  [ ! -L quarantine ] || rm -f quarantine # a link of the app's making, which root and the other user would follow
  # state-files puts what an earlier release has left there in the place of a state that is missing.
  state=state
  [ ! -e state.converting ] || state=''
  mkdir -p cache quarantine $state 2>/dev/null || true # what is there instead is for run-redis to judge
  touch samovar.lock samovar.lock.next
  chown "$app:$redis" . 2>/dev/null ||
    refuse "root may not change the owner of $DATA_DIR: the volume must allow it, or run the container with --user"
  # What another container has removed by now is no failure. In the quarantine directories are of Redis, files of the app.
  find . -xdev -mindepth 1 -maxdepth 3 \
    \( -path ./cache -o -path ./state -o -path './state.*' -o -path './quarantine/*' -type d \) -prune \
    -o ! -user "$app" -execdir chown -h "$app:$app" '{}' + 2>/dev/null || true
  # -execdir, and no path with a slash at its end: a link that one of the users has put there is not followed.
  find ./cache ./state ./state.* -xdev -maxdepth 3 ! -user "$redis" -execdir chown -h "$redis:$app" '{}' + 2>/dev/null ||
    true
  find ./quarantine -xdev -mindepth 1 -maxdepth 4 \( -type d -o -path './quarantine/*/*' \) ! -user "$redis" \
    -execdir chown -h "$redis:$app" '{}' + 2>/dev/null || true
  chgrp -h "$redis" quarantine 2>/dev/null || true
  # The user of Redis makes nothing here, or it could make the files of the app where one is missing; but where something
  # else lies in the place of its own directories, it has to put that right under the data lock.
  mode=1750
  for name in cache state; do { [ -d "$name" ] && [ ! -L "$name" ]; } || mode=1770; done
  [ ! -e state.converting ] || mode=1770
  # By their owners: root needs no capability for it. In the quarantine both write, and remove only what is theirs.
  { $SAMOVAR_AS_APP chmod "$mode" . && $SAMOVAR_AS_APP chmod 1770 quarantine && $SAMOVAR_AS_APP chmod 660 samovar.lock samovar.lock.next; } 2>/dev/null ||
    refuse "$DATA_DIR does not keep owners and modes: use a volume that does, or run the container with --user"
  $SAMOVAR_AS_REDIS find cache state -xdev -maxdepth 2 -type d -exec chmod 770 '{}' + 2>/dev/null || true
  cd /
else
  mkdir -p "$run" 2>/dev/null || true
  [ -w "$run" ] || refuse "$run is not writable for user $user: mount a tmpfs there (--tmpfs $run:uid=$user,mode=700)"
  [ -d "$DATA_DIR" ] && [ -w "$DATA_DIR" ] ||
    refuse "$DATA_DIR is not writable for user $user: mount a volume there that this user owns, or start as root"
  for name in cache state; do
    [ ! -e "$DATA_DIR/$name" ] || [ -O "$DATA_DIR/$name" ] ||
      { [ -w "$DATA_DIR/$name" ] && [ "$(stat -c %u "$DATA_DIR/$name")" != "$(id -u samovar-redis)" ]; } ||
      refuse "$DATA_DIR/$name belongs to another user: give all of the volume to user $user (chown -R), or start as root"
  done
  find "$run" -mindepth 1 -delete
  say "everything runs as user $user: the Redis servers may read what the app keeps secret; started as root they have a user of their own"
fi
[ -w /tmp ] || refuse "/tmp is not writable: a read-only root needs --tmpfs /tmp"
# Where the parts meet. Each writes in a place of its own; the words of the guard and of init are theirs alone.
mkdir -m 755 "$run/app"
mkdir -m 700 "$run/pm2"
mkdir -m 750 "$SAMOVAR_REDIS_DIR"
: >"$run/app-starts" >"$run/app-exit-code"
ln -s redis/redis-cache.pid redis/redis-state.pid redis/redis-state.sock "$run"
if [ -n "$SAMOVAR_USERS" ]; then
  chown "$app:$app" "$run/app" "$run/pm2" "$run/app-starts" "$run/app-exit-code"
  chown "$redis:$app" "$SAMOVAR_REDIS_DIR"
fi
export HOME="$run/pm2" USER=samovar

printf '%s' "$PORT" >"$run/port" # for the health check
[ -z "$any_answer" ] || : >"$run/any-answer" # of a server that has no /livez
say "memory: $memory, in-process budget $MEMORY_BUDGET_MB MiB"

umask 077
case $variant in
  embedded)
    # On a volume without a trace of an earlier life nobody knows more than the app does (src/core/state/absence).
    first=yes
    for file in "$DATA_DIR"/state/* "$DATA_DIR"/state/.[!.]* "$DATA_DIR"/state/..?*; do
      { [ ! -e "$file" ] && [ ! -L "$file" ]; } || first=''
    done
    for name in installation samovar.db records.db session-secret state.converting; do
      [ ! -e "$DATA_DIR/$name" ] || first=''
    done
    [ -z "$first" ] || : >"$run/app/first"
    export SAMOVAR_EMBEDDED=true STATE_REDIS_URL="unix://$SAMOVAR_REDIS_DIR/redis-state.sock"
    {
      cat /app/image/redis-cache.conf
      printf '%s\n' "$redis_cache"
    } >"$SAMOVAR_REDIS_DIR/redis-cache.conf"
    {
      cat /app/image/redis-state.conf
      printf '%s\nunixsocket %s/redis-state.sock\n' "$redis_state" "$SAMOVAR_REDIS_DIR"
    } >"$SAMOVAR_REDIS_DIR/redis-state.conf"
    if [ -n "$SAMOVAR_USERS" ]; then
      # Group root: the guard reads the port there.
      chmod 640 "$SAMOVAR_REDIS_DIR"/*.conf
      chown "$redis:0" "$SAMOVAR_REDIS_DIR"/*.conf
    fi
    ;;
  external | memory) export SAMOVAR_EMBEDDED=false ;;
  *) refuse "dist/embedded.js answered '$variant' instead of a variant" ;;
esac
say "variant: $variant"
unset answer redis_cache redis_state
umask 022

[ -n "$SAMOVAR_USERS" ] || exec python3 -I /app/image/init
# PID 1 and the guard start and end processes of both users, and read their files by these groups.
few=--bounding-set=-all,+kill,+setgid,+setuid${low_ports:+,+net_bind_service}
setpriv "$few" true 2>/dev/null || few='' # without CAP_SETPCAP they keep what the container has
exec setpriv --groups "$app,$redis" --no-new-privs $few python3 -I /app/image/init
