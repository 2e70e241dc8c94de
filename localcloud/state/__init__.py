"""What a local cloud stores on disk and publishes to EventBridge, CloudWatch and its logs.

credentials       the owner's access key
store             documents in SQLite
retried_writes    writes to the store that are repeated until they succeed
damage            finds files that something has damaged
s3_addresses      bucket and key of the addresses that SageMaker takes
events            SageMaker's events on the default bus, delivered at least once
logs              lines to CloudWatch Logs in batches
embedded_metrics  metrics that functions print as JSON
server_log        the server's own log, bounded in rate and size
periodic          publishes what was gathered every few seconds
"""
