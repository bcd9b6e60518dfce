# What the scripts share: steps with times, one-sentence errors, packages on demand. Sourced, not run.

step() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# during "what" command...: says what begins, every 15 s that it still runs, and how long it took.
# The command's own words are shown only when it fails. Ends as the command does.
during() {
  _what=$1
  shift
  _began=$(date +%s)
  _log=$(mktemp)
  step "$_what …"
  "$@" >"$_log" 2>&1 </dev/null &
  _pid=$!
  _told=$_began
  while kill -0 "$_pid" 2>/dev/null; do
    sleep 0.3
    _now=$(date +%s)
    if [ $((_now - _told)) -ge 15 ]; then
      _told=$_now
      step "  … $((_now - _began)) s: $(tail -n 1 "$_log" | cut -c 1-100)"
    fi
  done
  _code=0
  wait "$_pid" || _code=$?
  _took=$(($(date +%s) - _began))
  if [ "$_code" = 0 ]; then
    step "  done in $_took s"
  else
    step "  failed after $_took s (code $_code):"
    tail -n 25 "$_log" | sed 's/^/    /'
  fi
  rm -f "$_log"
  return "$_code"
}

# need <command or file> <debian package>: installs the package when the command or file is missing.
need() {
  if command -v "$1" >/dev/null 2>&1 || [ -e "$1" ]; then return 0; fi
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1 ||
    fail "Install $2 first: $1 is missing, and only root on Debian or Ubuntu can install it from here."
  if [ -z "${_apt_fresh:-}" ]; then
    during "apt-get update" apt-get update || true
    _apt_fresh=yes
  fi
  # A package's service is not started by its installation: scripts that need one start their own.
  _policy=/usr/sbin/policy-rc.d
  if [ -e "$_policy" ]; then _policy=; else printf '#!/bin/sh\nexit 101\n' >"$_policy" && chmod +x "$_policy"; fi
  _code=0
  during "apt-get install $2" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$2" || _code=$?
  [ -z "$_policy" ] || rm -f "$_policy"
  [ "$_code" = 0 ] || fail "The package $2 could not be installed."
}
