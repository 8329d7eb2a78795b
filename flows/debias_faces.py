"""The main job, for prefect.yaml and for `python -m flows.debias_faces configs/demo.yaml`."""

from debias.flows.debias_faces import debias_faces
from debias.flows.tasks import main

if __name__ == "__main__":
    main(debias_faces)
