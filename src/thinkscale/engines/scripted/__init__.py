"""Engines without a model: scripts, recorded responses, faults, and a server on loopback that plays them."""

from thinkscale.engines.scripted.engine import ScriptedEngine
from thinkscale.engines.scripted.script import Script, ScriptedReply

__all__ = ["Script", "ScriptedEngine", "ScriptedReply"]
