"""Answers to be labelled, their labels, and what a judge says of the same answers.

Taught in chapter 8; the files are in ``corpus/labels``.
"""
