"""What is sent to the application that serves, and what is seen of it.

- `photos`: classifies photos, one Step Functions execution each
- `bulk`: classifies all photos below an S3 prefix, by a map run
- `transform`: classifies all photos below an S3 prefix, by a batch transform job
- `monitoring`: draws confidence, drift and accuracy of the captured requests
- `observe`: status and logs
"""
