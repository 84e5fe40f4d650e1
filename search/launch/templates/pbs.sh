exec >> "$cluster/job-$PBS_JOBID.log" 2>&1
job=$PBS_JOBID
restart=0
set -- "${simstead_restarts:-0}" # qsub passes a script no arguments

node_names() { sort -u "$PBS_NODEFILE" | tr '\n' ' '; }

end_time() { echo $(($(date +%s) + limit_s - SECONDS)); }

start_nodes() { exec "${start[@]}" bash "$cluster/node.sh" "$attempt"; }

begin_again() {
  local next
  next=$(qsub -W depend=afterany:"$job" -v simstead_restarts=$((restarts + 1)) "$cluster/job.sh") || return
  event successor "$next"
  exit "$code"
}
