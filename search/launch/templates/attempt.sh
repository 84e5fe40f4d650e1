restarts=$((${1:-0} + restart))
attempt=$cluster/$job.$restart

# SIGTERM comes from the user, from whoever preempts the job, or when the time is up.
# shellcheck disable=SC2317 # a trap calls it
ask_at_sigterm() {
  if [ "$(date +%s)" -gt $((end_s - 90)) ]; then ask time; else ask cancelled; fi
}

# A signal ends the wait at once.
pause() {
  sleep 1 &
  wait $!
  [ ! -e "$cluster/stop" ] || ask stop
  [ "$SECONDS" -lt "$last_s" ] || ask time
}

# A line that changes with each step of the search.
achieved() { "${inside[@]}" "$python" -P -m search.launch.achieved "$run"; }

# The nodes see the end file, and each ends what it has started.
end_nodes() {
  : > "$attempt/end"
  for _ in $(seq 30); do
    kill -0 "$step" 2>/dev/null || break
    sleep 0.5
  done
  kill "$step" 2>/dev/null
  wait "$step" 2>/dev/null
  rm -f "$attempt/token"
  rm -rf "$TMPDIR"
}

if [ ! -f "$run/spec.json" ]; then
  echo "$(hostname) doesn't see $run: it isn't on a shared file system" >&2
  exit 3
fi
rm -f "$cluster"/*/token "$cluster/over"
mkdir -p "$attempt" || exit 3
end_s=$(end_time)
event began "$(node_names)"
last_s=$((SECONDS + end_s - clock_s - $(date +%s)))
event until "$end_s"
printf '%s' "$job.$restart" > "$cluster/current.part"
mv "$cluster/current.part" "$cluster/current"
[ ! -e "$cluster/stop" ] || finish 85 stopped
before=$(achieved) || finish 3 program

TMPDIR=$(mktemp -d "$temporary/sst.XXXXXX") || finish 3 temporary
export TMPDIR
head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n' > "$attempt/token"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$attempt/token
trap 'ask time' USR1
trap ask_at_sigterm TERM INT
(start_nodes) > "$attempt/nodes.log" 2>&1 &
step=$!
for _ in $(seq "$head_limit_s"); do
  if [ -n "$asked" ] || [ -s "$attempt/address" ] || ! kill -0 "$step" 2>/dev/null; then break; fi
  pause
done
if [ -z "$asked" ] && [ ! -s "$attempt/address" ]; then
  end_nodes
  finish 3 head
fi

code=85
if [ -z "$asked" ]; then
  event head "$(cat "$attempt/address")"
  "${inside[@]}" "${resume[@]}" --address "$(cat "$attempt/address")" \
    --until "$(date -d "@$((end_s - reserve_s))" +%FT%T%:z)" >> "$attempt/driver.log" 2>&1 &
  driver=$!
  while kill -0 "$driver" 2>/dev/null; do pause; done
  wait "$driver"
  code=$?
fi
event driver "$code"
end_nodes

[ "$code" != 0 ] || finish 0 finished
[ ! -e "$cluster/stop" ] || finish 85 stopped
[ "$asked" != cancelled ] || finish 85 cancelled
# 3: the machines failed; 137, 138 and 143: a signal ended the driver, such as for lack of memory.
case $code in 3 | 85 | 137 | 138 | 143) ;; *) finish "$code" failed ;; esac
[ "$before" != "$(achieved)" ] || finish "$code" stuck
[ "$restarts" -lt "$max_restarts" ] || finish "$code" restarts
event again $((restarts + 1))
begin_again
finish "$code" refused
