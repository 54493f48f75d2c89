# Floor 6: the daemon.
