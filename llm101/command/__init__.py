"""The command line: parsing and printing only. Every command is a call that a notebook could make too."""
