"""Checks of the exercises, one module for each chapter: is the answer right, and why?"""
