"""From what a data set lists to decoded faces in memory-mapped shards."""

from debias.ingest.build import Decoded, check_share, without_duplicates, write_shards
from debias.ingest.decode import hash_files, read_files
from debias.ingest.labels import UNKNOWN, classes_of, encoded
from debias.ingest.selection import Filters, Selection, drawn_evenly, keep, split

__all__ = [
    "UNKNOWN",
    "Decoded",
    "Filters",
    "Selection",
    "check_share",
    "classes_of",
    "drawn_evenly",
    "encoded",
    "hash_files",
    "keep",
    "read_files",
    "split",
    "without_duplicates",
    "write_shards",
]
