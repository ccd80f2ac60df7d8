"""The foundation of the integration and fault tests: a private PostgreSQL, the daemon, its peers, and waiting."""
