"""Prefect flows: order, retries and schedules; no arithmetic."""
