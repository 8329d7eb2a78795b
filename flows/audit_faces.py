"""The audit, for prefect.yaml and for `python -m flows.audit_faces configs/utkface.yaml`."""

from debias.flows.audit_faces import audit_faces
from debias.flows.tasks import main

if __name__ == "__main__":
    main(audit_faces)
