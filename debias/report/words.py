"""Names and numbers as a reader sees them; everything foreign is cleaned here first."""

import math
import re
import unicodedata
from calendar import month_name
from datetime import datetime
from numbers import Real
from typing import Any, TypeGuard

import numpy as np

from debias.metrics.words import decimals
from debias.report.documents import Weights
from debias.statistics.groupings import UNKNOWN
from debias.storage.files import amount as amount

UNDEFINED = "undefined"
TIMES = "\N{MULTIPLICATION SIGN}"
NAME_SHOWN = 120  # characters of a file's name; both of its ends tell something
# Characters without a look of their own, or with one that changes that of their neighbours.
INVISIBLE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def clean(text: str) -> str:
    """Make foreign text printable: no control, bidi or unpaired surrogate characters."""
    text = re.sub(r"[\ud800-\udfff]", "\ufffd", text)
    text = re.sub(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufffe\uffff]", "", text)
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)


def shown(text: object, limit: int = NAME_SHOWN) -> str:
    r"""Print the name of a file so that it can be told from every other, on one line.

    Args:
        text: Any name; what cannot be seen stands there as ``\u202e``.
        limit: Longest result, in characters; the middle is left out.
    """
    name = "".join(_visible(character) for character in str(text))
    if len(name) <= limit:
        return name
    half = (limit - 1) // 2
    return f"{name[:half]}…{name[-half:]}"


def _visible(character: str) -> str:
    if unicodedata.category(character) not in INVISIBLE:
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_label(text: object, limit: int = 80) -> str:
    r"""Make foreign text safe as a matplotlib label.

    Matplotlib reads ``$...$`` as mathematics, hides legend entries that start with ``_`` and
    fails on unpaired surrogates.

    Args:
        text: Any name.
        limit: Longest result, in characters, the backslashes of ``\$`` included.
    """
    label = " ".join(clean(str(text)).split()).replace("$", r"\$")
    if label.startswith("_"):
        label = f" {label}"
    if len(label) > limit:
        label = f"{label[: limit - 1].rstrip(chr(92))}…"
    return label


def is_number(value: object) -> TypeGuard[float]:
    """Whether there is a finite number to print."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, kind: str = "plain") -> str:  # noqa: ANN401 (a field of the document)
    """Print a number in fixed English notation; anything else is "undefined", never 0.

    Args:
        value: A number, None or NaN.
        kind: ``percent`` (0.823 -> 82.3%), ``points`` and ``change`` (0.043 -> 4.3, the second
            always signed; 0.0004 -> 0.04, as no difference may show as zero), ``signed``
            (+0.0123), ``count`` (1,000), ``times`` (9.1x), ``seconds``, ``auc`` (0.93), ``plain``
            (four significant digits), ``variance`` (-0.00006), ``level`` (0.99934 -> 99.93%) or
            ``p`` (a probability; < 0.001).
    """
    if not is_number(value):
        return UNDEFINED
    value = float(value)
    printed = {
        "percent": lambda: f"{100 * value:.1f}%",
        "points": lambda: f"{100 * value:.{decimals(value)}f}",
        "change": lambda: f"{100 * value:+.{decimals(value)}f}" if value else "0.0",
        "signed": lambda: f"{value:+.3g}",
        "count": lambda: _count(value),
        "times": lambda: f"{value:.3g}{TIMES}",
        "seconds": lambda: duration(value),
        "auc": lambda: f"{value:.2f}",
        "plain": lambda: f"{value:.4g}",
        "variance": lambda: f"{value:.5f}",
        "level": lambda: f"{100 * value:.6g}%",
        "p": lambda: f"{value:.3f}" if value >= 0.001 else "< 0.001",
    }[kind]()
    return printed.replace("-", "\N{MINUS SIGN}")


def _count(value: float) -> str:
    """A mean of counts has decimals only while they matter: there is no third of an image."""
    return f"{value:,.1f}" if value < 10 and value != round(value) else f"{value:,.0f}"


def duration(seconds: float) -> str:
    """Print seconds the way people say them."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def day(moment: str) -> str:
    """Print an ISO moment as a date and a time; anything else as it is."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        return moment
    month = month_name[parsed.month]
    return f"{parsed.day} {month} {parsed.year}, {parsed:%H:%M} {parsed.tzname() or ''}".rstrip()


def words(name: str) -> str:
    """Turn an identifier into words."""
    return name.replace("_", " ")


PLAIN = "erm"
LABELS = {
    "no": "no group annotation is used",
    "selection": "group annotations of validation images are used",
    "training": "uses the group annotations",
}


def arm_name(arm: str) -> str:
    known = {
        "uniform": "Plain training",
        "latent": "Latent weights",
        "generated": "Generated images",
        "reference": "Reference weights",
        "elsewhere": "Groups annotated elsewhere",
        "partial": "Partial groups",
        "groups": "Group weights",
    }
    return known.get(arm, arm)


MEANINGS = {
    "reference_ratio": "drawn to look like an unlabelled reference; no group annotation is used",
    "elsewhere": "groups are learned from another collection; no annotation here is used",
}


def arm_meaning(arm: str, weights: Weights) -> str:
    """Say in half a sentence what an arm does, given the figures of its weights."""
    if weights.get("objective", PLAIN) != PLAIN:
        drawn = "" if weights["rule"] == "uniform" else " on its weights"
        drawn = " on weights that it makes anew every epoch" if "by_epoch" in weights else drawn
        return f"trained by {weights['objective']}{drawn}; {LABELS[weights['group_labels']]}"
    if arm == "uniform" or weights.get("rule") == "uniform":
        return "every training image is drawn equally often"
    if made := weights.get("generated"):
        images = f"{number(made['images'], 'count')} generated images beside the real ones"
        return f"trained with {images}; {LABELS['training' if weights['uses_groups'] else 'no']}"
    if meaning := MEANINGS.get(weights.get("rule", "")):
        return meaning
    if weights.get("estimated"):
        return f"{number(weights['annotated'], 'count')} annotated images; other groups estimated"
    if weights.get("uses_groups") is None:
        return "another way of drawing the training images"
    if weights["uses_groups"]:
        return "uses the group annotations: what weights could do if groups were known"
    return "rare faces are drawn more often; no group annotation is used"


def attribute_name(attribute: str) -> str:
    """Turn ``a x b`` into words with a proper sign."""
    return f" {TIMES} ".join(words(part) for part in attribute.split(" x "))


def group_name(attribute: str, group: str) -> str:
    """Shorten ``a:x x b:y`` to ``x`` times ``y``; a name of another form is kept whole."""
    separators = [f"{part}:" for part in attribute.split(" x ")]
    pattern = " x ".join(f"{re.escape(separator)}(.+?)" for separator in separators)
    found = re.fullmatch(pattern, group, flags=re.DOTALL)
    return f" {TIMES} ".join(map(_value, found.groups())) if found else group


def full_group_name(group: str) -> str:
    """Print a group together with its attributes, for a sentence."""
    return f" {TIMES} ".join(
        f"{words(attribute)}: {_value(value)}" if value else attribute
        for attribute, _, value in (part.partition(":") for part in group.split(" x "))
    )


def _value(value: str) -> str:
    return "no group label" if value == UNKNOWN else value


def quantity_name(quantity: str) -> str:
    known = {
        "accuracy": "overall accuracy",
        "accuracy_gap": "accuracy gap, best to worst group",
        "worst_group_accuracy": "accuracy of the worst group",
    }
    figure, _, group = quantity.partition("/")
    named = known.get(figure, words(figure))
    return f"{named} of {full_group_name(group)}" if group else named


def plain_value(value: Any) -> Any:  # noqa: ANN401 (raw configuration)
    """Turn a configuration into what JSON can hold."""
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
