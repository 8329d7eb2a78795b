"""Find and mitigate representation bias in face data sets without group labels."""

__version__ = "0.1.0"
__all__ = ["__version__"]
