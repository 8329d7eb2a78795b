"""How representative a data set is."""

from debias.audit.rules import AuditRules

__all__ = ["AuditRules"]
