"""Resilience: what keeps one bad server from becoming everybody's problem.

    breaker      stop sending to a server that fails; probe it gently
    outlier      eject the server that is worse than its peers
    retry        how often and how soon to send again, and what that may cost in all
    hedge        when a slow call is worth a second attempt
    admission    who goes first when every server is full
    rate         how often a server may be called
    settings     which of these are on

Pure: `now` and `rng` are given, nothing reads a clock or starts a timer. Each object knows one server, one
tool or one queue; the dispatcher asks them, and does what they say.
"""
