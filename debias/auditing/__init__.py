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

from debias.auditing.audit_report import AuditReport
from debias.auditing.rules import AuditRules

__all__ = ["AuditReport", "AuditRules"]
