#!/usr/bin/env bash
# One sweep with Open MPI's launcher, RANKS ranks on this machine; arguments go to `elastikv sweep`.
#   RANKS=8 scripts/cluster/mpirun.sh configs/quickstart.yaml --device cuda --output results/quickstart
# On the machines of HOSTS, the first of which keeps what the ranks share:
#   RANKS=16 HOSTS=a:8,b:8 scripts/cluster/mpirun.sh ...
set -euo pipefail
program=${ELASTIKV:-$(dirname "$0")/../../build/release/bin/elastikv}
hosts=()
if [ -n "${HOSTS:-}" ]; then
  first=${HOSTS%%,*}
  hosts=(--host "$HOSTS" -x "MASTER_ADDR=${first%%:*}" -x "MASTER_PORT=${MASTER_PORT:-29500}")
fi
exec mpirun -n "${RANKS:?how many ranks}" "${hosts[@]}" "$program" sweep "$@"
