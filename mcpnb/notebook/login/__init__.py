"""Logging in from a notebook: the panel that asks, the verbs, and what the dashboard shows of logins."""
