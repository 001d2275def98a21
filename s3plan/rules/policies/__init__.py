"""Bucket policies as IAM means them: normal form, difference, evaluation, checks. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""
