"""Endpoints at work: model server processes, the requests to them, and data capture."""
