"""The audit, for prefect.yaml and for `python -m flows.audit_faces configs/utkface.yaml`."""

import sys

from debias.flows.audit_faces import audit_faces

if __name__ == "__main__":
    audit_faces(recipe="".join(sys.argv[1:2]))
