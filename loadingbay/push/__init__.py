"""A push on one machine: a clean clone of a commit, and the phases of its buildspec.yml against the local cloud."""
