#!/usr/bin/env bash
# distributed 2026.8.0 with torch 2.15.0, Linux with glibc.
#
# Training a small network in a worker of a LocalCluster spends several times the system time of the
# same training in a process of one's own, with no setting of ours: the nanny starts its workers
# with MALLOC_TRIM_THRESHOLD_=65536, so every tensor that is freed goes back to the system and the
# next one is faulted in again, page by page. One would expect a worker to be a process like any
# other. Setting "distributed.nanny.pre-spawn-environ" without that name, before the cluster
# starts, brings the time back. The nanny also leaves the variable in the environment of the process
# that started the cluster, so clusters and programs started later have it in spite of that setting;
# hence each case below has a process of its own.
#
# Seen (2 cores, one thread each, others at work): system time 14.8 s by default, 2.2 s without the
# variable, 4.0 s in a process of its own; wall 22, 9 and 10 s.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet distributed==2026.8.0 torch==2.15.0 numpy==2.4.6
cat > "$folder/train.py" <<'PY'
import json
import os
import resource
import sys
import time

import dask


def train():
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))
    adam = torch.optim.Adam(net.parameters())
    image, label = torch.rand(64, 3, 64, 64), torch.randint(2, (64,))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_stime, time.monotonic()
    for _ in range(150):
        adam.zero_grad()
        nn.functional.cross_entropy(net(image), label).backward()
        adam.step()
    spent = resource.getrusage(resource.RUSAGE_SELF).ru_stime - before
    return os.environ.get("MALLOC_TRIM_THRESHOLD_"), spent, time.monotonic() - start


def in_worker(environ):
    from distributed import Client, LocalCluster

    more = {} if environ is None else {"distributed.nanny.pre-spawn-environ": environ}
    with dask.config.set(more):
        with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
            with Client(cluster) as client:
                return client.submit(train).result()


if __name__ == "__main__":
    case = sys.argv[1]
    found = train() if case == "own" else in_worker({"OMP_NUM_THREADS": 1} if case == "without" else None)
    print(json.dumps([*found, os.environ.get("MALLOC_TRIM_THRESHOLD_")]))
PY
cd "$folder"
for case in default without own; do "$folder/venv/bin/python" train.py "$case" > "$case.json"; done
"$folder/venv/bin/python" - <<'PY'
import json

default, without, own = (json.load(open(f"{name}.json")) for name in ("default", "without", "own"))
for name, found in (("default", default), ("without", without), ("own process", own)):
    print(f"{name}: threshold {found[0]}, system {found[1]:.2f} s, wall {found[2]:.2f} s, left: {found[3]}")
assert (default[0], without[0], own[0]) == ("65536", None, None), "the variable is set otherwise"
assert (default[3], without[3]) == ("65536", None), "the parent's environment is left otherwise"
assert default[1] > 2 * max(without[1], 0.05), "it no longer costs system time"
print("as described")
PY
