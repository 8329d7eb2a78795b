"""From what a data set lists to decoded faces in memory-mapped shards, with a full account.

Where to look, in the order in which samples travel:

- ``rules`` (what a user decides), ``selection`` (filters), ``framing`` (which part of the image)
- ``parts`` (decoded images on disk, resumable), ``known`` (decoded before)
- ``quarantine`` with ``rejection_rates`` (what was set aside, and whether that hit some groups
  more than others)
- ``duplicates`` (copies, clusters, contradicting labels); ``near``, with ``details``,
  ``near`` and ``lookalikes`` (the same photograph in another file)
- ``labels`` with ``columns`` (classes and attribute texts)
- ``splitting`` with ``units`` (people and duplicates on one side), ``leakage`` (the last check)
- ``shards`` (the chosen rows)
"""

from debias.ingesting.duplicates import clusters, conflicts, exact_pairs, kept_rows
from debias.ingesting.framing import framed
from debias.ingesting.known import Known, Source, known
from debias.ingesting.labels import attribute_texts, classes_of, encoded
from debias.ingesting.leakage import leaks, require_no_leak
from debias.ingesting.near import RULE as NEAR_RULE
from debias.ingesting.near import near_pairs
from debias.ingesting.parts import BAD_LUCK, NOTES, Decoded, Listing, decode_parts
from debias.ingesting.quarantine import read_quarantine, require_within, summarise, write_quarantine
from debias.ingesting.rejection_rates import DUPLICATE, LEAKS, NO_FAILURES, STRANGERS
from debias.ingesting.rules import IngestRules
from debias.ingesting.selection import Filters, Selection, drawn_evenly, keep
from debias.ingesting.shards import write_shards
from debias.ingesting.splitting import split, without_leaks
from debias.ingesting.units import linked_people

__all__ = [
    "BAD_LUCK",
    "DUPLICATE",
    "LEAKS",
    "NEAR_RULE",
    "NOTES",
    "NO_FAILURES",
    "STRANGERS",
    "Decoded",
    "Filters",
    "IngestRules",
    "Known",
    "Listing",
    "Selection",
    "Source",
    "attribute_texts",
    "classes_of",
    "clusters",
    "conflicts",
    "decode_parts",
    "drawn_evenly",
    "encoded",
    "exact_pairs",
    "framed",
    "keep",
    "kept_rows",
    "known",
    "leaks",
    "linked_people",
    "near_pairs",
    "read_quarantine",
    "require_no_leak",
    "require_within",
    "split",
    "summarise",
    "without_leaks",
    "write_quarantine",
    "write_shards",
]
