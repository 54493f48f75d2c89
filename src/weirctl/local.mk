# Floor 6: the command-line client of the control socket.
