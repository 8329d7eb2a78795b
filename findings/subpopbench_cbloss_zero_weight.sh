#!/usr/bin/env bash
# SubpopBench 4d3dbbe (2023-07): CBLoss gives weight 0 to a group of many images. It finds empty
# groups by 1 - beta**n == 1, which float64 also answers for any n above about 37 / (1 - beta):
# 3,700 images at beta 0.99, 37,000 at 0.999, and its own search draws beta from 0.99 to 0.99999.
# The largest groups are then left out of the loss without a word; where all are that large, the
# loss is NaN.
# debias: an empty class is found by its count (training/objectives/class_balanced.py).
#
# Output seen:
#   3600 and 400 images, beta 0.99: weights [0.991, 1.009]
#   4000 and 400 images, beta 0.99: weights [0.0, 2.0]
#   71629 and 1387 images, beta 0.999: weights [0.0, 2.0]
#   4000 and 4000 images, beta 0.99: weights [nan, nan]
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git clone --quiet --no-checkout "${SUBPOPBENCH:-https://github.com/YyzHarry/SubpopBench}" "$work/repo"
git -C "$work/repo" archive 4d3dbbe21029666ef19d040e110ec22908640c5b subpopbench | tar -x -C "$work"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 torchvision numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from types import ModuleType

import torch
import torch._dynamo  # looks for packages that are replaced below
import torchvision

for name in ("transformers", "timm"):  # of text and pretrained models; not called here
    sys.modules[name] = module = ModuleType(name)
    module.__getattr__ = lambda one: type(one, (), {})
from subpopbench.learning.algorithms import CBLoss


def weights(sizes, beta):
    hparams = {
        "nonlinear_classifier": False, "mlp_width": 4, "mlp_depth": 2, "mlp_dropout": 0.0,
        "lr": 0.1, "weight_decay": 0.0, "last_layer_dropout": 0.0, "beta": beta,
    }
    found = CBLoss("tabular", (3,), 2, 1, sum(sizes), hparams, sizes).weights_per_grp
    shown = [round(one, 3) for one in found.tolist()]
    print(f"{sizes[0]} and {sizes[1]} images, beta {beta}: weights {shown}")
    return found


assert (weights([3600, 400], 0.99) > 0).all()
for sizes, beta in (([4000, 400], 0.99), ([71629, 1387], 0.999)):
    assert weights(sizes, beta)[0] == 0, "it has changed"
assert weights([4000, 4000], 0.99).isnan().all(), "it has changed"
PYTHON
cd "$work"
PYTHONPATH="$work" "$work/venv/bin/python" -W ignore "$work/try.py"
