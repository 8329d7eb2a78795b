"""Takes a person out of everything that was made here, as far as it can be reached.

Where to look:

- ``traces`` (what names a person), ``holdings`` (where they stand), ``unreached`` (what nobody here
  can change)
- ``scrubbing`` (tables and JSON without them), ``recounting`` (the account of a store),
  ``rewriting`` (artifacts sealed anew), ``published`` (tracked files)
- ``removal`` puts it together; ``journal`` and ``swapping`` let a purge that was killed be finished
"""

from debias.pipeline.purging.removal import Purged, purge

__all__ = ["Purged", "purge"]
