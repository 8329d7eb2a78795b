"""How representative a data set is: who is missing, how sure that is, and what to collect.

Where to look:

- without anything to compare with: ``coverage`` (how evenly the latent space is populated, its
  clusters and map), ``thin`` (small parts that stand apart), ``galleries``, ``fidelity``
- against a second set: ``two_samples`` (do they differ), ``shortfall`` (where, and by how many
  images; two versions of one set)
- where attributes are annotated: ``shares_file``, ``groups``
- what comes out: ``audit_report``, and in words ``words`` with ``sentences.toml``
- before anything is trained: ``diagnosis`` (is a group rare, or the label tied to a column),
  ``unannotated`` (the same by where a plain model errs)
- a rebalanced set: ``subsets``, ``before_after``

``debias.audit(store, latents)`` puts all of it together, in ``audit``.
"""

from debias.auditing.audit_report import AuditReport
from debias.auditing.rules import AuditRules

__all__ = ["AuditReport", "AuditRules"]
