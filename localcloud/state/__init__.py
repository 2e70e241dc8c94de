"""What a local cloud keeps and publishes.

credentials       the owner's access key
store             documents in SQLite
events            SageMaker's events on the default bus, delivered at least once
logs              lines to CloudWatch Logs in batches
embedded_metrics  metrics that functions print as JSON
server_log        the server's own log, bounded in rate and size
periodic          publishes what was gathered every few seconds
"""
