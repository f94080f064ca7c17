"""The command line: one file per command group, no logic beyond arguments and printing."""
