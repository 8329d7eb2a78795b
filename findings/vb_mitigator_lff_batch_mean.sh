#!/usr/bin/env bash
# VB-Mitigator 2f79f09: LfF (Nam et al. 2020) weighs each image by how hard it is for a biased
# network, and here all images of a batch are given the mean loss of the batch: the criterion
# without reduction is made (`criterion_train`) and not used. An image seen for the first time has
# the weight of every other one of its class in the batch, however hard it is.
# debias: training/objectives/lff.py; benchmarks/peers.py shows that the rest of the update is the
# same.
#
# Output seen:
#   losses of the biased network: [0.018, 4.018]
#   kept for these images: [2.018, 2.018]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet --no-checkout "${VB_MITIGATOR:-https://github.com/mever-team/vb-mitigator}" "$work/repo"
git -C "$work/repo" archive 2f79f09946b4ea12c320ef8098f928179234bc24 mitigators | tar -x -C "$work"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from types import ModuleType
from types import SimpleNamespace as Has
from unittest.mock import MagicMock

import torch
import torch._dynamo  # looks for packages that are replaced below

# Data sets, models, log files: not called here.
for name in (
    "configs.cfg", "models.builder", "my_datasets.builder", "pandas", "ram.models",
    "tools.metrics.utils", "tools.utils", "torch.utils.tensorboard", "tqdm",
):
    for end in (i for i in range(len(name) + 1) if name[i : i + 1] in {"", "."}):
        if name[:end] not in ("torch", "torch.utils"):
            sys.modules.setdefault(name[:end], MagicMock())
sys.modules["mitigators"] = package = ModuleType("mitigators")
package.__path__ = ["mitigators"]
from mitigators.lff import LfFTrainer

made = object.__new__(LfFTrainer)
made.cfg = Has(
    SOLVER=Has(TYPE="SGD", CRITERION="CE", LR=0.1, MOMENTUM=0, WEIGHT_DECAY=0)
)
made.device, made.num_class = torch.device("cpu"), 2
made.model, made.bias_discover_net = torch.nn.Linear(2, 2), torch.nn.Identity()
made.dataloaders = {"train": Has(dataset=Has(targets=[0, 0]))}
made._setup_criterion()
made.bias_discover_net.register_parameter("unused", torch.nn.Parameter(torch.zeros(1)))
made._setup_optimizer()
made._method_specific_setups()
logits = torch.tensor([[4.0, 0.0], [0.0, 4.0]], requires_grad=True)  # one right, one wrong
label, index = torch.tensor([0, 0]), torch.tensor([0, 1])
made._train_iter({"inputs": logits, "targets": label, "index": index})
own = torch.nn.functional.cross_entropy(logits, label, reduction="none")
kept = made.sample_loss_ema_b.parameter
print("losses of the biased network:", [round(one, 3) for one in own.tolist()])
print("kept for these images:", [round(one, 3) for one in kept.tolist()])
assert kept[0] == kept[1], "it has changed"
PYTHON
cd "$work"
"$work/venv/bin/python" -W ignore "$work/try.py"
