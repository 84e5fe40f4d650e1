exec bash -l "$cluster/node.sh" --join "$cluster"
