#!/usr/bin/env bash
# A Slurm of two pretended nodes on this machine, for tests: a controller, two slurmd and munged, with all of their files
# in one folder.
#   tests/support/pretended_slurm.sh start FOLDER    prints SLURM_CONF=..., or why it cannot be started (exit code 77)
#   tests/support/pretended_slurm.sh stop FOLDER
set -euo pipefail
folder=$(mkdir -p "$2" && cd "$2" && pwd)
cannot() {
  echo "no Slurm: $*"
  exit 77
}

# Ends what wrote a process id into a file, and waits until it has ended.
end() {
  local pid
  [ -s "$1" ] && pid=$(cat "$1") && kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

stop() {
  for node in n1 n2; do end "$folder/$node.pid"; done
  end "$folder/slurmctld.pid"
  end "$folder/munged.pid"
}

start() {
  export PATH=$PATH:/usr/sbin:/sbin
  for program in slurmctld slurmd munged srun sbatch; do
    command -v "$program" >/dev/null || cannot "$program is not installed (slurmctld, slurmd, slurm-client, munge)"
  done
  [ "$(id -u)" -eq 0 ] || cannot "its daemons run as root here"
  port=$((20000 + RANDOM % 10000))
  mkdir -p "$folder/state" "$folder/spool-n1" "$folder/spool-n2"
  chmod 755 "$folder"
  head -c 1024 /dev/urandom >"$folder/munge.key"
  chmod 400 "$folder/munge.key"
  munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
    --log-file "$folder/munged.log" --seed-file "$folder/munge.seed" >"$folder/munged.out" 2>&1 ||
    cannot "munged: $(tail -1 "$folder/munged.out")"
  cat >"$folder/slurm.conf" <<END
ClusterName=pretended
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
NodeName=n1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 1)) CPUs=4 State=UNKNOWN
NodeName=n2 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 2)) CPUs=4 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
  export SLURM_CONF=$folder/slurm.conf
  slurmctld -c >"$folder/slurmctld.out" 2>&1 || cannot "slurmctld: $(tail -1 "$folder/slurmctld.out")"
  for node in n1 n2; do
    slurmd -c -N "$node" >"$folder/$node.out" 2>&1 || {
      stop
      cannot "slurmd -N $node: $(tail -1 "$folder/$node.out")"
    }
  done
  for _ in $(seq 300); do
    [ "$(sinfo -h -N -t idle -o %N 2>/dev/null | sort -u | wc -l)" -eq 2 ] && {
      echo "SLURM_CONF=$SLURM_CONF"
      return
    }
    sleep 0.1
  done
  sinfo -N >"$folder/sinfo.txt" 2>&1 || true
  stop
  cannot "its nodes do not come up: $(tail -1 "$folder/n1.log" 2>/dev/null) $(tail -1 "$folder/sinfo.txt")"
}

"$1"
