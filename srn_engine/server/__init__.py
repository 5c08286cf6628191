"""The engine's socket: protocol, jobs, connections (docs/protocol.md)."""
