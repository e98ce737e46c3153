"""Simulation: the same dispatcher that runs live, over servers that exist only as queues.

It owns the virtual clock, the models of servers and the record of a run. It refuses to know how calls are
planned, how frames look, and what real time is; a million simulated seconds cost what their events cost.
"""

from mcpnb.simulation import scenarios, service
from mcpnb.simulation.demand import Demand
from mcpnb.simulation.driver import simulate
from mcpnb.simulation.run import Run
from mcpnb.simulation.scenario import Load, Scenario
from mcpnb.simulation.servers import At, SimServer

__all__ = ["At", "Demand", "Load", "Run", "Scenario", "SimServer", "scenarios", "service", "simulate"]
