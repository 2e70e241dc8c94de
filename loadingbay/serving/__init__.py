"""Sends photos to the deployed application, and reads its answers, state, captured requests and logs.

- `photos`: classifies photos, one Step Functions execution each
- `trace`: the way of one photo through the state machine
- `bulk`: classifies all photos below an S3 prefix, by a map run
- `transform`: classifies all photos below an S3 prefix, by a batch transform job
- `monitoring`: draws confidence, drift and accuracy of the captured requests
- `recent`: the newest captured answers
- `observe`: status and logs
"""
