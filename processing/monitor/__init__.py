"""The Monitor job: figures and pictures of what an endpoint was asked and answered.

__main__    the command: arguments, and from captures to outputs
lines       reads folders of JSON lines that others wrote
captures    captured requests and answers, as a table
label_lines the lines of label files, in each form that is written
labels      what the photos really showed
labelled    the labelled photos one by one, to learn from
sure_ones   a sample of the accepted answers, for people to look at
estimates   shares of the whole stream, with intervals
photos      what the photos of the stream look like
figures     monitoring.json
drift       how the confidence differs from that on the test photos
violations  constraint_violations.json
panels      the parts of the pictures
reports     stream.png and report.png
"""
