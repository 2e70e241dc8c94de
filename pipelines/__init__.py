"""The SageMaker pipeline: parameters, definition, and the runner that uploads, upserts, starts and follows it."""
