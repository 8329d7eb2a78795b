import json
import stat
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import debias
from debias.errors import EmptyDatasetError, GroupSchemaError, QuarantineLimitExceededError
from debias.ingesting.account import more_than_usual
from debias.ingesting.quarantine import (
    QuarantineLimits,
    fisher,
    read_quarantine,
    require_within,
    summarise,
    write_quarantine,
)
from debias.ingesting.rules import IngestRules
from debias.statistics.intervals import holm
from debias.types import Rejected

LIMITS = QuarantineLimits()


def rejected(name, reason="not decodable", **more) -> Rejected:
    return Rejected(sample_id=name, path=f"/{name}", reason=reason, detail="cut off", **more)


def table(size=12) -> pd.DataFrame:
    rows = range(size)
    return pd.DataFrame(
        {
            "sample_id": [f"s{row}" for row in rows],
            "tone": [["dark", "light"][row % 2] for row in rows],
            "gender": [["f", "m", None][row % 3] for row in rows],
            "subject_id": [f"p{row // 2}" for row in rows],
        }
    )


class TestFile:
    def test_a_record_holds_what_is_known(self, tmp_path):
        path = tmp_path / "quarantine.jsonl"
        items = [
            rejected("s2", sha256="ab", size=7, format="PNG", dimensions=(3, 4)),
            rejected("gone", "file missing"),
        ]
        write_quarantine(path, items, table(), ["tone", "gender"])
        assert read_quarantine(path) == [
            {
                "sample_id": "gone", "path": "/gone", "sha256": None, "bytes": None,
                "reason": "file missing", "detail": "cut off", "format": None, "dimensions": None,
                "subject_id": None, "groups": {}, "version": debias.__version__,
            },
            {
                "sample_id": "s2", "path": "/s2", "sha256": "ab", "bytes": 7,
                "reason": "not decodable", "detail": "cut off", "format": "PNG",
                "dimensions": [3, 4], "subject_id": "p1",
                "groups": {"tone": "dark", "gender": "unknown"}, "version": debias.__version__,
            },
        ]  # fmt: skip
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def test_nothing_set_aside_is_an_empty_file(self, tmp_path):
        write_quarantine(tmp_path / "q.jsonl", [], table(), ["tone"])
        assert read_quarantine(tmp_path / "q.jsonl") == []

    def test_the_order_of_the_items_does_not_matter(self, tmp_path):
        items = [rejected("s3"), rejected("s1"), rejected("gone")]
        for name, these in [("a", items), ("b", items[::-1])]:
            write_quarantine(tmp_path / f"{name}.jsonl", these, table(), ["tone"])
        assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()

    def test_an_attribute_that_is_not_there(self, tmp_path):
        with pytest.raises(GroupSchemaError, match="no column 'age'"):
            write_quarantine(tmp_path / "q.jsonl", [], table(), ["age"])

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(text=st.text(st.characters(codec=None, exclude_categories=[]), max_size=30))
    def test_any_text_survives(self, tmp_path_factory, text):
        path = tmp_path_factory.mktemp("q") / "q.jsonl"
        item = Rejected(sample_id=text, path=text, reason=text or "r", detail=text, format=text)
        listed = pd.DataFrame({"sample_id": pd.Series([text], dtype=object)})
        listed["tone"] = pd.Series([text], dtype=object)
        write_quarantine(path, [item], listed, ["tone"])
        (line,) = path.read_bytes().decode().splitlines()
        record = json.loads(line)
        written = text.encode(errors="backslashreplace").decode()
        assert (record["path"], record["detail"]) == (written, written)
        json.dumps(record, ensure_ascii=False).encode()  # no half characters anywhere

    def test_the_longest_and_the_worst_names(self, tmp_path):
        names = ["n" * 4096, "\x00", "\u202e<b>\u2028", "\ud800", "'; DROP"]
        items = [rejected(name) for name in names]
        write_quarantine(tmp_path / "q.jsonl", items, table(), [])
        paths = {record["path"] for record in read_quarantine(tmp_path / "q.jsonl")}
        assert paths == {f"/{name}" for name in [*names[:3], r"\ud800", names[4]]}


class TestSummary:
    def test_counts_by_hand(self):
        items = [
            rejected("s0"), rejected("s2"), rejected("s1", "exact duplicate"),
            rejected("s3", "also in the test set"), rejected("gone", "file missing"),
            rejected("extra.txt", "not an image file"),
        ]  # fmt: skip
        summary = summarise(items, table(), ["tone"])
        assert (summary.listed, summary.rejected) == (13, 3)
        assert summary.first == items[0]
        dark, light = summary.by_group.to_dict("records")
        assert (dark["group"], dark["listed"], dark["rejected"]) == ("tone:dark", 6, 2)
        assert (dark["share"], dark["times_overall"]) == pytest.approx((1 / 3, 2.0))
        assert dark["example"] == "/s0: cut off"
        assert (light["rejected"], light["duplicates"], light["leaks"]) == (0, 1, 1)
        assert (light["share"], light["times_overall"], light["example"]) == (0, 0, "")
        p = stats.fisher_exact([[2, 4], [0, 6]]).pvalue
        assert dark["p"] == light["p"] == pytest.approx(p)
        assert dark["p_adjusted"] == pytest.approx(min(1, 2 * p))
        assert not dark["flagged"]

    def test_crossed_cells_and_unknown_groups_are_shown(self):
        summary = summarise([rejected("s2")], table(), ["tone", "gender"])
        groups = summary.by_group
        assert groups["attribute"].unique().tolist() == ["tone", "gender", "tone x gender"]
        assert len(groups) == 2 + 3 + 6
        cell = groups.set_index("group").loc["tone:dark x gender:unknown"]
        assert (cell["listed"], cell["rejected"], cell["times_overall"]) == (2, 1, 6.0)
        expected = [
            stats.fisher_exact([[hit, size - hit], [1 - hit, 11 - size + hit]]).pvalue
            for hit, size in zip(groups["rejected"], groups["listed"], strict=True)
        ]
        np.testing.assert_allclose(groups["p"], expected)
        np.testing.assert_allclose(groups["p_adjusted"], holm(np.array(expected)))

    def test_undefined_is_not_zero(self):
        nothing = summarise([], table(), ["tone"]).by_group
        assert nothing[["times_overall", "p", "p_adjusted"]].isna().all(axis=None)
        assert not nothing["flagged"].any()
        alone = summarise([rejected("s0")], table().assign(tone="dark"), ["tone"]).by_group
        assert np.isnan(alone["p"].item())
        assert alone["times_overall"].item() == 1

    def test_no_attributes_no_groups(self):
        summary = summarise([rejected("s0")], table(), [])
        assert summary.by_group.empty
        require_within(summary, LIMITS)

    def test_two_records_of_one_item_count_it_once_in_its_group(self):
        items = [rejected("s0", "exact duplicate"), rejected("s0"), rejected("s0", "took too long")]
        dark = summarise(items, table(), ["tone"]).by_group.iloc[0]
        assert (dark["rejected"], dark["duplicates"]) == (1, 0)

    def test_a_crossing_too_large_to_read_is_left_out(self):
        wide = pd.DataFrame({"sample_id": [f"s{i}" for i in range(10_200)]})
        wide["a"], wide["b"] = np.arange(10_200) % 102, np.arange(10_200) // 102
        groups = summarise([rejected("s0")], wide, ["a", "b", "sample_id"]).by_group
        assert set(groups["attribute"]) == {"a", "b", "sample_id"}

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
    def test_fisher_agrees_with_scipy(self, a, b, c, d):
        p = fisher(np.array([a]), np.array([a + b]), a + c, a + b + c + d)[0]
        if a + c == 0 or c + d == 0:
            assert np.isnan(p)
        else:
            assert p == pytest.approx(stats.fisher_exact([[a, b], [c, d]]).pvalue, rel=1e-9)

    def test_fisher_at_a_million(self):
        hit, size = np.array([40, 4000, 9000]), np.array([1000, 400_000, 999_000])
        expected = [
            stats.fisher_exact([[h, n - h], [10_000 - h, 990_000 - n + h]]).pvalue
            for h, n in zip(hit, size, strict=True)
        ]
        np.testing.assert_allclose(fisher(hit, size, 10_000, 1_000_000), expected, rtol=1e-6)


class TestLimits:
    def summary(self, total, failed, groups=None):
        groups = ["all"] * total if groups is None else groups
        listed = pd.DataFrame({"sample_id": [f"s{i}" for i in range(total)], "g": groups})
        return summarise([rejected(f"s{i}") for i in failed], listed, ["g"])

    def test_a_few_are_always_allowed_and_more_only_as_a_share(self):
        require_within(self.summary(100, range(10)), LIMITS)
        with pytest.raises(QuarantineLimitExceededError, match="3 of 20 items"):
            require_within(self.summary(20, range(3)), LIMITS)  # few, but not of twenty
        require_within(self.summary(1100, range(11)), LIMITS)
        with pytest.raises(QuarantineLimitExceededError) as caught:
            require_within(self.summary(1099, range(11)), LIMITS, Path("/store/quarantine.jsonl"))
        assert str(caught.value) == (
            "11 of 1099 items were set aside, 1.0%, more than 1.0% (11 not decodable): what is "
            "left may not represent the data; first: /s0: cut off; all are listed in "
            "/store/quarantine.jsonl; repair them, or allow it with --most-rejected 0.02 "
            "(ingest.most_rejected)"
        )
        require_within(self.summary(100, range(20)), QuarantineLimits(most_rejected=0.2))

    def test_nothing_left(self):
        with pytest.raises(EmptyDatasetError, match=r"none of 2 items .* first: /s0"):
            require_within(self.summary(2, range(2)), LIMITS)

    def test_one_group_that_is_hit_far_more_often(self):
        groups = ["rare" if i < 300 else "common" for i in range(3000)]
        summary = self.summary(3000, range(9), groups)
        assert summary.by_group.set_index("group")["flagged"].to_dict() == {
            "g:common": False, "g:rare": True,
        }  # fmt: skip
        with pytest.raises(QuarantineLimitExceededError, match=r"^9 of 300 items of g:rare were "):
            require_within(summary, LIMITS)
        with pytest.raises(QuarantineLimitExceededError, match=r"most_group_ratio=\d+$"):
            require_within(summary, LIMITS)
        require_within(summary, QuarantineLimits(most_group_ratio=100))

    def test_an_unequal_rate_that_chance_explains_passes(self):
        groups = ["rare" if i < 300 else "common" for i in range(3000)]
        summary = self.summary(3000, [0, 500], groups)
        rare = summary.by_group.set_index("group").loc["g:rare"]
        assert rare["times_overall"] == pytest.approx(5)
        require_within(summary, LIMITS)

    def test_duplicates_and_files_that_are_no_images_are_no_failures(self):
        listed = table(100)
        items = [rejected(f"s{i}", "exact duplicate") for i in range(50)]
        items += [rejected(f"x{i}.txt", "not an image file") for i in range(50)]
        require_within(summarise(items, listed, ["tone"]), LIMITS)

    def test_items_that_never_came_into_the_table_count_overall(self):
        items = [rejected(f"gone{i}", "file missing") for i in range(11)]
        summary = summarise(items, table(500), ["tone"])
        assert (summary.listed, summary.rejected) == (511, 11)
        with pytest.raises(QuarantineLimitExceededError, match="11 of 511"):
            require_within(summary, LIMITS)

    def test_equal_rates_are_rarely_refused(self):
        """At most one run in twenty by chance; far fewer, because counts are whole numbers."""
        generator = np.random.default_rng(0)
        groups = generator.choice(["a", "b", "c", "d"], 4000, p=[0.7, 0.2, 0.08, 0.02])
        refused = 0
        for _ in range(100):
            failed = generator.choice(4000, 30, replace=False)
            refused += self.summary(4000, failed, groups).by_group["flagged"].any()
        assert refused <= 5


@pytest.mark.parametrize(("count", "told"), [(2, False), (3, True), (10, True)])
def test_a_few_beyond_the_share_pass_and_are_told(count, told):
    listed, rules = table(200), IngestRules()
    lost = [rejected(f"s{row}") for row in range(count)]
    require_within(summarise(lost, listed, []), rules)
    said = more_than_usual({"listed": 200, "rejected": count}, rules)
    assert bool(said) == told
    assert not told or said[0].startswith(
        f"{count} of 200 images ({count / 200:.1%}) were left out"
    )
    if told:
        with pytest.raises(QuarantineLimitExceededError):
            require_within(summarise(lost, listed, []), IngestRules(few=0))
