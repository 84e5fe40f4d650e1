driver=
asked=

event() { printf '%s\t%s\t%s\n' "$(date +%s)" "$1" "${2:-}" >> "$attempt/events"; }

# CODE REASON: the job ends, and nothing begins the search again.
finish() {
  event ended "$1 $2"
  : > "$cluster/over"
  exit "$1"
}

# REASON: the driver is asked to end; it keeps what it has.
ask() {
  [ -z "$asked" ] || return 0
  asked=$1
  event asked "$1"
  [ -z "$driver" ] || kill -TERM "$driver"
}
