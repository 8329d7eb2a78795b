"""Somebody who watches a run and notes what it did."""


class Counting:
    """Which stages ran, and which were found finished."""

    def __init__(self):
        self.started, self.kept, self.notes = [], [], []

    def start(self, title, total):
        self.started.append(title)
        return lambda note, steps=1: None

    def reused(self, title):
        self.kept.append(title)

    def note(self, text):
        self.notes.append(text)
