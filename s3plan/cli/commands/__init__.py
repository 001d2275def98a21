"""The commands, one module each, which has it as ``command``; imported only when it is needed."""
