#!/usr/bin/env bash
# One sweep on all GPUs of this machine; arguments go to `elastikv sweep`.
#   scripts/cluster/torchrun.sh configs/quickstart.yaml --device cuda --output results/quickstart
# RANKS=4 starts so many ranks instead of one for each GPU, ELASTIKV names another program. On several machines:
#   NODES=2 NODE=0 MASTER_ADDR=first-machine scripts/cluster/torchrun.sh ...    (NODE=1 on the second one)
set -euo pipefail
program=${ELASTIKV:-$(dirname "$0")/../../build/release/bin/elastikv}
torchrun=${TORCHRUN:-torchrun}
ranks=${RANKS:-$(nvidia-smi --list-gpus 2>/dev/null | wc -l)}
[ "$ranks" -gt 0 ] || ranks=1
place=(--standalone)
if [ "${NODES:-1}" -gt 1 ]; then
  place=(--nnodes "$NODES" --node-rank "${NODE:?which machine this is, from 0}" \
    --master-addr "${MASTER_ADDR:?the first machine}" --master-port "${MASTER_PORT:-29500}")
fi
# A rank that fails ends all of them; they are started again, and go on with what is there.
exec "$torchrun" "${place[@]}" --nproc-per-node "$ranks" --max-restarts "${RESTARTS:-3}" --no-python \
  "$program" sweep "$@"
