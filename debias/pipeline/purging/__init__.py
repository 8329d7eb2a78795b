"""Takes a person out of everything that was made here, as far as it can be reached.

Where to look:

- ``traces`` (what names a person), ``holdings`` (where they stand)
- ``rebuilt`` (a store without them), ``published`` (tracked files)
- ``removal`` puts it together
"""

from debias.pipeline.purging.removal import Purged, purge

__all__ = ["Purged", "purge"]
