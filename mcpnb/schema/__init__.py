"""JSON Schemas of strangers, judged quickly and without danger: of what tools take, and of what they answer.

Pure. Whoever is not told yes here asks a full validator.
"""
