"""The study, for prefect.yaml and for `python -m flows.study_latents configs/study-drawn.yaml`."""

from debias.flows.study_latents import study_latents
from debias.flows.tasks import main

if __name__ == "__main__":
    main(study_latents)
