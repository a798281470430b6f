"""From source to a loaded module, and calls of it: on the host, on a device."""
