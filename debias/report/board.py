"""What a template prints."""

from typing import Any

View = dict[str, Any]
