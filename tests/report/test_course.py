"""A run's steps by time: who noted them, and where they stand in the picture."""

import subprocess
import sys
import time

import numpy as np
import pytest
from counting import Counting
from test_report_charts import HOSTILE, drawn, written

from debias.processes import resident
from debias.report.charts.course import STEPS_DRAWN, WIDTH, course_chart
from debias.report.charts.style import svg
from debias.tracking import profile
from debias.tracking.profile import Profile, Seats, Span
from debias.tracking.tracker import Progress

NOTHING = np.zeros((0, 2))


def step(title, begin, end, worker="", reused=False):
    return Span(title, float(begin), float(end), worker, reused)


def bars(axes):
    """Row, begin and length of every bar, in the order in which they were drawn."""
    return [(round(one.get_y() + 0.35), one.get_x(), one.get_width()) for one in axes.patches]


def test_a_step_lasts_to_its_last_word_and_is_over_when_the_next_begins():
    spans = [step("Faces", 1, 2), step("Weights", 4, 4, reused=True), step("Report", 5, 8)]
    memory, steps = drawn(course_chart(spans, NOTHING, 10.0)).axes
    assert bars(steps) == [(0, 1, 1), (0, 2, 2), (2, 5, 3), (2, 8, 2)]
    assert steps.get_xlim() == (0, 10)
    assert [one.get_text() for one in steps.texts] == ["reused"]
    assert [one.get_text() for one in memory.texts] == ["this system does not say"]


def test_what_a_worker_did_ends_where_its_own_next_begins():
    spans = [step("Faces", 0, 1), step("a", 1, 3, "0"), step("b", 2, 4, "1"), step("c", 6, 8, "0")]
    steps = drawn(course_chart(spans, NOTHING, 9.0)).axes[1]
    assert bars(steps)[1::2] == [(0, 1, 0), (1, 3, 3), (2, 4, 5), (3, 8, 1)]
    colours = [one.get_facecolor()[:3] for one in steps.patches[::2]]
    assert colours[1] == colours[3]
    assert len(set(colours)) == 3


def test_memory_is_drawn_in_gib():
    memory = np.array([[0, 2**30], [5, 3 * 2**30]], dtype=float)
    axes = drawn(course_chart([step("Faces", 0, 1)], memory, 6.0)).axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[0, 1], [5, 3]]


def test_of_many_steps_the_longest_are_drawn_and_the_others_counted():
    spans = [step(f"step {one}", one, one + 0.5 + one % 2 / 4) for one in range(100)]
    chart = written(svg(*_sized(course_chart(spans, NOTHING, 100.0))))
    assert sum(one.startswith("step ") for one in chart) == STEPS_DRAWN
    assert "step 99" in chart
    assert "20 shorter steps are not drawn" in " ".join(chart)


def _sized(drawing):
    return drawing[0], WIDTH, drawing[1]


def test_any_name_of_an_arm_is_drawn():
    spans = [step(one, number, number + 1) for number, one in enumerate(HOSTILE)]
    assert b"<script" not in svg(*_sized(course_chart(spans, NOTHING, 9.0)))


def test_what_is_told_is_noted_and_passed_on():
    watching = Counting()
    with Profile(watching) as found:
        assert isinstance(found, Progress)
        assert isinstance(found, Seats)
        advance = found.start("Faces", 2)
        advance("", 1)
        time.sleep(0.05)
        advance("", 1)
        found.start("Classifier", 1)
        found.by("Classifier", "tcp://1")
        found.reused("Weights")
        found.note("a word")
    assert (watching.started, watching.kept, watching.notes) == (
        ["Faces", "Classifier"], ["Weights"], ["a word"],
    )  # fmt: skip
    first, second, third = found.spans
    assert 0.05 <= first.end - first.begin < found.took
    assert (second.worker, second.begin) == ("tcp://1", second.end)
    assert third.reused


def test_memory_of_processes_below_is_counted(monkeypatch):
    before, code = resident(), "import time; held = bytearray(200 << 20); time.sleep(30)"
    if before is None:
        pytest.skip("this system does not say")
    assert before > 20 << 20
    with subprocess.Popen([sys.executable, "-S", "-c", code]) as child:
        end = time.monotonic() + 10
        while (now := resident()) - before < 190 << 20 and time.monotonic() < end:
            time.sleep(0.05)
        child.kill()
    assert now - before > 190 << 20


def test_a_long_run_keeps_few_looks_at_its_memory(monkeypatch):
    monkeypatch.setattr(profile, "FIRST", 0.0005)
    monkeypatch.setattr(profile, "MOST", 10)
    monkeypatch.setattr(profile, "resident", lambda: 1)
    with Profile(Counting()) as found:
        time.sleep(0.3)
    assert 5 <= len(found.memory) < 10
    assert found.memory[-1][0] > 0.05
