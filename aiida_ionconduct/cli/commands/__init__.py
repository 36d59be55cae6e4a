"""One module for each group of commands: options and help; what they do is beside this package."""
