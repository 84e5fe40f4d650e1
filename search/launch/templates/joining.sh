set -- --join "$cluster"
