#!/usr/bin/env bash
# VB-Mitigator 2f79f09: GroupDRO numbers the groups of a binary label and a binary attribute by
# label * 2 + attribute * 2, so 0, 2, 2 and 4 of 0 to 3. Two of the four groups are one, which are
# the two rare ones where the attribute follows the label; and images of the last group are in no
# group: their loss counts for nothing, and nothing is learned of them.
# debias: groups are numbered by the cells that there are; benchmarks/peers.py shows that the rest
# of the update is the same.
#
# Output seen:
#   label 0, attribute 0: largest gradient 0.126
#   label 0, attribute 1: largest gradient 0.126
#   label 1, attribute 0: largest gradient 0.126
#   label 1, attribute 1: largest gradient 0.000
#   shares after a batch of one (0, 1) and one (1, 0): [0.25, 0.25, 0.251, 0.25]
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
from mitigators.groupdro import GroupDROTrainer


def trainer():
    made = object.__new__(GroupDROTrainer)
    made.cfg = Has(
        SOLVER=Has(TYPE="SGD", CRITERION="CE", LR=0.1, MOMENTUM=0, WEIGHT_DECAY=0),
        MITIGATOR=Has(GROUPDRO=Has(ROBUST_STEP_SIZE=0.01)),
    )
    made.device, made.biases = torch.device("cpu"), ["bias"]
    made.num_class, made.num_group = 2, 4  # as its own loaders of CelebA, UTKFace, Waterbirds say
    made.num_biases = made.num_group / made.num_class  # as its _setup_dataset has it
    made.model = torch.nn.Linear(2, 2)
    torch.nn.init.zeros_(made.model.weight)
    torch.nn.init.zeros_(made.model.bias)
    made._setup_criterion()
    made._setup_optimizer()
    made._method_specific_setups()
    return made


def step(label, bias):
    made = trainer()
    made._train_iter({
        "inputs": torch.ones(len(label), 2),
        "targets": torch.tensor(label),
        "bias": torch.tensor(bias),
    })
    return made


gradients = {}
for label in (0, 1):
    for bias in (0, 1):
        largest = float(step([label], [bias]).model.weight.grad.abs().max())
        gradients[label, bias] = largest
        print(f"label {label}, attribute {bias}: largest gradient {largest:.3f}")
shares = step([0, 1], [1, 0]).adv_probs.tolist()
print("shares after a batch of one (0, 1) and one (1, 0):", [round(one, 3) for one in shares])
assert gradients[1, 1] == 0 < gradients[1, 0], "it has changed"
assert len({round(one, 6) for one in shares}) == 2, "it has changed"
PYTHON
cd "$work"
"$work/venv/bin/python" -W ignore "$work/try.py"
