"""The Monitor job: figures and pictures of what an endpoint was asked and answered.

__main__  the command: arguments, and from captures to outputs
captures  reads captured requests and answers, and labels
drift     shares, accuracy and drift
panels    the parts of the pictures
reports   stream.png and report.png
"""
