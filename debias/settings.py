"""The base of every configurable thing: frozen, typed, unknown keys refused."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Values that a person chooses; checked when built, never changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
