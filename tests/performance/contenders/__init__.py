"""What else one could have written. Each module is a process, and says what it does not guarantee."""
