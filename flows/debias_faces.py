"""The main job, for prefect.yaml and for `python -m flows.debias_faces configs/demo.yaml`."""

import sys

from debias.flows.debias_faces import debias_faces

if __name__ == "__main__":
    debias_faces(recipe="".join(sys.argv[1:2]))
