"""This room under a name that the function :func:`debias.ingest` does not have as well."""

from debias.ingest import *  # noqa: F403 (every name of the room)
