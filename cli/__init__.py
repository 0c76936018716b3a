"""The `praktijkbus` command line."""
