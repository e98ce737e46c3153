"""All randomness of the servers, in streams of their own, so that adding one leaves the others alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np

from mcpnb.simulation.service import Service, draws


class Streams:
    """Streams that are derived from one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._services: dict[Service, Iterator[float]] = {}
        self.uniform: Callable[[], float] = random.Random(f"{seed} faults").random

    def services(self, service: Service) -> Iterator[float]:
        """The stream of a distribution; it is numbered by when it was first asked for."""
        if service not in self._services:
            rng = np.random.default_rng([self._seed, 1 + len(self._services)])
            self._services[service] = draws(service, rng)
        return self._services[service]

    def sessions(self, count: int) -> Iterator[str]:
        """Keys of sessions without end, each as likely as the others."""
        rng = np.random.default_rng([self._seed, 0, count])
        while True:
            for number in rng.integers(count, size=1024).tolist():
                yield f"session {number}"
