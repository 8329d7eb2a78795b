#!/usr/bin/env bash
# fairlearn 0.15.0 (scikit-learn 1.9.1): a classifier without one mistake has the largest possible
# equalized odds difference, 1.0, as soon as one group holds no positive example: the true positive
# rate of that group, zero out of zero, is taken for 0. A metric of one's own that answers NaN there
# is passed over instead, and the difference is 0.0: neither answer says that there is none.
# debias: a rate without a denominator is undefined, and a comparison with it is not made.
#
# Output seen:
#   by group {'A': 1.0, 'B': 0.0}
#   equalized odds difference 1.0
#   with NaN for zero out of zero 0.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet fairlearn==0.15.0 scikit-learn==1.9.1
cat > "$work/try.py" <<'PYTHON'
import math

from fairlearn.metrics import MetricFrame, equalized_odds_difference, true_positive_rate

truth = [1, 1, 0, 0, 0, 0, 0, 0]
group = ["A"] * 4 + ["B"] * 4
given = {"y_true": truth, "y_pred": truth, "sensitive_features": group}


def undefined_is_nan(y_true, y_pred):
    return true_positive_rate(y_true, y_pred) if sum(y_true) else math.nan


by_group = MetricFrame(metrics=true_positive_rate, **given).by_group.to_dict()
odds = equalized_odds_difference(truth, truth, sensitive_features=group)
passed_over = MetricFrame(metrics=undefined_is_nan, **given).difference()
print("by group", by_group)
print("equalized odds difference", odds)
print("with NaN for zero out of zero", passed_over)
assert by_group == {"A": 1.0, "B": 0.0} and odds == 1.0 and passed_over == 0.0, "it has changed"
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
