"""Everything s3plan shows: plans, items, runs, errors; for people and as JSON.

The only code that prints. Data goes to standard output; progress, questions and logs go to standard
error. Object keys and messages are untrusted text and pass through ``views.text`` first.
"""
