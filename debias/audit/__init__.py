"""How representative a data set is: who is missing, how sure that is, and what to collect.

Where to look:

- without anything to compare with: ``cells`` (how evenly the latent space is populated),
  ``directions``, ``valley`` and ``thin`` (small parts that stand apart), ``clusters``,
  ``latent_map``
- against a second set: ``two_samples`` (do they differ), ``shortfall`` (where, and by how many
  images), ``drift`` (two versions of one set)
- where attributes are annotated: ``shares_file``, ``declared``, ``groups`` (put together from
  ``group_shares``, ``group_losses``; ``group_rows`` is what comes out,
  ``group_sentences`` what it means)
- what comes out: ``sections`` and ``wording`` of the document, ``audit_report``
- a rebalanced set: ``even_subset``, ``resampling``

``debias.audit(store, latents)`` puts all of it together, in ``debias/auditing.py``.
"""

import sys
from types import ModuleType
from typing import Any

from debias.audit.audit_report import AuditReport
from debias.audit.rules import AuditRules

__all__ = ["AuditReport", "AuditRules"]


class _Audit(ModuleType):
    """This module, which can be called: the room and what it is for have the same name."""

    def __call__(self, *arguments: Any, **settings: Any) -> AuditReport:  # noqa: ANN401
        """See :func:`debias.auditing.audit`."""
        from debias.auditing import audit

        return audit(*arguments, **settings)


sys.modules[__name__].__class__ = _Audit
