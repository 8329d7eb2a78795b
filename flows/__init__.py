"""The flows as Prefect loads them from this folder; their code lies in debias/flows/."""
