"""How blocks get their authority: one engine for each kind of network, all behind `chain.contracts.Engine`."""

from __future__ import annotations

from tallystick.chain.contracts import Engine
from tallystick.consensus.classic import ClassicEngine
from tallystick.consensus.work import WorkEngine
from tallystick.model.network import Kind, Network


def engine_for(network: Network) -> Engine:
    """The rules of this network. The only place that asks which kind it is."""
    match network.kind:
        case Kind.CLASSIC:
            return ClassicEngine(network)
        case Kind.WORK:
            return WorkEngine(network)
