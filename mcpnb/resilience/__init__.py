"""Resilience: what keeps one bad server from becoming everybody's problem.

Pure: `now` and `rng` are given.
"""
