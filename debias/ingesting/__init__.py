"""From what a data set lists to decoded faces in memory-mapped shards, with a full account.

``build`` makes a store, in the order in which samples travel: ``decoded`` (listed, filtered, read)
with ``parts`` on disk; ``quarantine`` (what was set aside, and for whom); ``duplicates`` with
``lookalikes``; ``labels``; ``splitting``; ``account``. ``rules`` and ``selection`` are what a user
decides.
"""
