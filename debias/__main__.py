"""``python -m debias``."""

from debias.commands import app

app(prog_name="debias")
