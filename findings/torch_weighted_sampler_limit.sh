#!/usr/bin/env bash
# torch 2.15.0: WeightedRandomSampler takes a weight for each sample and says nothing of a limit,
# but draws by torch.multinomial, which stops at 2**24 (16,777,216) categories: with one sample
# more, the first batch raises "number of categories cannot exceed 2^24", after the data set and
# the sampler were made without a word. At exactly 2**24 it draws.
# debias: draws walk along the running sum of the weights in float64, however many there are.
#
# Output seen:
#   16777216 weights: 4 drawn
#   16777217 weights: RuntimeError: number of categories cannot exceed 2^24
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.15.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import torch
from torch.utils.data import WeightedRandomSampler

MOST = 2**24
drawn = len(list(WeightedRandomSampler(torch.ones(MOST), 4)))
print(f"{MOST} weights: {drawn} drawn")
sampler = WeightedRandomSampler(torch.ones(MOST + 1), 4)
try:
    list(sampler)
except RuntimeError as error:
    print(f"{MOST + 1} weights: RuntimeError: {error}")
    assert "2^24" in str(error), "it has changed"
else:
    raise SystemExit("it has changed")
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
