"""The world of files, readers and processes, met with suspicion. Every room may stand on it; it stands on none."""
