"""The Evaluate job: scores a model artifact on the test records, as it will be served.

__main__             the command: arguments, figures, and what is written
artifact             loads an artifact through the handler that ships inside it
test_set             reads the test records
champion             the paired comparison with the version approved now
out_of_distribution  drawn photos of other things
picture              evaluation.png
"""
