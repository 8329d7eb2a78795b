"""Takes a person out of everything that was made here, as far as it can be reached.

Where to look:

- ``traces`` (what names a person), ``holdings`` (where they stand)
- ``rebuilt`` (a store without them), ``published`` (tracked files)
- ``removal`` puts it together, ``result`` says what it did, ``lifting`` lets somebody in again
"""

from debias.pipeline.purging.lifting import forget
from debias.pipeline.purging.removal import purge
from debias.pipeline.purging.result import Purged

__all__ = ["Purged", "forget", "purge"]
