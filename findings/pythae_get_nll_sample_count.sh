#!/usr/bin/env bash
# pythae 0.1.2 (torch 2.15.0): VAE.get_nll does not draw as many importance samples as it is asked
# for, and answers with the other sign. Below batch_size (100) it draws batch_size of them; above,
# the whole batches alone: 1 and 150 both draw 100, with the same value under the same seed. What
# comes back is the bound on log p(x), not its negative. A figure "with 1 sample" is therefore no
# evidence lower bound but a tighter one, and two libraries asked for the same number of samples
# are not compared at the same number.
# debias: models/quality/bounds.py draws what it is asked for; checked on a linear-Gaussian model.
#
# Output seen:
#   asked 1, drawn 100
#   asked 100, drawn 100
#   asked 150, drawn 100
#   asked 200, drawn 200
#   1, 100 and 150 give the same value: True; below 0: True
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pythae==0.1.2 torch==2.15.0
cat > "$work/try.py" <<'PYTHON'
import torch
from pythae.models import VAE, VAEConfig

torch.manual_seed(0)
model = VAE(VAEConfig(input_dim=(1, 4, 4), latent_dim=2, reconstruction_loss="mse")).eval()
image = torch.rand(1, 1, 4, 4)
drawn = []
model.decoder.register_forward_hook(lambda _, inputs, __: drawn.append(len(inputs[0])))


def ask(samples):
    drawn.clear()
    torch.manual_seed(1)
    with torch.no_grad():
        value = float(model.get_nll(image, n_samples=samples))
    print(f"asked {samples}, drawn {sum(drawn)}")
    return value, sum(drawn)


found = {samples: ask(samples) for samples in (1, 100, 150, 200)}
same = found[1] == found[100] == found[150]
negative = all(value < 0 for value, _ in found.values())
print(f"1, 100 and 150 give the same value: {same}; below 0: {negative}")
assert [count for _, count in found.values()] == [100, 100, 100, 200], "it has changed"
assert same and negative, "it has changed"
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
