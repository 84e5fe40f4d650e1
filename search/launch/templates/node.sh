exec "${inside[@]}" "$python" -P -m search.launch.node "$@" --cores "$cores" --store-bytes "$store_bytes" \
  --memory-bytes "$memory_bytes" --temporary "$temporary" --interface "$interface"
