"""What a run concludes, and what it leaves open."""

from dataclasses import replace

import numpy as np
import pytest

from debias.metrics import compare, evaluate
from debias.pipeline.findings import concluded, not_concluded

TRUTH = np.arange(200) % 2
PLAIN = evaluate(TRUTH, TRUTH, groups={"tone": np.repeat(["dark", "light"], 100)})
COMPARED = compare(PLAIN, PLAIN)


def comparison(reading="difference_found", harms=(), gains=()):
    told = "Harm: x. " if harms else "Gain: y. " if gains else ""
    verdict = {"reading": reading, "harms": harms, "gains": gains, "trades": []}
    verdict["sentence"] = f"{told}Verdict."
    return replace(COMPARED, verdict=verdict)


FAIRNESS = {"uniform": PLAIN}
OF_PLAIN = f"Plain training: {PLAIN.verdict.sentence}"
ARMS = {"latent": comparison(gains=["y"]), "groups": comparison(harms=["x"])}


def test_harm_comes_first_and_gains_are_told_as_plainly():
    assert concluded({}, FAIRNESS, ARMS) == [
        "Arm 'groups' against plain training: Harm: x. Verdict.",
        "Arm 'latent' against plain training: Gain: y. Verdict.",
        OF_PLAIN,
    ]


def test_gains_without_a_verdict_are_told_and_silence_is_no_conclusion():
    few = {"latent": comparison("cannot_tell", gains=["y"]), "groups": comparison("cannot_tell")}
    assert concluded({}, FAIRNESS, few)[0].startswith("Arm 'latent'")
    left_open = " ".join(not_concluded(1, few))
    assert "Arm 'groups' against" in left_open
    assert "Arm 'latent' against" not in left_open
    assert "a single run" in left_open
    assert "Arm 'groups': accuracy changed by 0.0 percentage points" in left_open


@pytest.mark.parametrize(
    ("failed", "left"),
    [
        (["uniform"], []),
        (["latent"], ["groups"]),
        (["groups"], ["latent"]),
    ],
)
def test_nothing_is_concluded_from_an_arm_that_learned_nothing(failed, left):
    said = concluded({}, FAIRNESS, ARMS, failed)
    assert [text.split("'")[1] for text in said if "against" in text] == left
    assert (OF_PLAIN in said) == (failed != ["uniform"])
    assert f"under arm '{failed[0]}'" in not_concluded(5, ARMS, failed)[0]
