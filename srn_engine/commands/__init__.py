"""The subcommands of `srn-engine`, one file each: `add` declares its arguments, `run` does it."""
