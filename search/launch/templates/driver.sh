attempt=$cluster/$1.0

pause() {
  sleep 1 &
  wait $!
  [ ! -e "$cluster/stop" ] || ask stop
}

mkdir -p "$attempt" || exit 3
rm -f "$cluster/over"
event began "$(hostname)"
event head "$address"
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$token_file
"${inside[@]}" "${resume[@]}" --address "$address" >> "$attempt/driver.log" 2>&1 &
driver=$!
trap 'ask cancelled' TERM INT USR1
while kill -0 "$driver" 2>/dev/null; do pause; done
wait "$driver"
code=$?
event driver "$code"
[ "$code" != 0 ] || finish 0 finished
[ ! -e "$cluster/stop" ] || finish 85 stopped
[ -z "$asked" ] || finish 85 cancelled
finish "$code" failed
