"""Every sentence of an audit is used, and every sentence that is used exists."""

import re
from pathlib import Path

import debias.auditing
from debias.auditing.words import SENTENCES

NAMES = {f"{part}.{key}" for part, found in SENTENCES.items() for key in found}
# Named by what was found: a verdict, a limit, a state of groups, a kind of news.
BY_VALUE = {
    *(f"fidelity.{verdict}" for verdict in ("tells_apart", "blurred")),
    *(f"two_samples.{verdict}" for verdict in ("too_few", "told_apart", "not_told_apart")),
    *(f"regions.{name}" for name in ("too_few", "none_found", "found", "more", "compare", "look")),
    *(f"verdicts.{kind}" for kind in ("below", "lowered", "lost")),
    *(f"map.{method}" for method in ("t-SNE", "PCA")),
    *(f"limits.{name}" for name in SENTENCES["limits"]),
    *(f"groups.{kind}" for kind in ("lowered", "cannot_tell", "few", "reached", "missed",
                                    "unclear", "suppressed")),
}  # fmt: skip


def test_sentences_are_those_that_are_said():
    code = "".join(file.read_text() for file in Path(debias.auditing.__file__).parent.glob("*.py"))
    said = {name for name in re.findall(r'"(\w+\.\w+)"', code) if name.split(".")[0] in SENTENCES}
    assert said | BY_VALUE == NAMES
