exec bash "$cluster/node.sh" --join "$cluster"
