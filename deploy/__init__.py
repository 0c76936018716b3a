"""How Praktijkbus is put on machines: one command on one machine, or containers."""
