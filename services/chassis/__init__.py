"""What every service stands on: messaging, storage, telemetry, health.

A service declares itself as a `Service` (aggregates, handlers) and never touches a channel, an
acknowledgement or an inbox row. Start at `service`, then `messages` and `work`.
"""
