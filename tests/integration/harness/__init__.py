"""What the integration and fault tests stand on: a private PostgreSQL, the daemon, its peers, and waiting."""
