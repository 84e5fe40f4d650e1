job=$SLURM_JOB_ID
restart=${SLURM_RESTART_COUNT:-0}

node_names() { scontrol show hostnames "$SLURM_JOB_NODELIST" | tr '\n' ' '; }

# When the job ends [s]: as Slurm says, or else as it was submitted.
end_time() {
  local end
  if [ -n "${SLURM_JOB_END_TIME:-}" ]; then
    echo "$SLURM_JOB_END_TIME"
  elif end=$(squeue -h -j "$job" -o %e) && end=$(date -d "$end" +%s 2>/dev/null); then
    echo "$end"
  else
    echo $(($(date +%s) + limit_s))
  fi
}

# One step for all nodes; from Slurm 22.05 on, srun doesn't take --cpus-per-task from the job.
start_nodes() {
  exec "${start[@]}" --export=ALL --wait=0 --kill-on-bad-exit=0 --no-kill --cpus-per-task="$cores" \
    --ntasks-per-node=1 bash "$cluster/node.sh" "$attempt"
}

begin_again() {
  local next
  if [ "$requeue" = yes ] && scontrol requeue "$job"; then
    sleep 600 # Slurm ends this script within moments
    exit 0
  fi
  next=$(env -i HOME="$HOME" PATH="$PATH" ${SLURM_CONF:+SLURM_CONF="$SLURM_CONF"} \
    sbatch --parsable --export=ALL --dependency=afterany:"$job" "$cluster/job.sh" $((restarts + 1))) || return
  event successor "${next%%;*}"
  exit "$code"
}
