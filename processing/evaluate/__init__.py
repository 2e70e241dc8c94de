"""The Evaluate job: scores a model artifact on the test records, as it will be served.

__main__             the command: arguments, what is asked, and what is written
artifact             unpacks an artifact and reads what it says of itself
answers              asks an artifact's handler, in a process of its own
report               works out evaluation.json
costs                what a thousand photos cost at each threshold
recent               the photos that people labelled, and no version is trained on
champion             the paired comparison with the version approved now
out_of_distribution  figures on photos of other things
drawn                eleven kinds of drawn pictures of other things
picture              evaluation.png
verification         labelled photos and their answers, with which a deployment is checked
"""
