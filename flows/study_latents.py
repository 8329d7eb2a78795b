"""The study, for prefect.yaml and for `python -m flows.study_latents configs/study-drawn.yaml`."""

import sys

from debias.flows.study_latents import study_latents

if __name__ == "__main__":
    study_latents(recipe="".join(sys.argv[1:2]))
