"""Only what a child of ours would say is believed."""

import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debias.decoding.cropping import Square
from debias.decoding.protocol import (
    Item,
    Kept,
    NonsenseError,
    Refused,
    message,
    packed,
    received,
    records_of,
    unpacked,
)
from debias.decoding.rules import Place

DIGEST = "0123456789abcdef" * 4
REFUSED = ["not decodable", "broken", DIGEST, 12, "JPEG", [3, 4]]


@given(
    path=st.binary(),
    offset=st.integers(-(2**63), 2**63),
    length=st.none() | st.integers(),
    crop=st.none() | st.builds(Square, *[st.floats(allow_nan=False)] * 4),
)
@settings(max_examples=100, deadline=None)
def test_a_request_arrives_as_it_was_sent(path, offset, length, crop):
    items = [Item(Place(path, offset, length), crop)] * 2
    stream = io.BytesIO(packed(items) + packed([]))
    assert unpacked(received(stream.read)) == items
    assert unpacked(received(stream.read)) == []
    assert received(stream.read) is None


def test_a_request_about_a_square_that_is_not_finite_arrives():
    items = [Item(Place(b"x"), Square(float("nan"), float("inf"), 1.0, 0.0))]
    square = unpacked(received(io.BytesIO(packed(items)).read))[0].crop
    assert (str(square.x), square.y) == ("nan", float("inf"))


def test_records_are_read_back():
    values = [[DIGEST, ""], [DIGEST, "greyscale, enlarged"], REFUSED]
    again = json.loads(message(values)[4:])
    assert records_of(again, 3) == [
        Kept(DIGEST, ""),
        Kept(DIGEST, "greyscale, enlarged"),
        Refused("not decodable", "broken", DIGEST, 12, "JPEG", (3, 4)),
    ]
    assert records_of([["file missing", "gone", "", None, "", None]], 1) == [
        Refused("file missing", "gone")
    ]


def changed(position, value):
    return [*REFUSED[:position], value, *REFUSED[position + 1 :]]


@pytest.mark.parametrize(
    "value",
    [
        None, 7, "x", {}, [], [[]], [[DIGEST]], [[DIGEST, "", ""]], [{"sha256": DIGEST}],
        [[DIGEST, ""], [DIGEST, ""]], [[DIGEST[:-1], ""]], [[DIGEST[:-1] + "g", ""]],
        [[7, ""]], [[DIGEST, "praise"]], [[DIGEST, None]], [[DIGEST, ["greyscale"]]],
        [[DIGEST, "greyscale, "]], [changed(0, "because")], [changed(0, None)], [changed(0, [])],
        [changed(1, "x" * 201)], [changed(1, "two\nlines")], [changed(1, "\u202eright to left")],
        [changed(1, "\ud800")], [changed(1, None)], [changed(2, "short")], [changed(2, None)],
        [changed(3, -1)], [changed(3, 1.5)], [changed(3, True)], [changed(3, 2**70)],
        [changed(4, "<script>")], [changed(4, None)], [changed(5, [3])], [changed(5, [3, -4])],
        [changed(5, "34")], [changed(5, [3, 4, 5])], [changed(5, [3, None])],
    ],
    ids=repr,
)  # fmt: skip
def test_nonsense_is_recognised(value):
    with pytest.raises(NonsenseError):
        records_of(value, 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(value=JSON, count=st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_no_json_confuses_the_parent(value, count):
    try:
        records = records_of(value, count)
    except NonsenseError:
        return
    assert len(records) == count
